#pragma once
// What every configuration register must do: one suite, run for each of them by its own test program.

#include "store/register.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace glocal::store {

/// A register under test, empty, and how to let it work.
class register_fixture {
public:
  virtual ~register_fixture() = default;
  [[nodiscard]] virtual config_register& subject() = 0;
  /// Runs callbacks until `enough`; fails the test when that takes too long.
  virtual void run_until(const std::function<bool()>& enough) = 0;
};

inline std::optional<register_value> read_register(register_fixture& fixture, slot_id slot) {
  std::optional<register_value> out;
  int calls = 0;
  fixture.subject().get(slot, [&](std::optional<register_value> value) {
    ++calls;
    out = std::move(value);
  });
  REQUIRE(calls == 0); // never before the call returned
  fixture.run_until([&] { return calls > 0; });
  CHECK(calls == 1);
  return out;
}

inline set_outcome set_register(register_fixture& fixture, slot_id slot, std::uint64_t expected, slot_view wanted) {
  std::optional<set_outcome> out;
  fixture.subject().compare_and_set(slot, expected, std::move(wanted), [&](set_outcome outcome) {
    CHECK_FALSE(out);
    out = std::move(outcome);
  });
  REQUIRE_FALSE(out);
  fixture.run_until([&] { return out.has_value(); });
  return *out;
}

/// Call inside a TEST_CASE with a fresh fixture: Catch2 runs one section at a time.
inline void check_register_contract(register_fixture& fixture) {
  const member a{"a", 1}, b{"b", 18'000'000'000'000'000'001u};
  using kind = set_outcome::kind;

  SECTION("it changes only by compare-and-set on the version that is there") {
    CHECK(read_register(fixture, 3)->version == 0);
    CHECK(read_register(fixture, 3)->view == slot_view{});
    const auto first = set_register(fixture, 3, 0, {1, a, {a}});
    REQUIRE(first.what == kind::done);
    CHECK(first.now.view == slot_view{1, a, {a}});
    CHECK(first.now.version > 0);
    const auto late = set_register(fixture, 3, 0, {1, b, {b}});
    CHECK(late.what == kind::conflict);
    CHECK(late.now == first.now);
    CHECK(read_register(fixture, 3) == first.now);
    const auto next = set_register(fixture, 3, first.now.version, {2, b, {a, b}});
    REQUIRE(next.what == kind::done);
    CHECK(next.now.version > first.now.version);
    CHECK(set_register(fixture, 3, first.now.version, {2, a, {a}}).what == kind::conflict);
    CHECK(read_register(fixture, 3)->view == slot_view{2, b, {a, b}});
  }

  SECTION("a version of a register that was never set conflicts") {
    const auto outcome = set_register(fixture, 4, 7, {1, a, {a}});
    CHECK(outcome.what == kind::conflict);
    CHECK(outcome.now.version == 0);
  }

  SECTION("slots are apart") {
    REQUIRE(set_register(fixture, 1, 0, {1, a, {a}}).what == kind::done);
    CHECK(read_register(fixture, 11)->version == 0);
    CHECK(set_register(fixture, 11, 0, {1, b, {b}}).what == kind::done);
    CHECK(read_register(fixture, 1)->view.primary == a);
  }

  SECTION("of calls on the same version that are under way at once exactly one happens") {
    int done = 0, conflicts = 0;
    for (std::uint64_t i = 1; i <= 20; ++i)
      fixture.subject().compare_and_set(9, 0, {i, a, {a}}, [&](const set_outcome& outcome) {
        done += outcome.what == kind::done;
        conflicts += outcome.what == kind::conflict;
      });
    fixture.run_until([&] { return done + conflicts == 20; });
    CHECK(done == 1);
  }

  SECTION("a watcher hears of the last change") {
    std::map<slot_id, register_value> heard;
    fixture.subject().watch([&](slot_id slot, const register_value& value) { heard[slot] = value; });
    // A watch is a hint: what is set before it is open may go unheard, so changes go on until one is heard.
    std::uint64_t version = 0, epoch = 0;
    register_value last;
    while (!heard.contains(7)) {
      const auto outcome = set_register(fixture, 7, version, {++epoch, a, {a}});
      REQUIRE(outcome.what == kind::done);
      REQUIRE(epoch < 100'000);
      last = outcome.now;
      version = last.version;
    }
    fixture.run_until([&] { return heard[7] == last; });
    REQUIRE(set_register(fixture, 8, 0, {1, b, {b}}).what == kind::done);
    fixture.run_until([&] { return heard.contains(8); });
    CHECK(heard[8].view.primary == b);
  }
}

} // namespace glocal::store
