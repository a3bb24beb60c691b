// A request ends exactly once whatever the network does to it, wherever: each test goes through all positions.

#include "runtime/cast_batch.hpp"
#include "runtime/frame.hpp"
#include "runtime/simulation.hpp"
#include "runtime/test_actors.hpp"

#include <catch2/catch.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <random>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;

namespace {

/// Says how often and how a request of its own ended.
struct verdicts {
  int replies = 0, errors = 0;
  transport_errc last{};
  [[nodiscard]] int all() const noexcept { return replies + errors; }
};

struct two_nodes {
  explicit two_nodes(std::optional<std::uint64_t> seed = std::nullopt, const transport_limits& limits = {})
      : sim{seed}, a{sim.node("a", limits)}, b{sim.node("b", limits)} {
    a.directory->add("parrot", sim.own(sim.system().spawn<parrot>("a/parrot", heard_a)));
    b.directory->add("parrot", sim.own(sim.system().spawn<parrot>("b/parrot", heard_b)));
    sim.run();
  }

  std::shared_ptr<verdicts> ask(const std::string& text = "hello", std::chrono::milliseconds timeout = 1s) {
    auto out = std::make_shared<verdicts>();
    sim.system().spawn([=, this](caf::event_based_actor* self) {
      runtime::request(self, a, {"b", "parrot"}, say(kinds::echo, text), timeout)
          .then([out](const wire_message&) { ++out->replies; },
                [out](const caf::error& error) {
                  ++out->errors;
                  out->last = as_transport_error(error);
                });
    });
    return out;
  }

  simulation sim;
  parrot::log heard_a = std::make_shared<std::vector<std::string>>(),
              heard_b = std::make_shared<std::vector<std::string>>();
  transport a, b;
};

} // namespace

TEST_CASE("a request ends exactly once, at whichever of its steps the connection breaks") {
  for (const bool connected_before : {false, true}) {
    bool went_through = false;
    // A step is one message of one actor: routers, the parrot, the requester.
    for (int position = 0; !went_through; ++position) {
      INFO("the connection breaks after step " << position << (connected_before ? ", connected before" : ""));
      REQUIRE(position < 100);
      two_nodes t;
      if (connected_before) {
        const auto before = t.ask();
        t.sim.run();
        REQUIRE(before->replies == 1);
      }
      const auto answer = t.ask();
      int steps = 0;
      while (steps < position && t.sim.step())
        ++steps;
      went_through = steps < position;
      t.sim.network().disconnect("a", "b");
      t.sim.run();
      // No time passed: either it is through, or its end was known at once, or it had not begun.
      CHECK(answer->all() == 1);
      if (answer->errors > 0)
        CHECK((answer->last == transport_errc::peer_gone || answer->last == transport_errc::unreachable));
      t.sim.advance(5s);
      CHECK(answer->all() == 1);
      const auto after = t.ask();
      t.sim.advance(1s);
      CHECK(after->replies == 1);
    }
  }
}

TEST_CASE("a request ends exactly once, whichever of its messages is lost, late or doubled") {
  struct row {
    const char* what;
    frame_verdict verdict;
    /// When the request, when the reply is hit.
    bool answered[2];
  };
  const row rows[] = {
      {"lost", {.drop = true}, {false, false}},
      {"late", {.delay = 500ms}, {true, true}},
      {"later than the time-out", {.delay = 1500ms}, {false, false}},
      {"doubled", {.duplicate = true}, {true, true}},
  };
  for (const auto& row : rows)
    for (const int hit : {0, 1}) {
      INFO((hit == 0 ? "request " : "reply ") << row.what);
      two_nodes t;
      const auto before = t.ask();
      t.sim.run();
      REQUIRE(before->replies == 1);
      t.sim.network().set_faults(
          [&, position = 0](const frame_event&) mutable { return position++ == hit ? row.verdict : frame_verdict{}; });
      const auto answer = t.ask();
      t.sim.advance(3s);
      CHECK(answer->all() == 1);
      CHECK(answer->replies == (row.answered[hit] ? 1 : 0));
      if (answer->errors > 0)
        CHECK(answer->last == transport_errc::timeout);
    }
}

TEST_CASE("whatever order connections are served in, each keeps its own and every request ends once") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    INFO("seed " << seed);
    two_nodes t{seed};
    std::mt19937_64 random{seed};
    t.sim.network().set_faults([&](const frame_event&) {
      return frame_verdict{.drop = random() % 20 == 0,
                           .delay = std::chrono::milliseconds{random() % 4 == 0 ? random() % 40 : 0}};
    });
    t.sim.system().spawn([&](caf::event_based_actor* self) {
      for (int i = 0; i < 30; ++i)
        runtime::cast(self, t.a, {"b", "parrot"}, say(kinds::echo, std::to_string(100 + i)));
    });
    std::vector<std::shared_ptr<verdicts>> answers;
    for (int i = 0; i < 20; ++i) {
      answers.push_back(t.ask(std::to_string(i)));
      if (random() % 8 == 0) {
        for (auto steps = random() % 20; steps > 0 && t.sim.step(); --steps) {
        }
        t.sim.network().disconnect("a", "b");
        t.sim.advance(200ms);
      }
    }
    t.sim.advance(10s);
    for (const auto& answer : answers)
      CHECK(answer->all() == 1);
    // Casts of one sender, whatever of them arrived.
    std::vector<std::string> casts;
    for (const auto& line : *t.heard_b)
      if (line.starts_with("a says "))
        casts.push_back(line);
    CHECK(std::is_sorted(casts.begin(), casts.end()));
  }
}

TEST_CASE("more names than a connection has slots are all reached") {
  two_nodes t;
  constexpr int names = max_names + 100;
  for (int i = 0; i < names; ++i)
    t.b.directory->add("bird" + std::to_string(i), t.b.directory->find("parrot"));
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < names; ++i) {
      t.sim.system().spawn([&, i](caf::event_based_actor* self) {
        runtime::cast(self, t.a, {"b", "bird" + std::to_string(i)}, say(kinds::echo, std::to_string(i)));
      });
      t.sim.run();
    }
  REQUIRE(t.heard_b->size() == std::size_t{2} * names);
  for (std::size_t i = 0; i < t.heard_b->size(); ++i)
    CHECK((*t.heard_b)[i] == "a says " + std::to_string(i % names));
}

TEST_CASE("credit comes back as messages are handled, so that a window is no end") {
  transport_limits limits;
  limits.window_bytes = 4096;
  two_nodes t{std::nullopt, limits};
  int refused = 0;
  t.sim.own(t.sim.system().spawn([&](caf::event_based_actor* self) -> caf::behavior {
    const auto left = std::make_shared<int>(200);
    const auto go_on = [=, &t, &refused] {
      for (; *left > 0; --*left)
        if (!runtime::cast(self, t.a, {"b", "parrot"}, say(kinds::echo, std::to_string(*left)))) {
          ++refused;
          return when_writable(self, t.a, "b");
        }
    };
    go_on();
    return {[=](writable_atom, const std::string& node) {
      CHECK(node == "b");
      go_on();
    }};
  }));
  t.sim.run();
  CHECK(t.heard_b->size() == 200);
  CHECK(refused > 10);
}

TEST_CASE("who waits for room is told when the connection ends instead") {
  transport_limits limits;
  limits.window_bytes = 1000;
  two_nodes t{std::nullopt, limits};
  t.sim.network().set_faults([](const frame_event&) { return frame_verdict{.delay = 60s}; });
  bool told = false;
  t.sim.own(t.sim.system().spawn([&](caf::event_based_actor* self) -> caf::behavior {
    while (runtime::cast(self, t.a, {"b", "parrot"}, say(kinds::echo))) {
    }
    when_writable(self, t.a, "b");
    return {[&](writable_atom, const std::string&) { told = true; }};
  }));
  t.sim.run();
  CHECK_FALSE(told);
  t.sim.network().disconnect("a", "b");
  t.sim.run();
  CHECK(told);
}

TEST_CASE("an actor that takes batches gets casts as they came, and the same number of them") {
  struct collector : observed_actor, takes_cast_batches {
    collector(caf::actor_config& cfg, parrot::log log)
        : observed_actor{cfg, "collector", "collector"}, heard_of{std::move(log)} {}
    caf::behavior make_behavior() override {
      return {[this](wire_casts_atom, const std::string& from, const cast_batch& casts) {
        std::size_t count = 0;
        casts.for_each([&](std::uint16_t kind, byte_view body) {
          heard_of->push_back(from + ' ' + std::to_string(kind) + ' ' + decode_name(body).value_or("?"));
          ++count;
        });
        CHECK(count == casts.size());
      }};
    }
    parrot::log heard_of;
  };
  two_nodes t;
  const auto log = std::make_shared<std::vector<std::string>>();
  t.b.directory->add("collector", t.sim.own(t.sim.system().spawn<collector>(log)));
  t.sim.system().spawn([&](caf::event_based_actor* self) {
    for (int i = 0; i < 5; ++i)
      runtime::cast(self, t.a, {"b", "collector"}, say(kinds::echo, std::to_string(i)));
  });
  t.sim.run();
  REQUIRE(log->size() == 5);
  CHECK(log->front() == "a " + std::to_string(kinds::echo) + " 0");
  CHECK(log->back() == "a " + std::to_string(kinds::echo) + " 4");
}
