#pragma once
// What clients did and saw, per key, and whether one copy of the key could have answered so.

#include "tests/sim/dice.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace glocal::sim {

/// Values are numbers, each written at most once; 0 is "nothing there".
using value_id = std::uint64_t;

struct operation {
  enum class kind : std::uint8_t { get, put, put_if_absent, compare_and_set, erase };
  kind what = kind::get;
  /// Written by it.
  value_id writes = 0;
  /// compare_and_set: what must be there.
  value_id expects = 0;

  duration invoked{};
  /// When `known` is false, nobody knows whether it happened, and it may happen any time after it was invoked.
  duration returned{};
  bool known = false;
  /// It did what it was to do (else: conflict, or nothing to erase).
  bool done = false;
  /// get: what it read; conflict: what was there.
  value_id found = 0;
  std::uint32_t client = 0;
  /// It certainly did not happen.
  bool refused = false;
};

enum class verdict { linearizable, violation, undecided };

/// Is there an order of `operations` on one key that respects their times and explains their answers? Wing and Gong's
/// search with Lowe's memory of (set done, state). Undecided when more than `budget` states were visited.
[[nodiscard]] verdict check_linearizable(const std::vector<operation>& operations, std::size_t budget = 300'000);

/// The shortest beginning of a history that is no longer linearizable: what somebody looking for the fault must read.
[[nodiscard]] std::vector<operation> first_violation(std::vector<operation> operations);
[[nodiscard]] std::string describe(const std::vector<operation>& operations);

} // namespace glocal::sim
