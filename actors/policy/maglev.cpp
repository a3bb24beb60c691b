#include "actors/policy/maglev.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <numeric>

namespace glocal::policy {

maglev_table::maglev_table(const std::vector<std::string>& backends) {
  entries_.fill(none);
  if (backends.empty())
    return;
  // Who fills first gets the contested entries: a digest's order changes with the load, that of names does not.
  std::vector<std::uint8_t> order(backends.size());
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return backends[a] < backends[b]; });

  // Backend i prefers the entries (offset + n x skip) mod size, n = 0, 1, ...: a permutation, because size is prime.
  struct preference {
    std::size_t next, skip;
  };
  std::vector<preference> preferences;
  preferences.reserve(order.size());
  for (const auto backend : order)
    preferences.push_back({hash_text(backends[backend], 1) % size, hash_text(backends[backend], 2) % (size - 1) + 1});

  for (std::size_t filled = 0;;)
    for (std::size_t turn = 0; turn < order.size(); ++turn) {
      auto& [next, skip] = preferences[turn];
      while (entries_[next] != none)
        next = (next + skip) % size;
      entries_[next] = order[turn];
      if (++filled == size)
        return;
    }
}

} // namespace glocal::policy
