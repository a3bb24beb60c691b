// The register on the first store node: what it said before a restart it says after it, or it says nothing.

#include "actors/store/embedded_register.hpp"
#include "actors/store/frames.hpp"
#include "actors/store/names.hpp"
#include "runtime/simulation.hpp"
#include "store/memory_engine.hpp"
#include "store/replica_codec.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::actors;
using store::frame_kind;
using kind = store::set_outcome::kind;

namespace {

const store::member a{"s1", 1}, b{"s2", 1};

/// One node with a register of four slots on a disk, and another that asks.
struct fixture {
  fixture() { start(); }

  void start() {
    const auto server = simulation.own(simulation.system().spawn<embedded_register_server>(
        s1, std::make_shared<store::memory_engine>(disk), store::slot_id{4}));
    s1.directory->add(std::string{register_server_name}, server);
    simulation.run();
  }

  /// Empty when it does not answer.
  std::optional<store::set_outcome> ask(const store::register_request& request) {
    const auto outcome =
        simulation.ask(e1, {"s1", std::string{register_server_name}}, frame(frame_kind::register_request, request));
    simulation.run();
    simulation.advance(std::chrono::seconds{10});
    if (!outcome->reply)
      return {};
    auto reply = store::decode_register_reply(outcome->reply->view());
    REQUIRE(reply);
    return *reply;
  }

  runtime::simulation simulation;
  runtime::transport s1 = simulation.node("s1"), e1 = simulation.node("e1");
  std::shared_ptr<store::memory_disk> disk = std::make_shared<store::memory_disk>();
};

} // namespace

TEST_CASE_METHOD(fixture, "an embedded register sets what was expected, and remembers it over a restart") {
  CHECK(ask({2})->now.version == 0);
  const auto first = ask({2, 0, store::slot_view{1, a, {a}}});
  REQUIRE(first->what == kind::done);
  CHECK(ask({2, 0, store::slot_view{1, b, {b}}})->what == kind::conflict);
  start();
  const auto after = ask({2});
  CHECK(after->now == first->now);
  CHECK(ask({2, after->now.version, store::slot_view{2, b, {a, b}}})->what == kind::done);
  CHECK(ask({3})->now.version == 0);
}

TEST_CASE_METHOD(fixture, "an embedded register whose disk fails says that it does not know") {
  disk->broken = true;
  CHECK(ask({2, 0, store::slot_view{1, a, {a}}})->what == kind::unknown);
}

TEST_CASE_METHOD(fixture, "an embedded register that can't read what it had said does not say that it was never set") {
  REQUIRE(ask({2, 0, store::slot_view{1, a, {a}}})->what == kind::done);
  for (auto& [key, row] : disk->slots.at(2).entries)
    row.value = "not a view";
  start();
  CHECK_FALSE(ask({2}));
}
