#pragma once
// Where an entry is in the log of a slot.

#include <compare>
#include <cstdint>

namespace glocal::store {

/// Grows with every change of primary.
using epoch_number = std::uint64_t;
/// Position in a slot's log, from 1. One entry may hold many operations, so this is not the slot's revision, which
/// counts changes; both are the same on every replica.
using log_index = std::uint64_t;

struct log_position {
  epoch_number epoch = 0;
  log_index index = 0;

  auto operator<=>(const log_position&) const = default;
};

} // namespace glocal::store
