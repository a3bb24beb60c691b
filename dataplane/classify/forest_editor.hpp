#pragma once
// Changes single rules of a forest while lookups run.
//
// A leaf is never changed: a new one is written beside it and the entry that leads to it is replaced, in one store.
// What was replaced is given back to the arena when no lookup can read it any more (`reclaim`). Each rule has two live
// bits, one for each plane; lookups see one plane. So rules can come and go in the hidden plane until all of a
// transaction is there.
//
// Entries above a change keep bounds that are too high rather than too low (best class, lines, visits) after rules were
// taken away: right, and a little slower, until the list is built anew.
// Threading: one writer.

#include "dataplane/classify/forest_tuning.hpp"

#include <functional>

namespace glocal::dataplane {

/// Every rule below an entry; a rule that stands in several places comes as often.
template <std::size_t Words>
void each_rule(const forest<Words>& of, std::uint64_t word,
               const std::function<void(const packed_words<Words>&)>& visit);

template <std::size_t Words>
class forest_editor {
public:
  using slot = packed_words<Words>;

  /// `outcomes` say the priorities of rules whose classes are equal. `before_deeper` is called before a packet can have
  /// more pending than `forest::max_visits` said: it raises that and waits until every lookup knows.
  forest_editor(forest<Words>& edited, const rule_outcome* outcomes, std::function<void(std::uint32_t)> before_deeper)
      : forest_{edited}, outcomes_{outcomes}, before_deeper_{std::move(before_deeper)} {}

  /// On an error nothing was changed that a lookup could see, but `erase` has to be called for the rule.
  [[nodiscard]] std::optional<forest_error> insert(const slot& rule);
  [[nodiscard]] std::optional<forest_error> erase(const slot& rule);
  /// Makes all copies of the rule live in `planes` (bit 0, bit 1).
  void set_live(const slot& rule, unsigned planes);
  /// Makes the rule live in both planes when it lives in `plane`, else in none.
  void settle(const slot& rule, unsigned plane);
  /// The best of the rules with these values and template that live in `plane` and that `accept` takes: its payload.
  [[nodiscard]] std::optional<std::uint64_t> find(const slot& like, unsigned plane,
                                                  const std::function<bool(rule_id)>& accept) const;
  /// Asks for the lines that a change of each rule will read, for all rules at once: one after the other they would be
  /// waited for.
  void prefetch(std::span<const slot> rules) const;
  /// Gives back what was replaced before the call of `retire_mark` that returned `mark`.
  [[nodiscard]] std::size_t retire_mark() const noexcept { return retired_.size(); }
  void reclaim(std::size_t mark);

private:
  struct bounds {
    std::uint32_t lines = 0, visits = 0;
  };
  struct run {
    std::uint32_t first, count;
  };
  enum class change : std::uint8_t { add, take };

  [[nodiscard]] bounds edit(std::uint64_t* at, const slot& rule, change what, bounds above);
  [[nodiscard]] bounds edit_leaf(std::uint64_t* at, const slot& rule, change what, bounds above);
  [[nodiscard]] bounds edit_kept(std::uint64_t* at, const slot& rule, change what, bounds above);
  [[nodiscard]] bounds put_leaf(std::uint64_t* at, std::span<const slot> rules, bounds above, std::uint16_t best,
                                std::optional<std::uint32_t> mark_shape = {});
  [[nodiscard]] bool outranks(const slot& left, const slot& right) const noexcept;
  /// Calls `visit` with each entry of the node's table that leads to copies of the rule; false when it is kept.
  template <class Visit>
  bool each_entry(std::uint64_t node, const slot& rule, Visit&& visit) const;
  template <class Visit>
  void each_copy(const std::uint64_t* at, const slot& rule, Visit&& visit) const;
  void retire_leaf(std::uint64_t leaf);
  [[nodiscard]] std::vector<slot> rules_at(std::uint32_t first, std::uint32_t count) const;

  forest<Words>& forest_;
  const rule_outcome* outcomes_;
  std::function<void(std::uint32_t)> before_deeper_;
  std::optional<forest_error> failure_;
  std::vector<run> retired_;
};

} // namespace glocal::dataplane
