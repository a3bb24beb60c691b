#include "dataplane/switch/hash_index.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

using namespace glocal::dataplane;

TEST_CASE("a table filled to its capacity finds everything that was inserted and not erased") {
  constexpr std::uint32_t capacity = 4096;
  hash_index index{capacity};
  std::mt19937_64 random{7};
  std::map<std::uint32_t, std::uint64_t> inserted;
  for (std::uint32_t i = 0; i < capacity; ++i) {
    const auto hash = random();
    REQUIRE(index.insert(hash, i));
    inserted[i] = hash;
  }
  for (std::uint32_t i = 0; i < capacity; i += 2)
    index.erase(inserted[i], i);
  for (const auto& [i, hash] : inserted)
    CHECK(index.find(hash, [&, wanted = i](std::uint32_t candidate) { return candidate == wanted; }) ==
          (i % 2 == 0 ? none : i));
}

TEST_CASE("equal hashes are told apart by the caller, and refused once both buckets are full") {
  hash_index index{64};
  std::uint32_t accepted = 0;
  while (accepted < 64 && index.insert(0x1234'5678'9abc'def0, accepted))
    ++accepted;
  CHECK(accepted == 16);
  for (std::uint32_t i = 0; i < accepted; ++i)
    CHECK(index.find(0x1234'5678'9abc'def0, [&](std::uint32_t candidate) { return candidate == i; }) == i);
}

TEST_CASE("a pool hands out what was released and says when it is empty") {
  pool<int> numbers{2};
  const auto a = numbers.acquire(), b = numbers.acquire();
  CHECK(a != b);
  CHECK(numbers.acquire() == none);
  numbers.release(a);
  CHECK(numbers.used() == 1);
  CHECK(numbers.acquire() == a);
  CHECK(numbers.high_water() == 2);
}
