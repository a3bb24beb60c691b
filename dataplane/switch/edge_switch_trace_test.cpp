// What a switch says about the packets somebody traces: on every branch, within its bounds, and over edges and
// functions.

#include "dataplane/switch/testing/trace_lines.hpp"

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;
using namespace std::chrono_literals;

TEST_CASE("the first packet of a flow is followed from its port over the agent's answer to the next edge") {
  edge it;
  trace(it);
  it.receive(host, request().build());
  const auto before = records(it);
  const auto asked = it.packet_ins().at(0);
  CHECK(asked.trace == only_id(before));
  CHECK(asked.trace >> 24 == 0xabc);
  it.now_ns += 1'500'000;
  decide(it, asked, elsewhere());
  steps all;
  for (const auto& record : before)
    all.push_back(text(record));
  for (const auto& line : texts(it))
    all.push_back(line);
  CHECK(all == steps{std::string{"received port 0 "} + forward_flow, "miss", "rule 7 action 0", "packet_in 0",
                     "released 1500000", "hit on_path 100/0", "path_step 100/0 of 1 192.0.2.1",
                     "encapsulated 192.0.2.1 100/255 carried", "sent port 1"});
  CHECK(sent_header(it).trace == asked.trace);
  CHECK(it.channel.statistics().traces_begun.value() == 1);
}

TEST_CASE("a packet that nobody traces leaves no record and carries no metadata") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  CHECK(records(it).empty());
  CHECK(sent_header(it).trace == 0);
}

TEST_CASE("each way through an edge has its steps") {
  edge it;
  SECTION("a hit") {
    it.receive(host, request().build());
    decide(it, it.packet_ins().at(0), elsewhere());
    trace(it);
    it.receive(host, request(51514, tcp_flag::ack).build());
    CHECK(texts(it) == steps{std::string{"received port 0 "} + forward_flow, "hit on_path 100/0",
                             "path_step 100/0 of 1 192.0.2.1", "encapsulated 192.0.2.1 100/255 carried",
                             "sent port 1"});
  }
  SECTION("behind the flow's first packet, and refused") {
    it.receive(host, request().build());
    trace(it);
    it.receive(host, request().build());
    it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::drop, drop_reason::store_unavailable});
    it.receive(host, request().build());
    CHECK(texts(it) == steps{std::string{"received port 0 "} + forward_flow, "hit pending", "held",
                             "dropped store_unavailable", std::string{"received port 0 "} + forward_flow, "hit refused",
                             "dropped store_unavailable"});
  }
  SECTION("refused to pass") {
    trace(it);
    it.receive(host, request().build());
    it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::pass});
    CHECK(texts(it) == steps{std::string{"received port 0 "} + forward_flow, "miss", "rule 7 action 0", "packet_in 0",
                             "passed 0", "installed by_eid", "eid_route 192.0.2.1",
                             "encapsulated 192.0.2.1 0/0 no_metadata", "sent port 1"});
  }
  SECTION("of no service") {
    trace(it);
    it.receive(host, query().build());
    it.receive(host, query().build());
    CHECK(texts(it) == steps{"received port 0 udp 10.1.0.7:5000 > 203.0.113.9:53", "miss", "no_rule",
                             "installed by_eid", "eid_route 192.0.2.1", "encapsulated 192.0.2.1 0/0 no_metadata",
                             "sent port 1", "received port 0 udp 10.1.0.7:5000 > 203.0.113.9:53", "hit by_eid",
                             "eid_route 192.0.2.1", "encapsulated 192.0.2.1 0/0 no_metadata", "sent port 1"});
  }
  SECTION("held too long") {
    trace(it);
    it.receive(host, request().build());
    it.advance(3s);
    CHECK(texts(it).back() == "dropped hold_timeout");
  }
  SECTION("spoofed") {
    trace(it);
    it.receive(host, packet_builder{}.ip("8.8.8.8", "203.0.113.9").tcp(1, 80).build());
    CHECK(texts(it) == steps{"received port 0 tcp 8.8.8.8:1 > 203.0.113.9:80", "miss", "dropped spoofed_source"});
  }
  SECTION("answered by the edge itself") {
    trace(it);
    it.receive(host, packet_builder{}.ip("10.1.0.7", "10.1.0.1").echo_request(7).build());
    CHECK(texts(it) == steps{"received port 0 icmp 10.1.0.7:7 > 10.1.0.1:7", "answered"});
  }
  SECTION("waiting for a neighbour") {
    trace(it);
    it.receive(under, from_overlay(packet_builder{}.ip("203.0.113.9", "10.1.0.9").udp(53, 5000).build(), {}));
    CHECK(texts(it) == steps{"decapsulated 192.0.2.1 0/0 new", "miss", "installed by_eid", "eid_route port 0",
                             "waiting for 10.1.0.9"});
    it.receive(host, arp_reply(host_mac, "10.1.0.9", edge_mac, "10.1.0.1"));
    CHECK(texts(it) == steps{"sent port 0"});
  }
  SECTION("a port that takes nothing") {
    trace(it);
    it.sink.jammed = {under};
    it.receive(host, query().build());
    CHECK(texts(it).back() == "dropped tx_full");
  }
}

TEST_CASE(
    "an edge down the path follows a packet that brings its id, into a function and out of it, without a session") {
  edge it;
  it.order(set_path{here()});
  const auto inner = request().build();
  it.receive(under, from_overlay(inner, traced_step(path, 255, 0x123456)));
  auto seen = records(it);
  CHECK(only_id(seen) == 0x123456);
  steps in;
  for (const auto& record : seen)
    in.push_back(text(record));
  CHECK(in == steps{"decapsulated 192.0.2.1 100/255 known", "miss", "installed on_path", "path_step 100/0 of 1 port 2",
                    "sent port 2"});
  (void)it.sent();

  // The function is a router, and clamps the segment size: other TTL, other checksum. Another packet of the flow that
  // was not traced went in behind it and comes out first.
  it.receive(under, from_overlay(request(51514, tcp_flag::ack).payload("more").build(), at_step(path, 255)));
  CHECK(records(it).empty());
  (void)it.sent();
  it.receive(out_arm, packet_builder{request()}.ttl(62).build());
  seen = records(it);
  CHECK(only_id(seen) == 0x123456);
  CHECK(text(seen.at(0)) == "returned port 3");
  CHECK(text(seen.back()) == "sent port 1");
  CHECK(sent_header(it).trace == 0x123456);
  // It came out once; the next is another.
  it.receive(out_arm, request(51514, tcp_flag::ack).build());
  CHECK(records(it).empty());
}

TEST_CASE("of a function that rewrites its packets, the next of the flow is taken for the one that went in") {
  edge it;
  it.order(set_path{here()});
  it.receive(under, from_overlay(request().build(), traced_step(path, 255, 5)));
  (void)records(it);
  auto rewritten = request().build();
  rewritten.at(14 + 20 + 4) = std::byte{0x99}; // another sequence number
  SECTION("by the other arm") {
    it.receive(out_arm, rewritten);
    CHECK(texts(it).at(0) == "returned port 3 guessed");
  }
  SECTION("not by the arm it went in") {
    it.receive(in_arm, rewritten);
    CHECK(records(it).empty());
  }
  SECTION("not of another flow") {
    it.receive(out_arm, request(4).build());
    CHECK(records(it).empty());
  }
  SECTION("not after the function's time") {
    it.advance(2s);
    it.receive(out_arm, rewritten);
    CHECK(records(it).empty());
  }
}

TEST_CASE("the functions' memory is bounded, and the newest packets are in it") {
  edge it;
  it.order(set_path{here()});
  const auto payload = [](std::size_t i) { return request(51514, tcp_flag::ack).payload(std::string(i, 'x')).build(); };
  // IPv4 identification tells them apart.
  const auto numbered = [&](std::size_t i) {
    auto frame = payload(1);
    store_be16(frame.data() + 14 + 4, static_cast<std::uint16_t>(i));
    store_be16(frame.data() + 14 + 10, 0);
    store_be16(frame.data() + 14 + 10, internet_checksum(byte_view{frame}.subspan(14, 20)));
    return frame;
  };
  const auto count = tracer::max_inside_functions + 3;
  for (std::size_t i = 1; i <= count; ++i, ++it.now_ns)
    it.receive(under, from_overlay(numbered(i), traced_step(path, 255, i)));
  (void)records(it);
  it.receive(out_arm, numbered(count));
  CHECK(only_id(records(it)) == count);
  it.receive(out_arm, numbered(4));
  CHECK(only_id(records(it)) == 4);
  it.receive(out_arm, numbered(3)); // overwritten: the oldest of its flow stands in
  const auto seen = records(it);
  CHECK(text(seen.at(0)) == "returned port 3 guessed");
  CHECK(only_id(seen) == 5);
}

TEST_CASE("an id that finds no room stays at home, and the packet goes on") {
  edge it;
  auto narrow = underlay(under, "192.0.1.1/24", "192.0.1.254");
  narrow.mtu = 100;
  it.order(add_port{narrow});
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  (void)it.sent();
  trace(it);
  // 20 + 8 + 8 + 8 of headers and 40 + 16 of packet: 100, and 12 too many with the id.
  it.receive(host, request(51514, tcp_flag::ack).payload(std::string(16, 'x')).build());
  CHECK(texts(it).at(3) == "encapsulated 192.0.2.1 100/255 no_room");
  CHECK(sent_header(it).trace == 0);
  it.receive(host, request(51514, tcp_flag::ack).payload(std::string(4, 'x')).build());
  CHECK(texts(it).at(3) == "encapsulated 192.0.2.1 100/255 carried");
  CHECK(sent_header(it).trace != 0);
  it.receive(host, request(51514, tcp_flag::ack).payload(std::string(17, 'x')).build());
  CHECK(texts(it).back() == "dropped mtu_exceeded");
}

TEST_CASE("a session ends by its packets, its time or an order, and says so") {
  edge it;
  SECTION("packets") {
    trace(it, 2);
    for (std::uint16_t flow = 1; flow < 5; ++flow)
      it.receive(host, query(flow).build());
    const auto seen = records(it);
    CHECK(std::ranges::count(seen, trace_step::received, &trace_record::step) == 2);
    const auto end = std::ranges::find(seen, trace_step::session_ended, &trace_record::step);
    REQUIRE(end != seen.end());
    CHECK(text(*end) == "session ended limit_reached");
    CHECK(end->value == 77);
    CHECK(end->trace == 0);
    // The packet that reached the limit is followed to its end.
    CHECK(text(seen.back()) == "sent port 1");
  }
  SECTION("time") {
    trace(it);
    it.advance(60s);
    it.receive(host, query().build());
    CHECK(texts(it) == steps{"session ended time_over"});
  }
  SECTION("an order") {
    trace(it);
    it.order(stop_trace{});
    CHECK(texts(it) == steps{"session ended stopped"});
    it.order(stop_trace{});
    it.receive(host, query().build());
    CHECK(records(it).empty());
  }
  SECTION("another") {
    trace(it);
    trace(it);
    CHECK(texts(it) == steps{"session ended stopped"});
  }
}

TEST_CASE("a filter says which packets a session is about") {
  struct row {
    const char* description;
    void (*set)(trace_filter&);
    bool both_ways;
    std::vector<std::string> seen;
  };
  const auto tcp_80 = [](trace_filter& filter) {
    filter.match.protocol = ip_protocol::tcp;
    filter.match.destination_ports = {80, 80};
  };
  const row rows[] = {
      {"all",
       [](trace_filter&) {},
       false,
       {"tcp 10.1.0.7:51514 > 203.0.113.9:80", "tcp 10.1.0.7:80 > 203.0.113.9:999",
        "udp 10.1.0.7:5000 > 203.0.113.9:53"}},
      {"a service", tcp_80, false, {"tcp 10.1.0.7:51514 > 203.0.113.9:80"}},
      {"both directions", tcp_80, true, {"tcp 10.1.0.7:51514 > 203.0.113.9:80", "tcp 10.1.0.7:80 > 203.0.113.9:999"}},
      {"a prefix", [](trace_filter& filter) { filter.match.source = parse_prefix("10.2.0.0/16").value(); }, false, {}},
      {"a port", [](trace_filter& filter) { filter.match.in_port = 3; }, false, {}},
      {"a tenant", [](trace_filter& filter) { filter.tenant = 1; }, false, {}},
  };
  for (const auto& [description, set, both_ways, seen] : rows) {
    INFO(description);
    edge it;
    auto session = session_of(it);
    set(session.filter);
    session.filter.both_directions = both_ways;
    it.order(start_trace{session});
    it.receive(host, request().build());
    it.receive(host, packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(80, 999).build());
    it.receive(host, query().build());
    std::vector<std::string> received;
    for (const auto& record : records(it))
      if (record.step == trace_step::received)
        received.push_back(to_string(record.tuple));
    CHECK(received == seen);
  }
}

TEST_CASE("a packet on a path is met at its first edge only, unless this edge is traced by itself") {
  edge it;
  it.order(set_path{here()});
  auto session = session_of(it);
  session.anywhere = GENERATE(false, true);
  it.order(start_trace{session});
  it.receive(under, from_overlay(request().build(), at_step(path, 255)));
  const auto seen = records(it);
  REQUIRE(seen.empty() != session.anywhere);
  if (session.anywhere)
    CHECK(text(seen.at(0)) == "decapsulated 192.0.2.1 100/255 new");
}

TEST_CASE("a trace of drops keeps the steps of what is dropped, and of nothing else") {
  edge it;
  it.order(set_path{here()});
  trace_drops(it);
  it.receive(host, query().build());
  CHECK(sent_header(it).trace == 0);
  it.receive(host, packet_builder{}.ip("10.1.0.7", "10.1.0.1").echo_request(7).build());
  CHECK(it.sent().size() == 1);
  CHECK(records(it).empty());

  struct row {
    const char* description;
    port_id port;
    bytes frame;
    steps seen;
  };
  auto broken = request().build();
  broken.at(14 + 10) = std::byte{0x77};
  const auto arrival = from_overlay(request().build(), at_step(path, 253));
  const row rows[] = {
      {"spoofed",
       host,
       packet_builder{}.ip("8.8.8.8", "203.0.113.9").tcp(1, 80).build(),
       {"received port 0 tcp 8.8.8.8:1 > 203.0.113.9:80", "miss", "dropped spoofed_source"}},
      {"not even parsed", host, broken, {"dropped bad_ip_checksum"}},
      {"not for us",
       host,
       packet_builder{request()}.macs(host_mac, host_mac).build(),
       {std::string{"received port 0 "} + forward_flow, "dropped not_for_us"}},
      {"by a port that is not there", 9, request().build(), {"dropped unknown_port"}},
      {"from an unknown edge",
       under,
       from_overlay(request().build(), at_step(path, 255), "192.0.2.66"),
       {"received port 1 udp 192.0.2.66", "dropped unknown_rloc"}},
      {"off its path", under, arrival, {"decapsulated 192.0.2.1 100/253 new", "miss", "dropped bad_service_index"}},
  };
  for (const auto& [description, port, frame, seen] : rows) {
    INFO(description);
    it.receive(port, frame);
    auto lines = texts(it);
    for (auto& line : lines) // the outer source port is a hash
      if (line.find("udp 192.0.2.66") != std::string::npos)
        line = "received port 1 udp 192.0.2.66";
    CHECK(lines == seen);
  }
  it.receive(host, request().build());
  CHECK(texts(it).back() == "packet_in 0"); // what waits for the agent may yet be dropped
  it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::drop, drop_reason::store_unavailable});
  CHECK(texts(it) == steps{"dropped store_unavailable"});
  CHECK(it.channel.statistics().traces_begun.value() == 7);
}

TEST_CASE("a trace of drops has a filter too") {
  edge it;
  auto session = session_of(it);
  session.drops_only = true;
  session.filter.match.source = parse_prefix("8.8.8.8/32").value();
  it.order(start_trace{session});
  auto broken = request().build();
  broken.at(14 + 10) = std::byte{0x77};
  it.receive(host, broken);
  it.receive(host, packet_builder{}.ip("8.8.4.4", "203.0.113.9").tcp(1, 80).build());
  it.receive(host, arp_request(host_mac, "10.1.0.7", "10.1.0.99"));
  CHECK(records(it).empty());
  it.receive(host, packet_builder{}.ip("8.8.8.8", "203.0.113.9").tcp(1, 80).build());
  CHECK(texts(it) == steps{"received port 0 tcp 8.8.8.8:1 > 203.0.113.9:80", "miss", "dropped spoofed_source"});
}

TEST_CASE("ids that come faster than a session could send them are counted, and their packets go on") {
  edge it;
  it.order(set_path{here()});
  for (std::uint64_t i = 0; i < tracer::foreign_burst + 5; ++i) {
    it.receive(under, from_overlay(request().build(), traced_step(path, 255, i + 1)));
    (void)records(it);
  }
  CHECK(it.sent().size() == tracer::foreign_burst + 5);
  CHECK(it.channel.statistics().trace_ids_refused.value() == 5);
  it.now_ns += 1'000'000'000 / tracer::foreign_per_second;
  it.receive(under, from_overlay(request().build(), traced_step(path, 255, 9999)));
  CHECK_FALSE(records(it).empty());
}

TEST_CASE("records that find no room are counted, and the packets go on") {
  edge it{bench::small(), {.commands = 64, .events = 64, .traces = 8}};
  trace(it, 100);
  for (std::uint16_t flow = 1; flow < 5; ++flow)
    it.receive(host, query(flow).build());
  CHECK(it.sent().size() == 4);
  CHECK(records(it).size() == 8);
  CHECK(it.channel.statistics().trace_records_lost.value() == 4 * 7 - 8);
}

TEST_CASE("a sleeping agent is woken by a trace record, once, and by nothing else") {
  int woken = 0;
  lcore_channel channel{{}, [&] { ++woken; }, [] {}};
  channel.publish();
  CHECK(woken == 0);
  CHECK(channel.emit(trace_record{}));
  CHECK(channel.emit(trace_record{}));
  channel.publish();
  channel.publish();
  CHECK(woken == 1);
  CHECK_FALSE(channel.empty());
}
