#pragma once
// Maglev hashing: a table from hash to backend in which every backend has almost the same share, and in which few
// entries move when a backend comes or goes. Source: Eisenbud et al., "Maglev", NSDI 2016, section 3.4.
//
// The table depends on the set of names only, not on their order: edges that know the same candidates agree without
// talking. Immutable once built.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace glocal::policy {

class maglev_table {
public:
  /// Prime, as the permutations need, and over 100 x the 64 backends there may be (NSDI 2016: then shares differ by at
  /// most 1 %).
  static constexpr std::size_t size = 8191;
  static constexpr std::uint8_t none = 0xff;

  maglev_table() { entries_.fill(none); }
  /// REQUIRES: at most 64 names, all different. Cost: about 0.1 ms.
  explicit maglev_table(const std::vector<std::string>& backends);

  /// Position in `backends` for a hash; `none` when there are no backends.
  [[nodiscard]] std::uint8_t find(std::uint64_t hash) const noexcept { return entries_[hash % size]; }
  [[nodiscard]] const std::array<std::uint8_t, size>& entries() const noexcept { return entries_; }

private:
  std::array<std::uint8_t, size> entries_;
};

} // namespace glocal::policy
