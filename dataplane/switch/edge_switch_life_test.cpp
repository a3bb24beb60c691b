// One edge by itself over time: how flows end, what moves them, neighbours, full tables, and the agent's commands.

#include "dataplane/switch/testing/edge_bench.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;
using namespace std::chrono_literals;

TEST_CASE("flows end by idleness, and the owner is told with their counts") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), here());
  it.receive(out_arm, request().build());
  it.receive(under, from_overlay(reply().build(), at_step(path + 1, 255)));
  it.advance(59s);
  CHECK(it.events().empty());
  it.receive(under, from_overlay(reply().build(), at_step(path + 1, 255))); // either direction keeps it
  it.advance(59s);
  CHECK(it.events().empty());
  it.advance(2s);
  const auto news = it.events();
  REQUIRE(news.size() == 1);
  const auto ended = std::get<flow_removed>(news[0]);
  CHECK(ended.why == removal::idle);
  CHECK(ended.cookie == 5);
  CHECK(to_string(ended.forward) == "tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(ended.packets == 4);
  CHECK(ended.bytes == 160);
  CHECK(it.channel.statistics().flows_now.value() == 0);
  CHECK(it.bench::edge.deadline() == UINT64_MAX);
}

TEST_CASE("a TCP connection closed from both sides ends soon, one closed from one side does not") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  const auto back = [&](std::uint8_t flags) {
    it.receive(under, from_overlay(reply(51514, flags).build(), at_step(path + 1, 254)));
  };
  it.receive(host, request(51514, tcp_flag::fin | tcp_flag::ack).build());
  it.advance(10s);
  CHECK(it.events().empty());
  back(tcp_flag::fin | tcp_flag::ack);
  it.advance(1s);
  CHECK(it.events().empty());
  it.advance(3s);
  const auto news = it.events();
  REQUIRE(news.size() == 1);
  CHECK(std::get<flow_removed>(news[0]).why == removal::closed);
}

TEST_CASE("RST closes at once, and a new SYN opens the tuple again") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  it.receive(host, request(51514, tcp_flag::rst).build());
  it.advance(1s);
  it.receive(host, request(51514, tcp_flag::syn).build());
  it.advance(30s);
  CHECK(it.events().empty());
  it.receive(host, request(51514, tcp_flag::rst).build());
  it.advance(4s);
  CHECK(it.events().size() == 1);
}

TEST_CASE("an end that finds no room in the ring is told later") {
  edge it{bench::small(), {.commands = 64, .events = 2}};
  for (std::uint16_t flow = 1; flow < 4; ++flow) {
    it.receive(host, request(flow).build());
    decide(it, it.packet_ins().at(0), elsewhere());
  }
  it.order(remove_path{path});
  CHECK(it.events().size() == 2);
  it.advance(2s);
  const auto late = it.events();
  REQUIRE(late.size() == 1);
  CHECK(std::get<flow_removed>(late[0]).why == removal::evicted);
  CHECK(it.channel.statistics().flows_now.value() == 0);
}

TEST_CASE("the agent ends a flow, a path and a port") {
  edge it;
  const auto install = [&](std::uint16_t port) {
    it.receive(host, request(port).build());
    decide(it, it.packet_ins().at(0), here());
    (void)it.sent();
  };
  const auto reasons = [&] {
    std::vector<removal> out;
    for (const auto& each : it.events())
      out.push_back(std::get<flow_removed>(each).why);
    return out;
  };
  install(1);
  it.order(remove_flow{0, parsed(reply(1).build()).tuple});
  CHECK(reasons() == std::vector{removal::commanded});
  it.receive(host, request(1).build());
  CHECK(it.packet_ins().size() == 1);

  install(2);
  it.order(remove_path{path});
  CHECK(reasons() == std::vector{removal::evicted});

  install(3);
  it.order(remove_port{out_arm});
  CHECK(reasons() == std::vector{removal::evicted});
  it.receive(out_arm, request(3).build());
  CHECK(it.new_drops() == "unknown_port 1");
  it.order(remove_flow{0, parsed(request(77).build()).tuple});
  it.order(remove_port{9});
  it.order(remove_path{8});
  CHECK(it.channel.statistics().commands_refused.value() == 3);
}

TEST_CASE("an EID that moves takes its flows with it at their next packet, and its old port no longer vouches for it") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), {path, {}});
  it.receive(host, query().build());
  CHECK(it.sent_flows() == flows{"1 100/255 51514>80", "1 5000>53"});
  it.receive(under, from_overlay(reply().build(), at_step(path + 1, 255)));
  CHECK(it.sent_flows() == flows{"0 80>51514"});

  it.order(set_mappings{eid_table::make({remote_route("0.0.0.0/0", "192.0.2.1")}).value()});
  it.receive(host, request(51514, tcp_flag::ack).build());
  it.receive(host, query().build());
  CHECK(it.new_drops() == "spoofed_source 2");
  it.receive(under, from_overlay(reply().build(), at_step(path + 1, 255)));
  CHECK(it.sent_flows() == flows{"1 101/255 80>51514"}); // on to where the EID is now
}

TEST_CASE("new rules take new connections and leave established ones alone") {
  edge it;
  it.order(set_classifier{linear_classifier_of({})});
  it.receive(host, request(1).build());
  it.receive(host, query(1).build());
  CHECK(it.sent().size() == 2);
  it.order(set_classifier{http_service()});
  it.receive(host, request(1, tcp_flag::ack).build());
  CHECK(it.sent().size() == 1);
  it.receive(host, request(1, tcp_flag::syn).build());
  CHECK(it.packet_ins().size() == 1);
  it.receive(host, query(1).build());
  CHECK(it.sent().size() == 1);
}

TEST_CASE("a next hop is asked for once per interval, then its packets go out in order or are dropped") {
  edge it;
  const auto to_neighbour = [](std::uint16_t port) {
    return packet_builder{}.ip("10.1.0.7", "10.1.0.99").udp(port, 1).build();
  };
  it.receive_burst(host, {to_neighbour(1), to_neighbour(2), to_neighbour(3), to_neighbour(4)});
  CHECK(it.new_drops() == "held_flow_full 1"); // 3 per neighbour
  auto out = it.sent();
  REQUIRE(out.size() == 1);
  CHECK(out[0].frame == arp_request(edge_mac, "10.1.0.1", "10.1.0.99"));
  it.advance(150ms);
  CHECK(it.sent().size() == 1);
  it.receive(host, arp_reply(host_mac, "10.1.0.99", edge_mac, "10.1.0.1"));
  CHECK(it.sent_flows() == flows{"0 1>1", "0 2>1", "0 3>1"});
  it.advance(1s);
  CHECK(it.sent().empty());

  it.receive(host, packet_builder{}.ip("10.1.0.7", "10.1.0.98").udp(1, 1).build());
  it.advance(749ms);
  CHECK(it.new_drops() == "none");
  it.advance(1ms);
  CHECK(it.new_drops() == "neighbour_unresolved 1");
  CHECK(it.sent().size() == 5);
}

TEST_CASE("neighbours are learned from answers to questions and from who is on the link, from nobody else") {
  edge it;
  const mac_address thief{{2, 0, 0, 0, 0, 0x66}};
  const auto probe = packet_builder{}.ip("10.1.0.7", "10.1.0.50").udp(1, 1).build();
  it.receive(host, arp_reply(thief, "10.1.0.50", edge_mac, "10.1.0.1")); // unasked
  it.receive(host, probe);
  auto out = it.sent();
  REQUIRE(out.size() == 1);
  CHECK(parsed(out[0].frame).kind == packet_kind::arp);
  // Nobody can take the gateway's own address, nor announce one that is not on this link.
  it.receive(host, arp_request(thief, "192.0.1.254", "10.1.0.1"));
  it.receive(host, arp_request(thief, "10.1.0.1", "10.1.0.1"));
  (void)it.sent();
  it.receive(host, arp_reply(broadcast_mac, "10.1.0.50", edge_mac, "10.1.0.1")); // would flood the link
  CHECK(it.sent().empty());
  it.receive(host, arp_reply(host_mac, "10.1.0.50", edge_mac, "10.1.0.1"));
  CHECK(it.sent_flows() == flows{"0 1>1"});
}

TEST_CASE("a neighbour that answers no more is given up, one that does is asked rarely") {
  edge it;
  const auto packet = packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(1, 1).build();
  it.receive(under, from_overlay(packet, {}));
  CHECK(it.sent().size() == 1);
  it.advance(30s);
  it.receive(under, from_overlay(packet, {})); // used while it is asked again
  CHECK(it.sent().size() == 2);
  for (int i = 0; i < 4; ++i) {
    it.advance(150ms);
    it.receive(under, from_overlay(packet, {}));
  }
  it.advance(150ms);
  (void)it.sent();
  it.receive(under, from_overlay(packet, {}));
  const auto out = it.sent();
  REQUIRE(out.size() == 1); // only the question: the packet waits
  CHECK(parsed(out[0].frame).kind == packet_kind::arp);
  it.receive(host, arp_reply(host_mac, "10.1.0.7", edge_mac, "10.1.0.1"));
  CHECK(it.sent_flows() == flows{"0 1>1"});
}

TEST_CASE("a full table costs a flow its entry, never the packets of others") {
  auto config = bench::small();
  config.flows = 2;
  config.when_full = switch_config::eviction::refuse;
  edge it{config};
  for (std::uint16_t flow = 1; flow < 4; ++flow)
    it.receive(host, query(flow).build());
  CHECK(it.sent_flows() == flows{"1 1>53", "1 2>53", "1 3>53"}); // the third goes without
  it.receive(host, request().build());
  CHECK(it.new_drops() == "table_full 1");
  it.order(set_path{here()});
  it.receive(under, from_overlay(request().build(), at_step(path, 255)));
  CHECK(it.new_drops() == "table_full 1");
}

TEST_CASE("a full table gives up scans before connections, and never what was decided here") {
  auto config = bench::small();
  config.flows = 3;
  edge it{config};
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  it.receive(host, query(1).build());
  it.receive(host, query(1).build());
  it.receive(host, query(2).build());
  it.advance(1s); // the scan is the younger of the two
  for (std::uint16_t flow = 10; flow < 20; ++flow)
    it.receive(host, query(flow).build());
  (void)it.sent();
  const auto& counted = it.channel.statistics();
  CHECK(counted.flows_removed[static_cast<std::size_t>(removal::evicted)].value() == 10);
  CHECK(it.events().empty());
  const auto hits = counted.exact_hits.value();
  it.receive(host, query(1).build());
  it.receive(host, request().build());
  CHECK(counted.exact_hits.value() == hits + 2);
}

TEST_CASE("a hard time-out ends a flow whatever comes") {
  edge it;
  it.receive(host, request().build());
  it.order(set_path{elsewhere()});
  it.order(install_flow{.tenant = 0,
                        .forward = it.packet_ins().at(0).tuple,
                        .path = path,
                        .cookie = 5,
                        .owner = true,
                        .hard_timeout = 90s});
  for (int i = 0; i < 3; ++i) {
    it.receive(host, request().build());
    it.advance(29s);
    CHECK(it.events().empty());
  }
  it.receive(host, request().build());
  it.advance(4s);
  const auto news = it.events();
  REQUIRE(news.size() == 1);
  CHECK(std::get<flow_removed>(news[0]).why == removal::hard);
}

TEST_CASE("packets longer than the way out takes are dropped there") {
  edge it;
  auto narrow = underlay(under, "192.0.1.1/24", "192.0.1.254");
  narrow.mtu = 1400;
  it.order(add_port{narrow});
  it.receive(host, query().payload(std::string(1400, 'x')).build());
  CHECK(it.new_drops() == "mtu_exceeded 1");
  it.receive(host, packet_builder{}.ip("10.1.0.7", "10.1.0.7").udp(1, 1).payload(std::string(1500, 'x')).build());
  CHECK(it.new_drops() == "mtu_exceeded 1");
}

TEST_CASE("packets and flows of a path are counted by its account, once, where they enter it") {
  edge it;
  const auto& counted = it.channel.statistics().paths[7];
  const auto totals = [&] {
    std::string out;
    for (const auto way : {0, 1})
      out += std::to_string(counted.packets[way].value()) + "/" + std::to_string(counted.bytes[way].value()) + " ";
    return out + std::to_string(counted.flows_now.value()) + " of " + std::to_string(counted.flows.value());
  };
  it.receive(host, request().build());
  const auto asked = std::get<packet_in>(it.events().at(0));
  it.order(set_path{here(), 7});
  it.order(install_flow{.forward = asked.tuple, .path = path, .owner = true, .hold = asked.hold});
  CHECK(totals() == "1/40 0/0 1 of 1");
  // Out of the function and back in: they have entered the path already.
  it.receive(out_arm, request().build());
  it.receive(under, from_overlay(reply().build(), at_step(path + 1, 255)));
  it.receive(in_arm, reply().build());
  CHECK(totals() == "1/40 0/0 1 of 1");
  it.receive(host, request().build());
  CHECK(totals() == "2/80 0/0 1 of 1");
  // Another edge decided this one: there it is counted, here only what sets out.
  it.receive(host, request(51515).build());
  const auto other = std::get<packet_in>(it.events().at(0));
  it.order(install_flow{.forward = other.tuple, .path = path, .owner = false, .hold = other.hold});
  CHECK(totals() == "3/120 0/0 1 of 1");
  it.order(remove_flow{.tuple = asked.tuple});
  CHECK(totals() == "3/120 0/0 0 of 1");
  CHECK(it.channel.statistics().flows_removed[static_cast<std::size_t>(removal::commanded)].value() == 1);
}

TEST_CASE("a packet that sets out against the path's direction is counted for the reverse") {
  edge it;
  it.order(set_path{elsewhere(), 3});
  const auto tuple = parsed(reply().build()).tuple; // a flow of somebody there to our host
  it.order(install_flow{.forward = tuple, .path = path, .owner = true});
  it.receive(host, request().build());
  const auto& counted = it.channel.statistics().paths[3];
  CHECK(counted.packets[0].value() == 0);
  CHECK(counted.packets[1].value() == 1);
  CHECK(counted.flows_now.value() == 1);
}

TEST_CASE("a flow that moves to a path of another account is counted there") {
  edge it;
  it.order(set_path{here(), 1});
  it.order(set_path{{path + 2, {remote_hop("192.0.2.1")}}, 2});
  const auto tuple = parsed(request().build()).tuple;
  it.order(install_flow{.forward = tuple, .path = path, .owner = true});
  it.order(install_flow{.forward = tuple, .path = path + 2, .owner = true});
  const auto& paths = it.channel.statistics().paths;
  CHECK(paths[1].flows_now.value() == 0);
  CHECK(paths[1].flows.value() == 1);
  CHECK(paths[2].flows_now.value() == 1);
  it.order(remove_path{path + 2});
  CHECK(paths[2].flows_now.value() == 0);
  CHECK(it.channel.statistics().flows_removed[static_cast<std::size_t>(removal::evicted)].value() == 1);
}

TEST_CASE("what a port does not take is counted, and its buffer is not lost") {
  edge it;
  it.sink.jammed = {under};
  it.receive(host, query().build());
  CHECK(it.new_drops() == "tx_full 1");
  CHECK(it.channel.statistics().ports[under].tx_packets.value() == 1); // the ARP answer of the set-up
  CHECK(it.sink.live() == 0);
}

TEST_CASE("commands out of their bounds are refused where they are submitted") {
  edge it;
  const auto is_refused = [&](command order) {
    const auto result = it.channel.submit(std::move(order));
    return !result && result.error() == submit_error::invalid;
  };
  CHECK(is_refused(command{}));
  CHECK(is_refused(remove_port{max_ports}));
  CHECK(is_refused(set_classifier{}));
  CHECK(is_refused(set_mappings{}));
  CHECK(is_refused(set_path{{path + 1, {}}}));
  CHECK(is_refused(set_path{here(), max_path_accounts}));
  CHECK(is_refused(install_flow{.path = path + 1}));
  CHECK(is_refused(remove_path{max_spi + 1}));
  auto odd = attachment(0, "10.1.0.1/16");
  odd.addresses.resize(max_port_addresses + 1);
  CHECK(is_refused(add_port{odd}));
  CHECK(it.channel.submit(remove_port{0}).has_value());
}

TEST_CASE("an agent that is ahead of the switch is told to wait") {
  lcore_channel border{{.commands = 2, .events = 2}, [] {}, [] {}};
  CHECK(border.submit(remove_path{2}).has_value());
  CHECK(border.submit(remove_path{2}).has_value());
  command third = set_path{here()};
  const auto refused = border.submit(std::move(third));
  CHECK(refused.error() == submit_error::busy);
  // NOLINTNEXTLINE(bugprone-use-after-move): a refused command is untouched
  CHECK(std::get<set_path>(third).path == here());
}

TEST_CASE("what a command replaces is freed by the agent, not by the lcore") {
  edge it;
  auto table = edge::routes();
  auto rules = http_service();
  const std::weak_ptr<const eid_table> old_table = table;
  const std::weak_ptr<const classifier> old_rules = rules;
  it.order(set_mappings{std::move(table)});
  it.order(set_classifier{std::move(rules)});
  it.order(set_mappings{edge::routes()});
  CHECK_FALSE(old_table.expired()); // retired, on its way back
  it.order(set_classifier{http_service()});
  CHECK(old_table.expired());
  CHECK_FALSE(old_rules.expired());
  it.order(remove_path{8});
  CHECK(old_rules.expired());
}
