#pragma once
// Finds what a forest should trade for a list of rules: builds some and counts what lookups cost, on packets drawn from
// the rules.

#include "dataplane/classify/forest_builder.hpp"

#include <functional>

namespace glocal::dataplane {

/// One forest of one family with all it refers to.
template <std::size_t Words>
struct forest {
  explicit forest(std::size_t max_bytes) : arena{max_bytes} {}

  slot_arena<Words> arena;
  template_table<Words> templates;
  shape_table<Words> shapes;
  std::uint64_t root = 0;
  std::uint32_t max_visits = 1;
  forest_options options;
  shared_leaves shared;

  [[nodiscard]] std::size_t bytes() const noexcept {
    return arena.bytes() + templates.size() * sizeof(packed_words<Words>) + shapes.size() * sizeof(node_shape<Words>);
  }
};

struct forest_limits {
  double max_rule_bytes = 200;
  std::size_t max_bytes = 0;
};

struct forest_refusal {
  forest_error why = forest_error::out_of_memory;
  /// The rule at fault, by its id.
  std::uint32_t rule = 0;
};

/// Builds `out` from rules in rank order, by `options` or by the best there are. Classes of rules must be set.
/// @error when no options fit the limits: of the ones that copy least.
template <std::size_t Words>
[[nodiscard]] std::optional<forest_refusal>
grow_forest(forest<Words>& out, std::span<const packed_words<Words>> rules, std::span<const std::uint32_t> order,
            std::span<const rule_outcome> outcomes, bool exact_classes, const std::optional<forest_options>& options,
            const forest_limits& limits);

} // namespace glocal::dataplane
