#include "runtime/tracer.hpp"

#include "runtime/simulation.hpp"
#include "runtime/test_actors.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;

namespace {

/// Two parrots that can be talked to.
struct aviary {
  simulation sim;
  caf::actor left = sim.own(sim.system().spawn<parrot>("bird/left")),
             right = sim.own(sim.system().spawn<parrot>("bird/right"));

  aviary() { sim.run(); }
  void say_to(const caf::actor& bird, std::uint16_t kind = kinds::echo, const std::string& node = "far") {
    caf::anon_send(bird, wire_cast_atom_v, node, say(kind));
    sim.run();
  }
  std::uint64_t trace(trace_request what) {
    const auto started = sim.observatory().start_trace(what);
    REQUIRE(started);
    return started->id;
  }
  trace_page read(std::uint64_t id) {
    auto page = sim.observatory().traces().read(id);
    REQUIRE(page);
    return *std::move(page);
  }
};

} // namespace

TEST_CASE("a star stands for any text") {
  const auto all = [](std::string_view pattern, std::initializer_list<std::string_view> texts, bool expected) {
    for (const auto text : texts) {
      INFO(pattern << " and " << text);
      CHECK(matches_pattern(pattern, text) == expected);
    }
  };
  all("edge/e1/switch", {"edge/e1/switch"}, true);
  all("edge/e1/switch", {"edge/e1/switch2", "edge/e1/swit", "xedge/e1/switch", ""}, false);
  all("*", {"", "x", "edge/e1"}, true);
  all("edge/*/service/*", {"edge/e1/service/web", "edge//service/", "edge/a/b/service/c"}, true);
  all("edge/*/service/*", {"edge/e1/vnf/x", "edge/service/x"}, false);
  all("*b*b", {"ab b", "bb", "abcbb"}, true);
  all("*b*b", {"b", "bba"}, false);
  all("", {""}, true);
  all("", {"x"}, false);
}

TEST_CASE("a pattern of stars only takes the product of the lengths") {
  std::string pattern;
  for (int i = 0; i < 100; ++i)
    pattern += "*a";
  CHECK_FALSE(matches_pattern(pattern + "b", std::string(10'000, 'a'))); // would take for ever otherwise
}

TEST_CASE("a trace shows what an actor handles, and not what it says") {
  aviary t;
  const auto id = t.trace({"bird/left"});
  t.say_to(t.left);
  t.say_to(t.right);
  t.say_to(t.left, kinds::refuse, "simulation");
  caf::anon_send(t.left, 42, std::string{"a secret"});
  t.sim.run();
  const auto page = t.read(id);
  REQUIRE(page.messages.size() == 3);
  CHECK(page.dropped == 0);
  CHECK_FALSE(page.end);
  const auto& first = page.messages[0];
  CHECK(first.actor == "bird/left");
  CHECK(first.actor_kind == "parrot");
  CHECK(first.from == "@far");
  CHECK(first.type == "wirecast @str wire_message");
  CHECK(first.wire_kind == kinds::echo);
  CHECK(first.wire_bytes == say(kinds::echo).view().size());
  CHECK(first.outcome == message_outcome::handled);
  CHECK(first.handling > 0ns);
  CHECK(page.messages[1].from == "-"); // from this node, by nobody
  CHECK(page.messages[1].time >= first.time);
  CHECK(page.messages[2].type == "@i32 @str");
  CHECK_FALSE(page.messages[2].wire_kind);
  CHECK(page.messages[2].outcome == message_outcome::unhandled);
}

TEST_CASE("looking at an actor is not traced, its failing is, and its successor goes on") {
  aviary t;
  const auto id = t.trace({"bird/*"});
  t.sim.observatory().refresh();
  t.sim.run();
  CHECK(t.read(id).messages.empty());
  t.sim.system().spawn([&](caf::event_based_actor* self) {
    self->request(t.left, caf::infinite, wire_request_atom_v, std::string{"far"}, say(kinds::fail))
        .then([](const wire_message&) {}, [](const caf::error&) {});
  });
  t.sim.run();
  const auto failed = t.read(id).messages;
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].outcome == message_outcome::failed);
  t.say_to(t.sim.own(t.sim.system().spawn<parrot>("bird/left")));
  CHECK(t.read(id).messages.size() == 1);
}

TEST_CASE("a trace ends when it has what it was to have, and costs its actors nothing from then on") {
  aviary t;
  const auto id = t.trace({"parrot", 2});
  for (int i = 0; i < 5; ++i)
    t.say_to(t.left);
  const auto page = t.read(id);
  CHECK(page.messages.size() == 2);
  CHECK(page.end == trace_end::count);
  CHECK_FALSE(t.sim.observatory().traces().read(id));
  t.say_to(t.left);
  t.say_to(t.right);
  CHECK(t.sim.observatory().traces().meant("bird/left", "parrot") == 0);
}

TEST_CASE("a trace ends by time, also when nothing comes") {
  aviary t;
  const auto id = t.trace({"parrot", 2, 1ms});
  const auto begin = tracer::clock::now();
  while (tracer::clock::now() - begin < 2ms) {
  }
  t.say_to(t.left);
  const auto page = t.read(id);
  CHECK(page.messages.empty());
  CHECK(page.end == trace_end::time);
}

TEST_CASE("what a slow reader leaves is bounded and counted") {
  aviary t;
  const auto id = t.trace({"bird/left", tracer::max_count});
  for (std::size_t i = 0; i < tracer::max_waiting + 7; ++i)
    caf::anon_send(t.left, wire_cast_atom_v, std::string{"far"}, say(kinds::echo));
  t.sim.run();
  const auto page = t.read(id);
  CHECK(page.messages.size() == tracer::max_waiting);
  CHECK(page.dropped == 7);
}

TEST_CASE("traces run side by side, not more than there is room for, and end when they are told to") {
  aviary t;
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < tracer::max_traces; ++i)
    ids.push_back(t.trace({i % 2 == 0 ? "bird/left" : "parrot"}));
  const auto refused = t.sim.observatory().start_trace({"parrot"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == trace_refusal::too_many);
  t.say_to(t.right);
  CHECK(t.read(ids[0]).messages.empty());
  CHECK(t.read(ids[1]).messages.size() == 1);
  t.sim.observatory().traces().stop(ids[1]);
  CHECK_FALSE(t.sim.observatory().traces().read(ids[1]));
  // In the place of the former one, whose actors still have its bit.
  const auto next = t.trace({"bird/left"});
  t.say_to(t.right);
  t.say_to(t.left);
  CHECK(t.read(next).messages.size() == 1);
}

TEST_CASE("a trace of nobody is refused") {
  aviary t;
  const auto refused = t.sim.observatory().start_trace({"bird"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == trace_refusal::nobody);
}
