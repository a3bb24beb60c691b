// What the actors of an edge tell its switch and publish.

#include "actors/edge/edge_world_test.hpp"

using namespace glocal;
using namespace glocal::actors;
using namespace glocal::actors::testing;

TEST_CASE("an edge tells its switch what is attached, whom to trust and which rules there are") {
  world w;
  w.publish_service();
  w.put(store::table::mappings, model::keys::mapping(0, *parse_prefix("0.0.0.0/0")),
        model::encode(model::eid_mapping{0, *parse_prefix("0.0.0.0/0"), "inet", *parse_ip("172.16.4.2")}));
  const auto mappings = w.fast_path.all<dataplane::set_mappings>();
  REQUIRE_FALSE(mappings.empty());
  CHECK(mappings.back().table->lookup(0, *parse_ip("10.1.0.7"))->is_local());
  CHECK(mappings.back().table->lookup(0, *parse_ip("203.0.113.9"))->rloc == parse_ip("172.16.4.2").value());
  const auto trusted = w.fast_path.all<dataplane::set_known_rlocs>().back().rlocs;
  CHECK(std::count(trusted.begin(), trusted.end(), rloc_of_dc) == 1);
  CHECK(std::count(trusted.begin(), trusted.end(), *parse_ip("172.16.4.2")) == 1);
  // And its own attachment is global state.
  const auto own =
      w.execute(store::get_op{store::table::mappings, model::keys::mapping(0, *parse_prefix("10.1.0.0/24"))});
  REQUIRE(own.found);
  CHECK(model::decode<model::eid_mapping>(own.found->value)->node == "e1");
}

TEST_CASE("a new flow is decided, published and programmed with its path first") {
  world w;
  w.publish_service();
  const auto packet = w.raise(connection);
  const auto record = w.published(connection);
  REQUIRE(record);
  CHECK(record->initiator == "e1");
  CHECK(record->forward == packet.tuple);

  const auto paths = w.fast_path.all<dataplane::set_path>();
  const auto installs = w.fast_path.all<dataplane::install_flow>();
  REQUIRE(paths.size() == 1);
  CHECK(paths[0].path.id == record->path);
  CHECK(paths[0].path.hops.at(0).rloc == rloc_of_dc);
  REQUIRE(installs.size() == 1);
  CHECK(installs[0].path == record->path);
  CHECK(installs[0].hold == packet.hold);
  CHECK(installs[0].owner);
  // The path is in the switch before the flow that needs it.
  CHECK(std::holds_alternative<dataplane::set_path>(w.fast_path.orders.front()));
}

TEST_CASE("a second flow of the same chain uses the path there is") {
  world w;
  w.publish_service();
  w.raise(connection);
  w.raise("tcp 10.1.0.7:51515 > 203.0.113.9:80");
  CHECK(w.fast_path.all<dataplane::set_path>().size() == 1);
  CHECK(w.fast_path.all<dataplane::install_flow>().size() == 2);
}

TEST_CASE("another edge's earlier decision is adopted, not repeated") {
  world w;
  w.publish_service();
  const auto tuple = *parse_five_tuple(connection);
  w.put(store::table::paths, model::keys::path(0x500), model::encode(model::service_path{0x500, "web", {"fw-1"}}));
  w.put(store::table::flows, model::keys::flow(0, tuple),
        model::encode(model::flow_record{"web", "other-edge", 0x500, tuple, 0}));
  w.raise(connection);
  const auto installs = w.fast_path.all<dataplane::install_flow>();
  REQUIRE(installs.size() == 1);
  CHECK(installs[0].path == 0x500);
  CHECK_FALSE(installs[0].owner);
  CHECK(w.published(connection)->initiator == "other-edge");
}

TEST_CASE("a class without a healthy instance refuses its flows by the service's policy") {
  const auto policy = GENERATE(model::fallback::drop, model::fallback::pass);
  world w{policy};
  w.publish_service();
  w.put(store::table::digests, "firewall", model::encode(model::class_digest{"firewall", {}}));
  const auto packet = w.raise(connection);
  const auto refusals = w.fast_path.all<dataplane::refuse>();
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].hold == packet.hold);
  CHECK((refusals[0].answer == dataplane::refuse::verdict::pass) == (policy == model::fallback::pass));
  CHECK(refusals[0].reason == dataplane::drop_reason::decision_refused);
  CHECK_FALSE(w.published(connection));
}

TEST_CASE("when the store does not answer, what is held is answered within the deadline") {
  world w;
  w.publish_service();
  w.simulation.network().partition({{"e1"}, {"s1"}});
  const auto packet = w.raise(connection);
  CHECK(w.fast_path.all<dataplane::refuse>().empty());
  w.pass(2500ms);
  const auto refusals = w.fast_path.all<dataplane::refuse>();
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].hold == packet.hold);
  CHECK(refusals[0].reason == dataplane::drop_reason::store_unavailable);
}

TEST_CASE("a reply is looked up and never decided") {
  world w;
  w.publish_service();
  w.raise(connection);
  w.fast_path.orders.clear();

  SECTION("of a published flow: it is installed in the direction it was decided in") {
    w.raise("tcp 203.0.113.9:80 > 10.1.0.7:51514", dataplane::packet_in_reason::reply_rule);
    const auto installs = w.fast_path.all<dataplane::install_flow>();
    REQUIRE(installs.size() == 1);
    CHECK(to_string(installs[0].forward) == connection);
    CHECK_FALSE(installs[0].owner);
  }
  SECTION("of nothing: dropped, because the firewall keeps state") {
    w.raise("tcp 203.0.113.9:80 > 10.1.0.7:4444", dataplane::packet_in_reason::reply_rule);
    REQUIRE(w.fast_path.all<dataplane::refuse>().size() == 1);
    CHECK(w.fast_path.all<dataplane::refuse>()[0].reason == dataplane::drop_reason::reply_unknown_flow);
    CHECK_FALSE(w.published("tcp 203.0.113.9:80 > 10.1.0.7:4444"));
  }
  SECTION("out of a VNF that never got the flow: dropped") {
    w.raise("udp 1.2.3.4:5 > 10.1.0.7:6", dataplane::packet_in_reason::vnf_miss);
    REQUIRE(w.fast_path.all<dataplane::refuse>().size() == 1);
    CHECK(w.fast_path.all<dataplane::refuse>()[0].reason == dataplane::drop_reason::vnf_unknown_flow);
  }
}

TEST_CASE("a path the switch has never seen is resolved once; one that nobody published is refused") {
  world w;
  w.publish_service();
  dataplane::packet_in miss;
  miss.reason = dataplane::packet_in_reason::path_miss;
  miss.hold = 900;

  SECTION("published") {
    w.put(store::table::paths, model::keys::path(0x700), model::encode(model::service_path{0x700, "web", {"fw-1"}}));
    miss.spi = 0x701;
    w.fast_path.events.push_back(miss);
    caf::anon_send(w.e1.directory->find(edge_names::switch_agent("e1")), runtime::wake_atom_v);
    w.pass(10ms);
    REQUIRE(w.fast_path.all<dataplane::set_path>().size() == 1);
    CHECK(w.fast_path.all<dataplane::set_path>()[0].path.id == 0x700);
  }
  SECTION("unknown") {
    miss.spi = 0x800;
    w.fast_path.events.push_back(miss);
    caf::anon_send(w.e1.directory->find(edge_names::switch_agent("e1")), runtime::wake_atom_v);
    w.pass(10ms);
    REQUIRE(w.fast_path.all<dataplane::refuse>().size() == 1);
    CHECK(w.fast_path.all<dataplane::refuse>()[0].hold == 900);
    CHECK(w.fast_path.all<dataplane::refuse>()[0].reason == dataplane::drop_reason::unknown_path);
  }
}

TEST_CASE("re-steering a path reprograms the switch by one command, without a word about its flows") {
  world w;
  w.publish_service();
  w.raise(connection);
  const auto id = w.published(connection)->path;
  w.put(store::table::instances, "fw-2",
        model::encode(model::vnf_instance{"fw-2", "firewall", "dc2", *parse_ip("172.16.3.2")}));
  w.fast_path.orders.clear();
  w.put(store::table::paths, model::keys::path(id), model::encode(model::service_path{id, "web", {"fw-2"}}));
  const auto paths = w.fast_path.all<dataplane::set_path>();
  REQUIRE(paths.size() == 1);
  CHECK(paths[0].path.hops.at(0).rloc == parse_ip("172.16.3.2").value());
  CHECK(w.fast_path.all<dataplane::install_flow>().empty());
}

TEST_CASE("a flow that ended leaves the store, and a later one of that tuple is decided anew") {
  world w;
  w.publish_service();
  const auto packet = w.raise(connection);
  dataplane::flow_removed ended;
  ended.forward = packet.tuple;
  ended.cookie = 1;
  w.fast_path.events.push_back(ended);
  caf::anon_send(w.e1.directory->find(edge_names::switch_agent("e1")), runtime::wake_atom_v);
  w.pass(10ms);
  CHECK_FALSE(w.published(connection));
  w.raise(connection);
  CHECK(w.published(connection));
}

TEST_CASE("a killed service module comes back, and its flows are found in the store instead of decided twice") {
  world w;
  w.publish_service();
  w.raise(connection);
  const auto first = w.published(connection);
  caf::anon_send_exit(w.e1.directory->find(edge_names::service_module("e1", "web")), caf::exit_reason::kill);
  w.pass(1s);
  REQUIRE(w.e1.directory->find(edge_names::service_module("e1", "web")));
  w.fast_path.orders.clear();
  w.raise(connection);
  CHECK(w.published(connection) == first);
  REQUIRE(w.fast_path.all<dataplane::install_flow>().size() == 1);
  CHECK(w.fast_path.all<dataplane::install_flow>()[0].path == first->path);
  CHECK(w.fast_path.all<dataplane::install_flow>()[0].owner);
}

TEST_CASE("a killed switch agent comes back, learns what it had, and decides and programs as before") {
  world w;
  w.publish_service();
  caf::anon_send_exit(w.e1.directory->find(edge_names::switch_agent("e1")), caf::exit_reason::kill);
  w.pass(1s);
  CHECK_FALSE(w.fast_path.all<dataplane::set_classifier>().empty());
  w.fast_path.orders.clear();
  const auto packet = w.raise(connection);
  REQUIRE(w.fast_path.all<dataplane::set_path>().size() == 1);
  REQUIRE(w.fast_path.all<dataplane::install_flow>().size() == 1);
  CHECK(w.fast_path.all<dataplane::install_flow>()[0].hold == packet.hold);
}

TEST_CASE("a switch that is behind is given its orders later, in order") {
  world w;
  w.publish_service();
  w.fast_path.is_busy = true;
  w.raise(connection);
  CHECK(w.fast_path.orders.empty());
  w.fast_path.is_busy = false;
  w.pass(10ms);
  REQUIRE(w.fast_path.orders.size() == 2);
  CHECK(std::holds_alternative<dataplane::set_path>(w.fast_path.orders[0]));
  CHECK(std::holds_alternative<dataplane::install_flow>(w.fast_path.orders[1]));
}

TEST_CASE("an edge whose lease ran out publishes its mappings and flows again") {
  world w;
  w.publish_service();
  w.raise(connection);
  w.simulation.network().partition({{"e1"}, {"s1"}});
  w.pass(30s);
  w.simulation.network().heal();
  w.pass(10s);
  CHECK(w.published(connection));
  CHECK(w.execute(store::get_op{store::table::mappings, model::keys::mapping(0, *parse_prefix("10.1.0.0/24"))}).ok());
}

// --- Cut off from the store
// ------------------------------------------------------------------------------------------

namespace {

constexpr const char* other_connection = "tcp 10.1.0.7:51515 > 203.0.113.9:80";

/// An edge with a published path that lost its store after the first flow.
struct cut_off_world : world {
  explicit cut_off_world(model::affinity affinity = model::affinity::provisional) {
    web.affinity = affinity;
    publish_service();
    raise("tcp 10.1.0.7:1 > 203.0.113.9:80");
    known_path = fast_path.all<dataplane::install_flow>().at(0).path;
    fast_path.orders.clear();
    simulation.network().partition({{"e1"}, {"s1"}});
  }

  /// What an edge on the store's side of the cut decides.
  void decided_elsewhere(const std::string& tuple, model::path_id path) {
    const auto there = make_client(s1);
    const auto as_s1 = std::exchange(e1_client, there);
    const auto parsed = *parse_five_tuple(tuple);
    put(store::table::paths, model::keys::path(path), model::encode(model::service_path{path, "web", {"fw-1"}}));
    put(store::table::flows, model::keys::flow(0, parsed),
        model::encode(model::flow_record{"web", "other-edge", path, parsed, 0}));
    e1_client = as_s1;
  }

  void heal() {
    simulation.network().heal();
    pass(10s);
  }

  void end(const dataplane::install_flow& flow) {
    fast_path.events.push_back(
        dataplane::flow_removed{flow.tenant, flow.forward, flow.cookie, 1, 1, dataplane::removal::idle});
    caf::anon_send(e1.directory->find(edge_names::switch_agent("e1")), runtime::wake_atom_v);
    pass(1s);
  }

  std::vector<dataplane::install_flow> installs() const { return fast_path.all<dataplane::install_flow>(); }

  model::path_id known_path = 0;
};

} // namespace

TEST_CASE("a provisional service decides while the store does not answer, and publishes when it does") {
  cut_off_world w;
  w.raise(connection);
  w.pass(2500ms);
  REQUIRE(w.installs().size() == 1);
  CHECK(w.installs()[0].path == w.known_path);
  CHECK(w.installs()[0].owner);
  // Only the first had to wait for the store to be missed.
  w.raise(other_connection);
  REQUIRE(w.installs().size() == 2);
  CHECK(w.fast_path.all<dataplane::refuse>().empty());
  w.heal();
  for (const auto* tuple : {connection, other_connection}) {
    REQUIRE(w.published(tuple));
    CHECK(w.published(tuple)->initiator == "e1");
    CHECK(w.published(tuple)->path == w.known_path);
  }
  // From then on they are flows like all others.
  w.end(w.installs()[0]);
  CHECK_FALSE(w.published(connection));
}

TEST_CASE("after a cut the first published decision stands, and the edge whose decision lost moves its flow") {
  cut_off_world w;
  w.raise(connection);
  w.pass(2500ms);
  REQUIRE(w.installs().size() == 1);
  w.decided_elsewhere(connection, 0x500);
  w.heal();
  CHECK(w.published(connection)->initiator == "other-edge");
  REQUIRE(w.installs().size() == 2);
  CHECK(w.installs()[1].path == 0x500);
  // The switch holds the flow as its own: it moves by its owner's word only.
  CHECK(w.installs()[1].owner);
  // It is the other edge's to erase.
  w.end(w.installs()[1]);
  CHECK(w.published(connection));
}

TEST_CASE("a flow that began and ended during a cut leaves nothing in the store") {
  cut_off_world w;
  w.raise(connection);
  w.pass(2500ms);
  w.end(w.installs().at(0));
  w.heal();
  CHECK_FALSE(w.published(connection));
}

TEST_CASE("a chain that other edges could not resolve is not used during a cut") {
  world w;
  w.web.affinity = model::affinity::provisional;
  w.publish_service();
  w.simulation.network().partition({{"e1"}, {"s1"}});
  const auto packet = w.raise(connection);
  w.pass(2500ms);
  const auto refusals = w.fast_path.all<dataplane::refuse>();
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].hold == packet.hold);
}

TEST_CASE("once the store answers for a while, decisions are published before they are programmed") {
  cut_off_world w;
  w.raise(connection);
  w.pass(2500ms);
  w.heal();
  w.raise(other_connection);
  w.pass(1s);
  w.decided_elsewhere("tcp 10.1.0.7:51516 > 203.0.113.9:80", 0x500);
  w.fast_path.orders.clear();
  w.raise("tcp 10.1.0.7:51516 > 203.0.113.9:80");
  REQUIRE(w.installs().size() == 1);
  CHECK(w.installs()[0].path == 0x500);
  CHECK_FALSE(w.installs()[0].owner);
}

TEST_CASE("an edge whose lease ran out yields to what was decided meanwhile, whatever the affinity") {
  const auto affinity = GENERATE(model::affinity::strict, model::affinity::provisional);
  cut_off_world w{affinity};
  w.pass(30s);
  w.decided_elsewhere("tcp 10.1.0.7:1 > 203.0.113.9:80", 0x500);
  w.heal();
  CHECK(w.published("tcp 10.1.0.7:1 > 203.0.113.9:80")->initiator == "other-edge");
  REQUIRE_FALSE(w.installs().empty());
  CHECK(w.installs().back().path == 0x500);
}
