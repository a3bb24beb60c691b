#include "actors/store/digest_actor.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "actors/store/store_cluster_test.hpp"

#include <set>

using namespace glocal;
using namespace glocal::actors;
using namespace std::chrono_literals;
using store::table;

namespace {

struct fixture : store_cluster {
  fixture() {
    for (auto& [name, host] : hosts)
      sim.own(sim.system().spawn<digest_actor>(digest_settings{ring, name}, add_client(host.transport)));
    sim.run();
  }
  void place(const std::string& instance, const std::string& vnf_class, const std::string& node) {
    put(table::instances, model::keys::instance(instance),
        model::encode(model::vnf_instance{instance, vnf_class, node, ip_address::v4(0x0a000001)}));
  }
  void report(const std::string& instance, const std::string& vnf_class, std::uint64_t flows, bool healthy = true,
              std::uint64_t sequence = 1) {
    model::instance_status status{instance, vnf_class, 1, sequence, healthy, flows};
    put(table::status, model::keys::status(vnf_class, instance), model::encode(status));
  }
  void put(table in, std::string key, std::string value) {
    user->execute({store::put_op{in, std::move(key), std::move(value)}}, [](auto) {});
    sim.run();
  }
  /// "instance@node:flows ..." in the digest's order; "none" when there is no digest.
  std::string digest(const std::string& vnf_class) {
    store::contract_probe probe{*this};
    const auto value = probe.value(table::digests, model::keys::digest(vnf_class));
    if (value.empty())
      return "none";
    const auto digest = model::decode<model::class_digest>(value);
    REQUIRE(digest);
    std::string out;
    for (const auto& each : digest->candidates)
      out += each.instance + "@" + each.node + ":" + std::to_string(each.flows) + " ";
    return out;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a digest holds the healthy, placed instances of its class, least flows first") {
  place("fw-1", "fw", "dc1");
  place("fw-2", "fw", "dc2");
  place("fw-3", "fw", "dc2");
  place("opt-1", "opt", "dc2");
  report("fw-1", "fw", 7);
  report("fw-2", "fw", 3);
  report("fw-3", "fw", 1, false);
  report("fw-4", "fw", 0); // nobody knows where it is
  report("opt-1", "opt", 9);
  sim.advance(1500ms);
  CHECK(digest("fw") == "fw-2@dc2:3 fw-1@dc1:7 ");
  CHECK(digest("opt") == "opt-1@dc2:9 ");
  CHECK(digest("other") == "none");
}

TEST_CASE_METHOD(fixture, "a digest follows its instances about once a second") {
  place("fw-1", "fw", "dc1");
  place("fw-2", "fw", "dc2");
  report("fw-1", "fw", 1);
  report("fw-2", "fw", 2);
  sim.advance(1500ms);
  report("fw-1", "fw", 5, true, 2);
  sim.advance(1500ms);
  CHECK(digest("fw") == "fw-2@dc2:2 fw-1@dc1:5 ");
  report("fw-1", "fw", 0, true, 1); // an older report that was delayed
  sim.advance(1500ms);
  CHECK(digest("fw") == "fw-2@dc2:2 fw-1@dc1:5 ");
  user->execute({store::erase_op{table::status, model::keys::status("fw", "fw-2"), {}}}, [](auto) {});
  sim.advance(1500ms);
  CHECK(digest("fw") == "fw-1@dc1:5 ");
  user->execute({store::erase_op{table::instances, model::keys::instance("fw-1"), {}}}, [](auto) {});
  sim.advance(1500ms);
  CHECK(digest("fw").empty());
}

TEST_CASE_METHOD(fixture, "one node writes a class's digest, and only when it changed") {
  place("fw-1", "fw", "dc1");
  for (std::uint64_t i = 1; i <= 5; ++i) {
    report("fw-1", "fw", 1, true, i);
    sim.advance(1500ms);
  }
  std::uint64_t written = 0;
  sim.observatory().refresh();
  sim.run();
  for (const auto& record : sim.observatory().snapshot())
    for (const auto& [name, value] : record.state)
      if (record.kind == "digests" && name == "written")
        written += std::stoull(value);
  CHECK(written == 1);
}

TEST_CASE_METHOD(fixture, "a class with more instances than a digest holds is dealt into hands of equal load") {
  for (std::uint64_t i = 0; i < 80; ++i) {
    const auto name = "fw-" + std::to_string(100 + i);
    place(name, "fw", "dc1");
    report(name, "fw", 80 - i);
  }
  sim.advance(1500ms);
  const auto hand_of = [&](std::uint32_t hand) {
    store::contract_probe probe{*this};
    return model::decode<model::class_digest>(probe.value(table::digests, model::keys::digest("fw", hand)));
  };
  std::set<std::string> seen;
  for (std::uint32_t hand = 0; hand < 2; ++hand) {
    const auto digest = hand_of(hand);
    REQUIRE(digest);
    CHECK(digest->hand == hand);
    CHECK(digest->hands == 2);
    REQUIRE(digest->candidates.size() == 40);
    double flows = 0;
    for (const auto& each : digest->candidates) {
      seen.insert(each.instance);
      flows += static_cast<double>(each.flows);
    }
    CHECK(flows / 40 == Approx(40.5).margin(1));
    CHECK(digest->candidates.front().flows <= 2);
    CHECK(digest->candidates.back().flows >= 79);
  }
  CHECK(seen.size() == 80);

  // What fits one hand again is one, and the other is no more.
  for (std::uint64_t i = 0; i < 20; ++i)
    report("fw-" + std::to_string(100 + i), "fw", 0, false, 2);
  sim.advance(1500ms);
  CHECK(hand_of(0)->hands == 1);
  CHECK(hand_of(0)->candidates.size() == 60);
  CHECK(!hand_of(1));
}

TEST_CASE_METHOD(fixture, "where capacities are known, load is measured by them") {
  place("fw-1", "fw", "dc1");
  place("fw-2", "fw", "dc1");
  put(table::instances, "fw-2", model::encode(model::vnf_instance{"fw-2", "fw", "dc1", ip_address::v4(1), 1000}));
  put(table::instances, "fw-1", model::encode(model::vnf_instance{"fw-1", "fw", "dc1", ip_address::v4(1), 10}));
  report("fw-1", "fw", 9);
  report("fw-2", "fw", 100);
  sim.advance(1500ms);
  CHECK(digest("fw") == "fw-2@dc1:100 fw-1@dc1:9 ");
}
