#pragma once
// Chains that similar flows share, for a while: a bounded table from a similarity key to the instances last decided for
// it. Set-associative, four ways: a new key replaces the one of its set that ends first. No allocation after
// construction, no clock: the time is handed in. Not thread-safe.

#include "actors/policy/layered_path.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace glocal::policy {

/// Hashes of the names of a chain's instances, in order.
struct remembered_chain {
  std::size_t size = 0;
  std::array<std::uint64_t, max_layers> instances{};
};

class chain_cache {
public:
  /// 4,096 keys of 160 bytes: 640 KiB, and only where a service reuses chains.
  static constexpr std::size_t sets = 1024, ways = 4;

  /// @param lifetime of an entry, from `put`; 0 makes a cache that keeps nothing and has no memory.
  explicit chain_cache(std::chrono::nanoseconds lifetime);

  /// The chain of a key; null when there is none or it is over.
  [[nodiscard]] const remembered_chain* find(std::uint64_t key, std::chrono::nanoseconds now) const noexcept;
  void put(std::uint64_t key, const remembered_chain& chain, std::chrono::nanoseconds now) noexcept;
  void erase(std::uint64_t key) noexcept;

private:
  struct entry {
    std::uint64_t key = 0; ///< 0: free
    std::chrono::nanoseconds ends{0};
    remembered_chain chain;
  };

  [[nodiscard]] entry* lookup(std::uint64_t key) noexcept;

  const std::chrono::nanoseconds lifetime_;
  std::vector<std::array<entry, ways>> sets_;
};

} // namespace glocal::policy
