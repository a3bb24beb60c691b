#include "actors/policy/chain_cache.hpp"

#include "actors/policy/random_source.hpp"

#include <algorithm>
#include <utility>

namespace glocal::policy {

chain_cache::chain_cache(std::chrono::nanoseconds lifetime) : lifetime_{lifetime} {
  if (lifetime_.count() > 0)
    sets_.resize(sets);
}

chain_cache::entry* chain_cache::lookup(std::uint64_t key) noexcept {
  if (sets_.empty() || key == 0)
    return nullptr;
  auto& set = sets_[random_source::mix(key) % sets];
  const auto found = std::find_if(set.begin(), set.end(), [&](const entry& each) { return each.key == key; });
  return found == set.end() ? nullptr : &*found;
}

const remembered_chain* chain_cache::find(std::uint64_t key, std::chrono::nanoseconds now) const noexcept {
  const auto* found = const_cast<chain_cache*>(this)->lookup(key);
  return found != nullptr && now < found->ends ? &found->chain : nullptr;
}

void chain_cache::put(std::uint64_t key, const remembered_chain& chain, std::chrono::nanoseconds now) noexcept {
  if (sets_.empty() || key == 0)
    return;
  auto* place = lookup(key);
  if (place == nullptr) {
    auto& set = sets_[random_source::mix(key) % sets];
    // Free entries end at 0, before all others.
    place = &*std::min_element(set.begin(), set.end(), [](const entry& a, const entry& b) { return a.ends < b.ends; });
  }
  *place = {key, now + lifetime_, chain};
}

void chain_cache::erase(std::uint64_t key) noexcept {
  if (auto* found = lookup(key))
    *found = {};
}

} // namespace glocal::policy
