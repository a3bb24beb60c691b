#include "actors/policy/chain_cache.hpp"

#include <catch2/catch.hpp>

using namespace glocal::policy;
using namespace std::chrono_literals;

namespace {

remembered_chain chain(std::uint64_t of) {
  return {2, {of, of + 1}};
}

} // namespace

TEST_CASE("a remembered chain is found until its time is over") {
  chain_cache cache{10s};
  cache.put(7, chain(100), 1s);
  REQUIRE(cache.find(7, 10999ms) != nullptr);
  CHECK(cache.find(7, 10999ms)->instances[1] == 101);
  CHECK(cache.find(7, 11s) == nullptr);
  CHECK(cache.find(8, 1s) == nullptr);
  cache.put(7, chain(200), 12s);
  CHECK(cache.find(7, 13s)->instances[0] == 200);
  cache.erase(7);
  CHECK(cache.find(7, 13s) == nullptr);
}

TEST_CASE("the cache is bounded: many keys later the newest are there and the oldest are not") {
  chain_cache cache{1h};
  constexpr std::uint64_t keys = 100'000;
  for (std::uint64_t key = 1; key <= keys; ++key)
    cache.put(key, chain(key), std::chrono::nanoseconds{key});
  std::size_t kept = 0;
  for (std::uint64_t key = 1; key <= keys; ++key)
    if (const auto* found = cache.find(key, std::chrono::nanoseconds{keys})) {
      ++kept;
      CHECK(found->instances[0] == key);
    }
  CHECK(kept == chain_cache::sets * chain_cache::ways);
  CHECK(cache.find(keys, std::chrono::nanoseconds{keys}) != nullptr);
  CHECK(cache.find(1, std::chrono::nanoseconds{keys}) == nullptr);
}

TEST_CASE("a cache without a lifetime and a flow that is like no other keep nothing") {
  chain_cache off{0s};
  off.put(7, chain(1), 0s);
  CHECK(off.find(7, 0s) == nullptr);
  chain_cache on{1s};
  on.put(0, chain(1), 0s);
  CHECK(on.find(0, 0s) == nullptr);
}
