#pragma once
// From hash to index with a bounded number of probes: two candidate buckets of eight, one cache line each.
//
// An index stands in the emptier of its two buckets (Azar et al., "Balanced Allocations", STOC 1994; the bucketed table
// of rte_hash without its displacement). The table is sized for a load of at most one half, where an insert that finds
// both buckets full is practically impossible while the hash is keyed; then it is refused rather than searched for.
//
// Threading: one thread. Only the constructor allocates.

#include "dataplane/switch/pool.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace glocal::dataplane {

class hash_index {
public:
  /// Room for `capacity` indices.
  explicit hash_index(std::size_t capacity)
      : buckets_(std::bit_ceil(std::max<std::size_t>(capacity * 2 / slots_per_bucket, 2))), mask_{buckets_.size() - 1} {
  }

  /// The index for which `is_wanted(index)` among those inserted under `hash`, else `none`.
  template <class Predicate>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Predicate&& is_wanted) const noexcept {
    for (const auto* candidate : {&buckets_[first(hash)], &buckets_[second(hash)]})
      for (const auto& [tag, index] : *candidate)
        if (index != none && tag == tag_of(hash) && is_wanted(index))
          return index;
    return none;
  }

  /// REQUIRES: `index` is not in the table. False, and no change, when both buckets are full.
  [[nodiscard]] bool insert(std::uint64_t hash, std::uint32_t index) noexcept {
    auto& one = buckets_[first(hash)];
    auto& two = buckets_[second(hash)];
    auto& target =
        std::ranges::count(one, none, &slot::index) >= std::ranges::count(two, none, &slot::index) ? one : two;
    const auto vacant = std::ranges::find(target, none, &slot::index);
    if (vacant == target.end())
      return false;
    *vacant = {tag_of(hash), index};
    return true;
  }

  void erase(std::uint64_t hash, std::uint32_t index) noexcept {
    for (auto* candidate : {&buckets_[first(hash)], &buckets_[second(hash)]})
      for (auto& each : *candidate)
        if (each.index == index) {
          each = {};
          return;
        }
  }

private:
  static constexpr std::size_t slots_per_bucket = 8;
  struct slot {
    std::uint32_t tag = 0, index = none;
  };
  using bucket = std::array<slot, slots_per_bucket>;

  static std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32); }
  [[nodiscard]] std::size_t first(std::uint64_t hash) const noexcept { return hash & mask_; }
  /// Never the first one: the step is odd.
  [[nodiscard]] std::size_t second(std::uint64_t hash) const noexcept {
    return (first(hash) ^ (std::size_t{tag_of(hash)} | 1)) & mask_;
  }

  std::vector<bucket> buckets_;
  std::size_t mask_;
};

} // namespace glocal::dataplane
