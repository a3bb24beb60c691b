#include "dataplane/exact_match/timing_wheel.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

namespace glocal::dataplane {
namespace {

constexpr std::uint64_t tick = 10;

std::vector<std::uint32_t> due(timing_wheel& wheel, std::uint64_t now, std::size_t most = 1000) {
  std::vector<std::uint32_t> out;
  wheel.expire(now, most, [&](std::uint32_t element) { out.push_back(element); });
  return out;
}

TEST_CASE("an element falls due once, within a tick of its time and never before") {
  timing_wheel wheel{4, tick};
  CHECK(wheel.deadline() == UINT64_MAX);
  wheel.schedule(1, 95);
  CHECK(wheel.deadline() == 100);
  CHECK(due(wheel, 95).empty());
  CHECK(due(wheel, 100) == std::vector<std::uint32_t>{1});
  CHECK(due(wheel, 10'000).empty());
  CHECK(wheel.deadline() == UINT64_MAX);
}

TEST_CASE("an element that is moved or taken out is not due at its old time") {
  timing_wheel wheel{4, tick};
  wheel.schedule(0, 50);
  wheel.schedule(1, 50);
  wheel.schedule(2, 50);
  wheel.cancel(1);
  wheel.schedule(2, 500);
  CHECK(due(wheel, 60) == std::vector<std::uint32_t>{0});
  CHECK(due(wheel, 510) == std::vector<std::uint32_t>{2});
}

TEST_CASE("what is due beyond the horizon is asked about at the horizon") {
  timing_wheel wheel{1, tick};
  wheel.schedule(0, tick * 5000);
  CHECK(due(wheel, tick * (timing_wheel::slots - 1)) == std::vector<std::uint32_t>{0});
}

TEST_CASE("a wheel that has slept for longer than its horizon asks about each element a few times, not for ever") {
  timing_wheel wheel{2, tick};
  wheel.schedule(0, 50);
  wheel.schedule(1, 60);
  const std::uint64_t now = tick * 1'000'000; // as at the first flow of a machine that has been up for a while
  int asked = 0;
  wheel.expire(now, 1000, [&](std::uint32_t element) {
    ++asked;
    wheel.schedule(element, now + tick * 900);
  });
  CHECK(asked <= 4);
  CHECK(wheel.deadline() > now);
  CHECK(due(wheel, now + tick * 902).size() == 2);
}

TEST_CASE("work that is left over when the bound is reached comes first the next time") {
  timing_wheel wheel{3, tick};
  for (std::uint32_t i = 0; i < 3; ++i)
    wheel.schedule(i, 20);
  CHECK(due(wheel, 40, 2).size() == 2);
  CHECK(wheel.deadline() <= 40);
  CHECK(due(wheel, 40, 2).size() == 1);
}

TEST_CASE("who renews in the callback is not asked again in the same turn") {
  timing_wheel wheel{1, tick};
  wheel.schedule(0, 20);
  int asked = 0;
  wheel.expire(30, 1000, [&](std::uint32_t element) {
    ++asked;
    wheel.schedule(element, 0);
  });
  CHECK(asked <= 2);
  CHECK(wheel.size() == 1);
}

TEST_CASE("deadlines are those of a map, over many turns of the wheel") {
  std::mt19937_64 random{3};
  timing_wheel wheel{64, tick};
  std::map<std::uint32_t, std::uint64_t> model;
  std::uint64_t now = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto element = static_cast<std::uint32_t>(random() % 64);
    if (random() % 4 == 0) {
      wheel.cancel(element);
      model.erase(element);
    } else {
      const auto at = now + random() % (tick * (timing_wheel::slots - 2));
      wheel.schedule(element, at);
      model[element] = at;
    }
    now += random() % (tick * 40);
    const auto before = wheel.deadline();
    const auto came = due(wheel, now);
    if (!came.empty())
      REQUIRE(before <= now);
    for (const auto each : came) {
      REQUIRE(model.at(each) <= now);
      model.erase(each);
    }
    for (const auto& [each, at] : model)
      REQUIRE(at + 2 * tick > now);
    REQUIRE(wheel.size() == model.size());
  }
}

} // namespace
} // namespace glocal::dataplane
