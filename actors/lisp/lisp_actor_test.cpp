#include "actors/lisp/lisp_actor.hpp"

#include "actors/lisp/testing/lisp_world.hpp"
#include "actors/store/memory_storage.hpp"
#include "actors/store/process_register.hpp"
#include "actors/store/store_client.hpp"
#include "actors/store/store_node.hpp"
#include "runtime/simulation.hpp"

#include <catch2/catch.hpp>

namespace glocal::actors {
namespace {

using namespace std::chrono_literals;

/// What an endpoint received, for whoever waits for it.
struct inbox {
  std::mutex lock;
  std::condition_variable changed;
  std::vector<lisp::datagram> datagrams;
  std::size_t oversized = 0;

  lisp::udp_endpoint::receiver receiver() {
    return [this](lisp::udp_endpoint::batch&& batch) {
      {
        const std::lock_guard guard{lock};
        oversized += batch.oversized;
        for (auto& one : batch.datagrams)
          datagrams.push_back(std::move(one));
      }
      changed.notify_all();
    };
  }
  template <class Holds>
  bool until(Holds holds) {
    std::unique_lock guard{lock};
    return changed.wait_for(guard, 30s, [&] { return holds(*this); });
  }
};

bytes text(std::string_view from) {
  const auto octets = std::as_bytes(std::span{from});
  return {octets.begin(), octets.end()};
}

} // namespace

TEST_CASE("datagrams come with both addresses, and answers leave from the address that was asked") {
  for (const auto* where : {"127.0.0.1", "::1"}) {
    INFO(where);
    const auto address = parse_ip(where).value();
    inbox server_box, client_box;
    const auto server = lisp::udp_endpoint::open({address}, 0, server_box.receiver());
    const auto client = lisp::udp_endpoint::open({address}, 0, client_box.receiver());
    if (!server && address.family == ip_family::v6)
      continue; // a machine without IPv6
    REQUIRE((server && client));
    std::vector<lisp::datagram> many;
    for (int i = 0; i < 200; ++i)
      many.push_back({{address, (*server)->port()}, address, text("hello " + std::to_string(i))});
    many.push_back({{address, (*server)->port()}, address, bytes(lisp::max_datagram_bytes + 1)});
    (*client)->send(many);
    CHECK(server_box.until([](const inbox& box) { return box.datagrams.size() == 200 && box.oversized == 1; }));
    const auto& first = server_box.datagrams.front();
    CHECK(first.local == address);
    CHECK(first.remote == lisp::peer{address, (*client)->port()});
    CHECK(first.payload == text("hello 0"));
    (*server)->send({{first.remote, first.local, text("welcome")}});
    CHECK(client_box.until([](const inbox& box) { return box.datagrams.size() == 1; }));
    CHECK(client_box.datagrams[0].remote == lisp::peer{address, (*server)->port()});
  }
}

TEST_CASE("an address that is not this machine's is said") {
  inbox box;
  const auto opened = lisp::udp_endpoint::open({parse_ip("192.0.2.77").value()}, 4342, box.receiver());
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error(), Catch::Contains("192.0.2.77 port 4342: "));
}

TEST_CASE("a Map-Server announces itself, registers in the store, and sees what others of the cluster have") {
  runtime::simulation sim;
  const auto ring = std::make_shared<const store::hash_ring>(*store::hash_ring::make({{"s1", ""}}, 16));
  const auto s1 = sim.node("s1"), n1 = sim.node("n1");
  store_node_settings node;
  node.ring = ring;
  node.config_register = process_register::factory(std::make_shared<process_register::values>());
  s1.directory->add(std::string{store_node_name},
                    sim.own(sim.system().spawn<store_node>(node, s1, memory_disks{}.storage(ring->slot_count()))));
  store_client_settings client_settings;
  client_settings.ring = ring;
  const auto client = sim.own(sim.system().spawn<store_client>(client_settings, n1));
  n1.directory->add(std::string{store_client_name}, client);
  const auto server = [&](const std::string& name) {
    return sim.own(sim.system().spawn<lisp_actor>(lisp_settings{lisp::testing::settings_of(name), hash_text(name) | 1},
                                                  std::shared_ptr<lisp::udp_endpoint>{}, client));
  };
  const auto one = server("l1"), two = server("l2");
  sim.advance(1s);
  const auto state = [&](const std::string& name, const std::string& key) {
    sim.observatory().refresh();
    sim.run();
    for (const auto& record : sim.observatory().snapshot())
      if (record.name == "lisp/" + name)
        for (const auto& [entry, value] : record.state)
          if (entry == key)
            return value;
    return std::string{};
  };
  CHECK((state("l1", "ready") == "true" && state("l2", "ready") == "true"));
  lisp_datagrams received;
  const auto message =
      lisp::testing::register_of({lisp::testing::record_of("192.168.1.0/24", {lisp::testing::locator_at("10.0.3.2")})});
  const auto written = lisp::encode_signed(message, lisp::testing::branch_secret, lisp::testing::oor_method).value();
  received.batch.datagrams.push_back({{parse_ip("10.0.3.2").value(), 4342}, parse_ip("10.0.2.2").value(), written});
  received.batch.oversized = 3;
  caf::anon_send(one, received);
  sim.advance(1s);
  CHECK((state("l1", "mappings") == "1" && state("l2", "mappings") == "1"));
  CHECK(
      (state("l1", "written") == "1" && state("l1", "map_notifies") == "1" && state("l1", "refused_oversized") == "3"));
  // Nobody refreshes it; the servers' own leases are kept.
  sim.advance(181s);
  CHECK(state("l2", "mappings") == "0");
  CHECK(state("l1", "ready") == "true");
  n1.directory->clear();
  s1.directory->clear();
}

} // namespace glocal::actors
