#pragma once
// Rank: which of two matching rules wins. The higher priority; of equal ones the lower id.
//
// Where only 16 bits fit, a priority's class stands for it: classes order priorities, and while there are fewer
// distinct priorities than classes each has its own. Class 0 is nobody's.

#include "dataplane/classify/classifier.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace glocal::dataplane {

class priority_classes {
public:
  priority_classes() = default;
  /// Cost: O(rules); above 65,534 distinct priorities the classes are equal parts of a sample.
  explicit priority_classes(std::span<const rule_outcome> rules);

  [[nodiscard]] std::uint16_t of(std::uint32_t priority) const noexcept;
  /// Whether each class stands for one priority.
  [[nodiscard]] bool exact() const noexcept { return exact_; }
  /// Whether a rule of this priority would share its class with another priority.
  [[nodiscard]] bool splits(std::uint32_t priority) const noexcept;

private:
  /// The least priority of each class from 2 on; below the first of them it is class 1.
  std::vector<std::uint32_t> floors_;
  bool exact_ = true;
};

/// Positions in `ids` (ascending), best rank first.
[[nodiscard]] std::vector<std::uint32_t> rank_order(std::span<const std::uint32_t> priorities);

} // namespace glocal::dataplane
