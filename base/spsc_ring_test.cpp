#include "base/spsc_ring.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <thread>

using glocal::spsc_ring;

TEST_CASE("a full ring refuses and leaves the value with its owner") {
  spsc_ring<std::unique_ptr<int>> ring{2};
  CHECK(ring.push(std::make_unique<int>(1)));
  CHECK(ring.push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  CHECK_FALSE(ring.push(std::move(third)));
  CHECK(*third == 3);
}

TEST_CASE("two threads exchange every element in order and lose no wake-up") {
  constexpr std::uint64_t total = 200'000;
  spsc_ring<std::uint64_t> ring{64};
  std::atomic<int> wakes{0};
  std::thread producer{[&] {
    for (std::uint64_t i = 1; i <= total; ++i) {
      while (!ring.push(std::uint64_t{i}))
        std::this_thread::yield();
      if (ring.disarm()) {
        wakes.fetch_add(1);
        wakes.notify_one();
      }
    }
  }};
  std::uint64_t expected = 1, value = 0;
  int seen_wakes = 0;
  while (expected <= total) {
    while (ring.pop(value))
      REQUIRE(value == expected++);
    if (expected > total)
      break;
    ring.arm();
    if (ring.empty())
      wakes.wait(seen_wakes); // a lost wake-up hangs here, and the test's timeout reports it
    seen_wakes = wakes.load();
  }
  producer.join();
}
