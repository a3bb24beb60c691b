#pragma once
// Builds trees of a forest from rules in rank order: a whole list, or the few of a leaf that grew too long.
//
// A node's bits are chosen one by one: the bit that separates the most pairs of rules which are still together, less a
// penalty for the rules it leaves open. Rules that leave bits open stand in the table once for each value while the
// node's budget of copies lasts, else they are kept at the node.
//
// Threading: one writer.

#include "base/expected.hpp"
#include "dataplane/classify/forest.hpp"
#include "dataplane/classify/slot_arena.hpp"

#include <span>

namespace glocal::dataplane {

/// What a forest trades; forest_tuning.hpp finds the best for a list.
struct forest_options {
  /// Rules that are compared one after the other rather than separated further.
  std::uint32_t leaf_rules = 4;
  /// Rules in leaves, copies included, over those of the list: the budget of every way from the root to a leaf.
  double max_copies = 1.25;
  /// Entries of a table over its rules.
  double table_load = 1.0;
  /// Weight of a rule that a bit leaves open, against the pairs it separates.
  double open_penalty = 0.1;
  /// Leaves of at least so many rules have marks, if these are few enough for it; 0: none have.
  std::uint32_t marked_rules = 3;
  /// Rules kept inline at a node.
  std::uint32_t kept_inline = 4;
  std::uint32_t root_width = 18, inner_width = 10;
  /// Rules whose destination prefix is that long are one tree, those whose source prefix is another, the rest a third;
  /// 0 leaves all in one.
  std::uint32_t split_length = 0;

  bool operator==(const forest_options&) const = default;
};

/// Leaves that several entries lead to, by their first slots, with the number of entries.
using shared_leaves = std::unordered_map<std::uint32_t, std::uint32_t>;

enum class forest_error : std::uint8_t { out_of_memory, too_many_shapes, too_many_lines };

template <std::size_t Words>
class forest_builder {
public:
  struct subtree {
    std::uint64_t entry = 0;
    /// Bounds on what one lookup touches and has pending in it.
    std::uint32_t lines = 0, visits = 0;
  };

  forest_builder(slot_arena<Words>& arena, const template_table<Words>& templates, shape_table<Words>& shapes,
                 const forest_options& options, shared_leaves* shared)
      : arena_{arena}, templates_{templates}, shapes_{shapes}, options_{options}, shared_{shared} {}

  /// REQUIRES: rules[order[i]] are in rank order. On an error the slots taken are lost to the arena.
  [[nodiscard]] expected<subtree, forest_error> build(std::span<const packed_words<Words>> rules,
                                                      std::span<const std::uint32_t> order);

  /// A rule among those that one lookup has to compare the most of, for the message of a refusal.
  [[nodiscard]] std::uint32_t longest_leaf_rule() const noexcept { return longest_leaf_rule_; }

private:
  using bits = indexed_bits<Words>;
  using group = std::span<const std::uint32_t>;

  /// How a group will be divided.
  struct plan {
    node_shape<Words> shape;
    /// Rules kept at the node; the others are in `rules`, ordered by index, those of index i from first[i].
    std::vector<std::uint32_t> kept, rules, first;
    /// Rules with their copies over those alone.
    double copies = 1;
  };

  [[nodiscard]] subtree build_group(group rules, unsigned depth, double copies);
  [[nodiscard]] subtree build_split(group rules);
  [[nodiscard]] subtree make_leaf(group rules);
  /// Nothing when marks would not tell the rules apart.
  [[nodiscard]] std::optional<subtree> make_marked_leaf(group rules);
  [[nodiscard]] subtree make_node(plan& how, group rules, unsigned depth, double copies);
  /// Notes the bounds of a node's parts in its header.
  [[nodiscard]] subtree join(std::uint64_t node, const subtree& table, const subtree& kept);
  [[nodiscard]] bool divide(group rules, unsigned depth, double copies, plan& out);
  [[nodiscard]] bool distribute(group rules, double copies, plan& out) const;
  void write_rules(std::uint32_t slot, group rules);
  [[nodiscard]] bits bits_at(std::uint32_t rule) const noexcept {
    const auto& value = rules_[rule];
    return bits_of<Words>(value, templates_.data()[payload::template_of(value.word[Words - 1])]);
  }
  [[nodiscard]] std::uint16_t best_of(group rules) const noexcept {
    return static_cast<std::uint16_t>(rules_[rules.front()].word[Words - 1] >> payload::class_shift);
  }
  subtree fail(forest_error why) {
    failure_ = why;
    return {};
  }

  slot_arena<Words>& arena_;
  const template_table<Words>& templates_;
  shape_table<Words>& shapes_;
  forest_options options_;
  shared_leaves* shared_;
  std::span<const packed_words<Words>> rules_;
  std::optional<forest_error> failure_;
  std::uint32_t longest_leaf_ = 0, longest_leaf_rule_ = 0;
};

} // namespace glocal::dataplane
