#pragma once
// The exact-match table by itself: how fast it takes, finds, misses and gives up keys at a size.

#include <cstddef>
#include <cstdint>

namespace glocal::bench {

struct match_row {
  std::size_t entries = 0;
  /// Millions a second; `found` and `missed` in bursts of 32 of random keys.
  double inserted = 0, found = 0, missed = 0, erased = 0;
  double bytes_per_entry = 0;
  /// Keys moved for an insert, on average.
  double displaced = 0;
  /// Inserts refused and lookups answered wrongly: both 0 in a table that works.
  std::uint64_t refused = 0, wrong = 0;
};

[[nodiscard]] match_row measure_match_table(std::size_t entries, std::uint64_t seed);

} // namespace glocal::bench
