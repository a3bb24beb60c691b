// The walk of Figure 3 over four switches in memory: subscriber, two datacentres, Internet. Whoever is at the other end
// of a link, host, function or underlay router, is a few lines here; the agent's part is played by answer().

#include "dataplane/switch/testing/bench.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <functional>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

constexpr port_id host_port = 0, underlay_port = 1;
constexpr std::uint32_t path = 100;

/// A function with its arms at two ports of an edge.
struct function {
  std::string name;
  port_id in, out;
  std::size_t crossed_forward = 0, crossed_reverse = 0;
};

struct node {
  node(std::string called, std::string locator, std::vector<function> hosted)
      : name{std::move(called)}, rloc{std::move(locator)}, functions{std::move(hosted)} {}

  std::string name, rloc;
  std::vector<function> functions;
  bench edge{{.hash_key = 42}};
};

class figure3 {
public:
  figure3() {
    add("subscriber", "192.0.1.1", {});
    add("dc1", "192.0.2.1", {{"fw1", 2, 3}, {"fw2", 4, 5}});
    add("dc2", "192.0.3.1", {{"opt1", 2, 3}});
    add("internet", "192.0.4.1", {});
    std::vector<ip_address> rlocs;
    for (const auto& each : nodes)
      rlocs.push_back(parse_ip(each.rloc).value());
    for (auto& each : nodes) {
      const bool is_subscriber = each.name == "subscriber", is_internet = each.name == "internet";
      each.edge.order(set_known_rlocs{rlocs});
      each.edge.order(set_classifier{http_service()});
      each.edge.order(set_mappings{
          eid_table::make(
              {is_subscriber ? local_route("10.1.0.0/16", host_port) : remote_route("10.1.0.0/16", "192.0.1.1"),
               is_internet ? local_route("0.0.0.0/0", host_port) : remote_route("0.0.0.0/0", "192.0.4.1")})
              .value()});
    }
    settle();
  }

  node& at(std::string_view name) {
    return *std::ranges::find(nodes, name, [](const node& each) -> std::string_view { return each.name; });
  }
  function& vnf(std::string_view name) {
    for (auto& each : nodes)
      for (auto& candidate : each.functions)
        if (candidate.name == name)
          return candidate;
    throw std::logic_error{"no such function"};
  }

  /// The path as `where` sees it: `chain` in the initiator's order.
  path_program program(const node& where, const std::vector<std::string>& chain) {
    path_program out{path, {}};
    for (const auto& wanted : chain)
      for (auto& each : nodes)
        for (const auto& candidate : each.functions)
          if (candidate.name == wanted)
            out.hops.push_back(&each == &where ? local_hop(candidate.in, candidate.out) : remote_hop(each.rloc));
    return out;
  }
  void set_path_everywhere(const std::vector<std::string>& chain) {
    for (auto& each : nodes)
      each.edge.order(set_path{program(each, chain)});
  }

  /// Lets frames travel until all is quiet.
  void settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& from : nodes)
        for (auto& [port, frame] : from.edge.sent()) {
          moved = true;
          arrive(from, port, std::move(frame));
        }
    }
  }
  void send(std::string_view from, const bytes& frame) {
    at(from).edge.receive(host_port, frame);
    settle();
  }

  std::deque<node> nodes;
  /// IP packets that came out at a host, with their node.
  std::vector<std::pair<std::string, bytes>> delivered;
  std::vector<std::string> crossings;
  /// Overlay packets on the underlay.
  std::size_t carried = 0;

private:
  void add(const std::string& name, const std::string& rloc, std::vector<function> functions) {
    auto& made = nodes.emplace_back(name, rloc, std::move(functions));
    const bool is_subscriber = made.name == "subscriber";
    auto host = attachment(host_port, is_subscriber ? "10.1.0.1/16" : "203.0.113.1/24");
    made.edge.order(add_port{host});
    const auto prefix = rloc.substr(0, rloc.size() - 1);
    made.edge.order(add_port{underlay(underlay_port, rloc + "/24", prefix + "254")});
    for (const auto& each : made.functions) {
      made.edge.order(add_port{arm(each.in, port_kind::vnf_in, "169.254.1.1/30", "169.254.1.2")});
      made.edge.order(add_port{arm(each.out, port_kind::vnf_out, "169.254.2.1/30", "169.254.2.2")});
    }
  }

  void arrive(node& from, port_id port, bytes frame) {
    const auto what = parsed(frame);
    if (is_neighbour_message(what)) {
      const auto asked = decode_neighbour(frame, what).value();
      if (asked.op == neighbour_message::operation::solicit)
        from.edge.receive(port, arp_reply(host_mac, to_string(asked.target), edge_mac, to_string(asked.asker)));
      return;
    }
    if (port == underlay_port) {
      ++carried;
      set_ethernet_addresses(frame.data(), edge_mac, host_mac);
      for (auto& to : nodes)
        if (to.rloc == to_string(what.tuple.destination))
          return to.edge.receive(underlay_port, frame);
      FAIL("underlay packet to nobody: " << to_string(what.tuple));
    }
    if (port == host_port) {
      delivered.emplace_back(from.name, frame);
      return;
    }
    for (auto& each : from.functions)
      if (port == each.in || port == each.out) {
        const bool forward = port == each.in;
        ++(forward ? each.crossed_forward : each.crossed_reverse);
        crossings.push_back(each.name + (forward ? ">" : "<"));
        set_ethernet_addresses(frame.data(), edge_mac, host_mac);
        auto routed = what;
        REQUIRE_FALSE(decrement_ttl(frame.data(), routed)); // it is a router
        from.edge.receive(forward ? each.out : each.in, frame);
      }
  }
};

packet_builder request(std::uint16_t port = 51514, std::uint8_t flags = tcp_flag::ack) {
  return std::move(packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(port, 80, flags));
}
packet_builder reply(std::uint16_t port = 51514, std::uint8_t flags = tcp_flag::ack) {
  return std::move(packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(80, port, flags));
}

/// The agents' part: the first edge decides `chain`, the others resolve the path. @return what they were asked, in
/// order.
std::vector<std::string> answer(figure3& network, const std::vector<std::string>& chain) {
  std::vector<std::string> asked;
  for (bool busy = true; busy;) {
    busy = false;
    for (auto& each : network.nodes)
      for (const auto& question : each.edge.packet_ins()) {
        busy = true;
        if (question.reason == packet_in_reason::path_miss) {
          asked.push_back(each.name + " resolves " + std::to_string(question.spi));
          each.edge.order(set_path{network.program(each, chain)});
        } else {
          asked.push_back(each.name + " decides");
          REQUIRE(question.reason == packet_in_reason::rule);
          each.edge.order(set_path{network.program(each, chain)});
          each.edge.order(install_flow{
              .tenant = 0, .forward = question.tuple, .path = path, .cookie = 9, .owner = true, .hold = question.hold});
        }
        network.settle();
      }
  }
  return asked;
}

} // namespace

TEST_CASE("a connection crosses the same functions in both directions, and only its first edge decides") {
  figure3 network;
  const auto syn = request(51514, tcp_flag::syn).payload("first").build();
  network.send("subscriber", syn);
  CHECK(network.delivered.empty());
  CHECK(answer(network, {"fw1", "opt1"}) == std::vector<std::string>{"subscriber decides", "dc1 resolves 100",
                                                                     "dc2 resolves 100", "internet resolves 100"});
  CHECK(network.crossings == std::vector<std::string>{"fw1>", "opt1>"});
  REQUIRE(network.delivered.size() == 1);
  CHECK(network.delivered[0].first == "internet");
  // What arrives is what was sent, three routers further: the ingress edge and two functions.
  CHECK(network.delivered[0].second ==
        request(51514, tcp_flag::syn).payload("first").ttl(64 - 3).macs(edge_mac, host_mac).build());

  network.crossings.clear();
  network.delivered.clear();
  network.send("internet", reply(51514, tcp_flag::syn | tcp_flag::ack).payload("second").build());
  CHECK(answer(network, {}).empty());
  CHECK(network.crossings == std::vector<std::string>{"opt1<", "fw1<"});
  REQUIRE(network.delivered.size() == 1);
  CHECK(network.delivered[0].first == "subscriber");
  CHECK(network.delivered[0].second ==
        reply(51514, tcp_flag::syn | tcp_flag::ack).payload("second").ttl(64 - 3).macs(edge_mac, host_mac).build());

  // From now on nobody asks anything.
  for (int i = 0; i < 10; ++i) {
    network.send("subscriber", request().payload("data").build());
    network.send("internet", reply().payload("data").build());
  }
  CHECK(answer(network, {}).empty());
  CHECK(network.delivered.size() == 21);
  CHECK(network.vnf("fw1").crossed_forward == 11);
  CHECK(network.vnf("fw1").crossed_reverse == 11);
  CHECK(network.vnf("opt1").crossed_forward == 11);
  CHECK(network.vnf("opt1").crossed_reverse == 11);
  CHECK(network.carried == std::size_t{22} * 3);
  for (auto& each : network.nodes)
    CHECK(each.edge.new_drops() == "none");
}

TEST_CASE("a second flow of a known path asks only at the edge that decides") {
  figure3 network;
  network.send("subscriber", request(50001, tcp_flag::syn).build());
  (void)answer(network, {"fw1", "opt1"});
  network.send("subscriber", request(50002, tcp_flag::syn).build());
  CHECK(answer(network, {"fw1", "opt1"}) == std::vector<std::string>{"subscriber decides"});
  CHECK(network.delivered.size() == 2);
}

TEST_CASE("one set_path moves the flows of a path to another instance, in both directions") {
  figure3 network;
  for (std::uint16_t port = 50000; port < 50010; ++port)
    network.send("subscriber", request(port, tcp_flag::syn).build());
  (void)answer(network, {"fw1", "opt1"});
  for (std::uint16_t port = 50000; port < 50010; ++port)
    network.send("internet", reply(port).build());
  CHECK(network.vnf("fw1").crossed_forward == 10);
  CHECK(network.vnf("fw1").crossed_reverse == 10);

  network.set_path_everywhere({"fw2", "opt1"});
  network.delivered.clear();
  for (std::uint16_t port = 50000; port < 50010; ++port) {
    network.send("internet", reply(port).build());
    network.send("subscriber", request(port).build());
  }
  CHECK(answer(network, {}).empty());
  CHECK(network.delivered.size() == 20);
  CHECK(network.vnf("fw1").crossed_forward == 10);
  CHECK(network.vnf("fw1").crossed_reverse == 10);
  CHECK(network.vnf("fw2").crossed_forward == 10);
  CHECK(network.vnf("fw2").crossed_reverse == 10);

  // To another edge altogether: dc1 has no part in it any more.
  network.set_path_everywhere({"opt1"});
  network.delivered.clear();
  for (std::uint16_t port = 50000; port < 50010; ++port) {
    network.send("subscriber", request(port).build());
    network.send("internet", reply(port).build());
  }
  CHECK(answer(network, {}).empty());
  CHECK(network.delivered.size() == 20);
  CHECK(network.vnf("fw2").crossed_forward == 10);
  CHECK(network.vnf("opt1").crossed_forward == 30);
}

TEST_CASE("an edge that has not heard of a re-steering yet sends on what is no longer its own") {
  figure3 network;
  network.send("subscriber", request().build());
  (void)answer(network, {"fw1", "opt1"});
  network.delivered.clear();
  // dc1 knows the new path already, the subscriber's edge does not: it still sends hop 0 to dc1.
  for (const auto* name : {"dc1", "dc2", "internet"})
    network.at(name).edge.order(set_path{network.program(network.at(name), {"opt1"})});
  network.send("subscriber", request().build());
  CHECK(network.delivered.size() == 1);
  CHECK(network.vnf("fw1").crossed_forward == 1);
  CHECK(network.vnf("opt1").crossed_forward == 2);
}

TEST_CASE("two edges that point at each other do not play ball for ever") {
  figure3 network;
  network.send("subscriber", request().build());
  (void)answer(network, {"fw1", "opt1"});
  network.at("dc1").edge.order(set_path{{path, {remote_hop("192.0.3.1"), remote_hop("192.0.3.1")}}});
  network.at("dc2").edge.order(set_path{{path, {remote_hop("192.0.2.1"), remote_hop("192.0.2.1")}}});
  network.carried = 0;
  network.send("subscriber", request().build());
  CHECK(network.carried <= 64);
  CHECK(network.at("dc1").edge.drops(drop_reason::nsh_ttl_expired) +
            network.at("dc2").edge.drops(drop_reason::nsh_ttl_expired) ==
        1);
}

TEST_CASE("traffic of no service goes to the edge of its destination EID and back by plain LISP, and asks nobody") {
  figure3 network;
  network.send("subscriber", packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5000, 53).payload("query").build());
  network.send("internet", packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(53, 5000).payload("answer").build());
  CHECK(answer(network, {}).empty());
  REQUIRE(network.delivered.size() == 2);
  CHECK(network.delivered[0].first == "internet");
  CHECK(network.delivered[1].first == "subscriber");
  CHECK(network.crossings.empty());
  CHECK(network.carried == 2);
  // The second packets are hits on every edge.
  const auto misses = network.at("subscriber").edge.channel.statistics().exact_misses.value() +
                      network.at("internet").edge.channel.statistics().exact_misses.value();
  network.send("subscriber", packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5000, 53).payload("query").build());
  network.send("internet", packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(53, 5000).payload("answer").build());
  CHECK(network.at("subscriber").edge.channel.statistics().exact_misses.value() +
            network.at("internet").edge.channel.statistics().exact_misses.value() ==
        misses);
}
