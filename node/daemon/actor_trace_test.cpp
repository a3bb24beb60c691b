#include "node/daemon/actor_trace.hpp"

#include "runtime/simulation.hpp"
#include "runtime/test_actors.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace glocal::node {
namespace {

using nlohmann::json;
using namespace runtime::test;

int refusal_of(const std::function<json()>& call) {
  try {
    (void)call();
    return 200;
  } catch (const api_refusal& refusal) {
    return refusal.status;
  }
}

} // namespace

TEST_CASE("a trace over the API: started, read, stopped") {
  runtime::simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  sim.run();
  auto& actors = sim.observatory();
  const auto started = start_actor_trace(actors, {{"match", "par*"}, {"count", 2}, {"seconds", 60}});
  CHECK(started["actors"] == 1);
  CHECK(started["count"] == 2);
  CHECK(started["seconds"] == 60.0);
  const json trace{{"id", started["id"]}};
  CHECK(read_actor_trace(actors, trace) == json{{"messages", json::array()}, {"dropped", 0}, {"end", nullptr}});
  for (int i = 0; i < 3; ++i)
    caf::anon_send(bird, runtime::wire_cast_atom_v, std::string{"far"},
                   runtime::make_message(0x0101, runtime::encode_name("secret")));
  sim.run();
  const auto page = read_actor_trace(actors, trace);
  CHECK(page["end"] == "count");
  REQUIRE(page["messages"].size() == 2);
  const auto& first = page["messages"][0];
  CHECK(first["actor"] == "parrot");
  CHECK(first["from"] == "@far");
  CHECK(first["kind"] == "store.batch_request");
  CHECK(first["bytes"] == 32);
  CHECK(first["outcome"] == "handled");
  CHECK(first["time_us"].is_number_integer());
  CHECK_THAT(page.dump(), !Catch::Contains("secret"));
  CHECK(refusal_of([&] { return read_actor_trace(actors, trace); }) == 404);
  CHECK(stop_actor_trace(actors, trace) == json::object());
}

TEST_CASE("what makes no trace is refused with the status that says why") {
  runtime::simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  sim.run();
  auto& actors = sim.observatory();
  const auto start = [&](const json& body) { return refusal_of([&] { return start_actor_trace(actors, body); }); };
  CHECK(start({{"match", "ghost"}}) == 404);
  CHECK(start(json::object()) == 400);
  CHECK(start({{"match", 7}}) == 400);
  CHECK(start({{"match", std::string(300, '*')}}) == 400);
  for (const auto& count : {json(0), json(-1), json(10'001), json("5"), json(1e300)})
    CHECK(start({{"match", "parrot"}, {"count", count}}) == 400);
  for (const auto& seconds : {json(0), json(601), json("1s")})
    CHECK(start({{"match", "parrot"}, {"seconds", seconds}}) == 400);
  CHECK(refusal_of([&] { return read_actor_trace(actors, {{"id", "x"}}); }) == 400);
  for (std::size_t i = 0; i < runtime::tracer::max_traces; ++i)
    CHECK(start({{"match", "parrot"}}) == 200);
  CHECK(start({{"match", "parrot"}}) == 429);
}

} // namespace glocal::node
