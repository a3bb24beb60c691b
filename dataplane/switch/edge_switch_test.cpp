// One edge by itself: what each sort of frame leads to, the bounds, and the answers of its agent.

#include "dataplane/switch/testing/edge_bench.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;
using namespace std::chrono_literals;

TEST_CASE("what comes in is dropped under its own reason, or not at all") {
  const auto syn = request().build();
  const auto arrival = from_overlay(reply().build(), at_step(path + 1, 255));
  // Behind Ethernet, IPv4 and UDP: 8 bytes of LISP, then NSH.
  constexpr std::size_t lisp_at = 14 + 20 + 8, nsh_at = lisp_at + 8;
  struct row {
    const char* description;
    port_id port;
    bytes frame;
    const char* drops;
  };
  const row rows[] = {
      {"an empty frame", host, {}, "truncated_ethernet 1"},
      {"another station's frame", host, packet_builder{request()}.macs(host_mac, host_mac).build(), "not_for_us 1"},
      {"a packet to the gateway itself that is no echo", host,
       packet_builder{}.ip("10.1.0.7", "10.1.0.1").tcp(1, 22).build(), "not_for_us 1"},
      {"a source of another edge", host, packet_builder{}.ip("10.1.9.7", "203.0.113.9").tcp(1, 80).build(),
       "spoofed_source 1"},
      {"a source that is attached nowhere", host, packet_builder{}.ip("8.8.8.8", "203.0.113.9").tcp(1, 80).build(),
       "spoofed_source 1"},
      {"a loopback source", host, packet_builder{}.ip("127.0.0.1", "203.0.113.9").tcp(1, 80).build(),
       "martian_source 1"},
      {"the last hop of a packet", host, packet_builder{request()}.ttl(1).build(), "ttl_expired 1"},
      {"multicast", host, packet_builder{}.ip("10.1.0.7", "224.0.0.251").udp(5353, 5353).build(), "multicast 1"},
      {"a whole overlay packet at an attachment, to the gateway", host,
       packet_builder{}.ip("10.1.0.7", "10.1.0.1").udp(4341, 4341).build(), "not_underlay_port 1"},
      {"an overlay packet at an attachment, to an edge's RLOC", host,
       packet_builder{}.ip("10.1.0.7", "192.0.2.1").udp(4341, 4341).build(), "not_underlay_port 1"},
      {"an overlay packet out of a function", out_arm,
       packet_builder{}.ip("10.1.0.7", "192.0.2.1").udp(4341, 4341).build(), "not_underlay_port 1"},
      {"an overlay packet from an RLOC that is no edge", under,
       from_overlay(reply().build(), at_step(path + 1, 255), "192.0.2.66"), "unknown_rloc 1"},
      {"an overlay packet for another RLOC", under,
       from_overlay(reply().build(), at_step(path + 1, 255), "192.0.2.1", "192.0.1.9"), "unexpected_on_underlay 1"},
      {"a bare host packet on the underlay", under, syn, "unexpected_on_underlay 1"},
      {"a router's chatter on the underlay", under,
       packet_builder{}.ip("192.0.1.254", "224.0.0.1").raw(2, bytes(8, std::byte{0x11})).build(), "multicast 1"},
      {"NSH: a later version", under, with_byte(arrival, nsh_at, 0x4f), "bad_nsh_header 1"},
      {"NSH: longer than the packet", under, with_byte(arrival, nsh_at + 1, 0xff), "nsh_length 1"},
      {"NSH: shorter than its base header", under, with_byte(arrival, nsh_at + 1, 0xc1), "nsh_length 1"},
      {"NSH: carries Ethernet", under, with_byte(arrival, nsh_at + 3, 3), "bad_nsh_protocol 1"},
      {"NSH: its last hop", under, with_byte(with_byte(arrival, nsh_at, 0x00), nsh_at + 1, 0x42), "nsh_ttl_expired 1"},
      {"LISP-GPE: an unknown next protocol", under, with_byte(arrival, lisp_at + 3, 0x77), "bad_gpe_protocol 1"},
      {"LISP: cut short", under,
       [] {
         auto bare = packet_builder{}.ip("192.0.2.1", "192.0.1.1").udp(4341, 4341).payload("abc").build();
         return bare;
       }(),
       "bad_lisp_header 1"},
      {"an inner packet from nowhere", under,
       from_overlay(packet_builder{}.ip("127.0.0.1", "10.1.0.7").udp(1, 2).build(), {}), "martian_source 1"},
      {"plain LISP for an EID of another edge", under,
       from_overlay(packet_builder{}.ip("203.0.113.9", "203.0.113.10").udp(1, 2).build(), {}), "no_route 1"},
      {"a tenant nobody has", under, from_overlay(query().build(), {.instance_id = 9}), "no_route 1"},
      {"a port that is not there", 9, syn, "unknown_port 1"},
  };
  edge it;
  (void)it.new_drops();
  for (const auto& [description, port, frame, drops] : rows) {
    INFO(description);
    it.receive(port, frame);
    CHECK(it.new_drops() == drops);
    CHECK((it.sent().empty() || std::string_view{drops} == "ttl_expired 1")); // its source is told
    CHECK(it.events().empty());
  }
}

TEST_CASE("the edge answers ARP, ND and echo for its own addresses, and nothing else") {
  edge it;
  auto both = attachment(host, "10.1.0.1/16");
  both.addresses.push_back(parse_interface_address("2001:db8::1/64").value());
  it.order(add_port{both});
  it.receive(host, arp_request(host_mac, "10.1.0.8", "10.1.0.1"));
  CHECK(it.sent() == std::vector<sent_frame>{{host, arp_reply(edge_mac, "10.1.0.1", host_mac, "10.1.0.8")}});
  it.receive(host, arp_request(host_mac, "10.1.0.8", "10.1.0.9"));
  CHECK(it.sent().empty());
  it.receive(host, packet_builder{}.ip("10.1.0.8", "10.1.0.1").echo_request(77).payload("x").build());
  CHECK(
      it.sent() ==
      std::vector<sent_frame>{
          {host,
           packet_builder{}.macs(edge_mac, host_mac).ip("10.1.0.1", "10.1.0.8").echo_reply(77).payload("x").build()}});
  it.receive(host, packet_builder{}.ip("2001:db8::8", "2001:db8::1").echo_request(77).build());
  CHECK(it.sent().size() == 1);
  // The RLOC too: the underlay's operator may ping it.
  it.receive(under, packet_builder{}.ip("192.0.1.254", "192.0.1.1").echo_request(1).build());
  CHECK(it.sent().size() == 1);
}

TEST_CASE("a flow's first packets are held, raise one packet-in, and go out in order once it is decided") {
  edge it;
  it.receive_burst(host, {request(1, tcp_flag::syn).payload("a").build(), request(1).payload("b").build()});
  it.receive(host, request(1).payload("c").build());
  const auto asked = it.packet_ins();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].reason == packet_in_reason::rule);
  CHECK(asked[0].rule_cookie == 7);
  CHECK(asked[0].in_port == host);
  CHECK(to_string(asked[0].tuple) == "tcp 10.1.0.7:1 > 203.0.113.9:80");
  CHECK(asked[0].received_ns == it.now_ns);
  CHECK(it.sent().empty());
  CHECK(it.channel.statistics().held_now.value() == 3);

  it.now_ns += 1'000'000;
  decide(it, asked[0], elsewhere());
  const auto out = it.sent();
  REQUIRE(out.size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(static_cast<char>(out[i].frame.back()) == "abc"[i]);
  CHECK(it.channel.statistics().held_now.value() == 0);
  CHECK(it.channel.statistics().held_peak.value() == 3);
  CHECK(it.channel.statistics().setup_latency.count() == 1);
  CHECK(it.channel.statistics().setup_latency.max() == 1'000'000);
  CHECK(it.channel.statistics().first_packet_delay.max() == 1'000'000);
  CHECK(it.packet_ins().empty());
  CHECK(it.new_drops() == "none");
}

TEST_CASE("holds are bounded per flow and in all, and so are packet-ins") {
  edge it; // 4 packets a flow, 16 in all, 8 holds
  for (int i = 0; i < 6; ++i)
    it.receive(host, request(1).build());
  CHECK(it.new_drops() == "held_flow_full 2");
  for (std::uint16_t flow = 2; flow < 12; ++flow)
    it.receive(host, request(flow).build());
  CHECK(it.new_drops() == "held_port_full 6"); // five are more than the three that are left
  for (int i = 0; i < 3; ++i)
    for (std::uint16_t flow = 2; flow < 5; ++flow)
      it.receive(host, request(flow).build());
  CHECK(it.new_drops() == "held_total_full 1"); // 4 + 4 were held, and 8 more fit
  CHECK(it.packet_ins().size() == 5);
}

TEST_CASE("a packet-in that finds no room is not lost silently, and the flow may ask again") {
  edge it{bench::small(), {.commands = 64, .events = 2}};
  for (std::uint16_t flow = 1; flow < 4; ++flow)
    it.receive(host, request(flow).build());
  CHECK(it.new_drops() == "packet_in_ring_full 1");
  CHECK(it.packet_ins().size() == 2);
  it.receive(host, request(3).build());
  CHECK(it.packet_ins().size() == 1);
}

TEST_CASE("without an answer held packets are dropped in bounded time, and the next packet asks afresh") {
  edge it;
  it.receive_burst(host, {request().build(), request().build()});
  const auto asked = it.packet_ins().at(0);
  it.advance(2499ms);
  CHECK(it.new_drops() == "none");
  it.advance(1ms);
  CHECK(it.new_drops() == "hold_timeout 2");
  CHECK(it.channel.statistics().held_now.value() == 0);
  // A late answer installs the flow, and releases nothing.
  decide(it, asked, elsewhere());
  CHECK(it.sent().empty());
  it.receive(host, request().build());
  CHECK(it.sent_flows() == flows{"1 100/255 51514>80"});

  it.receive(host, request(2).build());
  it.advance(3s);
  it.receive(host, request(2).build());
  CHECK(it.packet_ins().size() == 2);
}

TEST_CASE("a refusal drops what is held under its reason, and what follows until it has lingered") {
  edge it;
  it.receive_burst(host, {request().build(), request().build()});
  it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::drop, drop_reason::store_unavailable});
  CHECK(it.new_drops() == "store_unavailable 2");
  it.receive(host, request().build());
  CHECK(it.new_drops() == "store_unavailable 1");
  CHECK(it.packet_ins().empty());
  it.advance(899ms);
  it.receive(host, request().build());
  CHECK(it.packet_ins().empty());
  it.advance(2ms);
  it.receive(host, request().build());
  CHECK(it.packet_ins().size() == 1);
}

TEST_CASE("a refusal that says pass routes the flow by its destination EID") {
  edge it;
  it.receive_burst(host, {request().build(), request().build()});
  it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::pass});
  CHECK(it.sent_flows() == flows{"1 51514>80", "1 51514>80"});
  it.receive(host, request(51514, tcp_flag::ack).build());
  CHECK(it.sent_flows() == flows{"1 51514>80"});
  CHECK(it.packet_ins().empty());
  CHECK(it.new_drops() == "none");
}

TEST_CASE("answers to what is held no more do no harm") {
  edge it;
  it.receive(host, request().build());
  const auto asked = it.packet_ins().at(0);
  decide(it, asked, elsewhere());
  (void)it.sent();
  it.order(refuse{asked.hold, refuse::verdict::drop, drop_reason::store_unavailable});
  it.order(refuse{12345, refuse::verdict::pass});
  decide(it, asked, elsewhere());
  it.receive(host, request().build());
  CHECK(it.sent_flows() == flows{"1 100/255 51514>80"});
  CHECK(it.new_drops() == "none");
}

TEST_CASE("an answer without its path drops what is held") {
  edge it;
  it.receive(host, request().build());
  it.order(install_flow{.forward = parsed(request().build()).tuple, .path = path, .hold = it.packet_ins().at(0).hold});
  CHECK(it.new_drops() == "unknown_path 1");
  CHECK(it.channel.statistics().commands_refused.value() == 1);
}

TEST_CASE("an unknown path is asked for once, whatever flows come on it, and then installs them itself") {
  edge it;
  it.receive(under, from_overlay(request(1).build(), at_step(path, 255)));
  it.receive(under, from_overlay(request(2).build(), at_step(path, 255)));
  it.receive(under, from_overlay(reply(3).build(), at_step(path + 1, 255)));
  const auto asked = it.packet_ins();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].reason == packet_in_reason::path_miss);
  CHECK(asked[0].spi == path);
  CHECK(asked[0].si == 255);
  CHECK(asked[0].in_port == no_port);
  it.order(set_path{here()});
  CHECK(it.sent_flows() == flows{"2 1>80", "2 2>80", "3 80>3"});
  // The function gives back what it got.
  it.receive(out_arm, request(1).build());
  it.receive(in_arm, reply(1).build());
  CHECK(it.sent_flows() == flows{"1 100/254 1>80", "0 80>1"});
  CHECK(it.packet_ins().empty());
  CHECK(it.new_drops() == "none");
}

TEST_CASE("IPv6 takes the same ways as IPv4, over an IPv4 underlay") {
  edge it;
  const auto with_v6 = [&](port_config port, const char* own) {
    port.addresses.push_back(parse_interface_address(own).value());
    if (port.kind == port_kind::vnf_in || port.kind == port_kind::vnf_out)
      port.peer_v6 = parse_ip(port.kind == port_kind::vnf_in ? "2001:db8:a::2" : "2001:db8:b::2").value();
    it.order(add_port{port});
  };
  with_v6(attachment(host, "10.1.0.1/16"), "2001:db8:1::1/64");
  with_v6(arm(in_arm, port_kind::vnf_in, "169.254.1.1/30", "169.254.1.2"), "2001:db8:a::1/64");
  with_v6(arm(out_arm, port_kind::vnf_out, "169.254.2.1/30", "169.254.2.2"), "2001:db8:b::1/64");
  it.order(
      set_mappings{eid_table::make({local_route("2001:db8:1::/64", host), remote_route("::/0", "192.0.2.1")}).value()});
  const auto syn = packet_builder{}.ip("2001:db8:1::7", "2001:db8:9::9").tcp(1, 80, tcp_flag::syn).build();
  it.receive(host, syn);
  decide(it, it.packet_ins().at(0), here());
  auto out = it.sent();
  REQUIRE(out.size() == 1); // who has the function's address
  const auto question = decode_neighbour(out[0].frame, parsed(out[0].frame)).value();
  CHECK(to_string(question.target) == "2001:db8:a::2");
  packet_buffer answer{out[0].frame};
  REQUIRE_FALSE(write_advertisement(answer.view, question, host_mac));
  it.receive(in_arm, answer.frame());
  CHECK(it.sent_flows() == flows{"2 1>80"});
  it.receive(out_arm, syn);
  CHECK(it.sent_flows() == flows{"1 100/254 1>80"});
}

TEST_CASE("a path the store does not know is dropped, and asked for again later") {
  edge it;
  it.receive(under, from_overlay(request().build(), at_step(path, 255)));
  it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::drop, drop_reason::unknown_path});
  it.receive(under, from_overlay(request().build(), at_step(path, 255)));
  CHECK(it.new_drops() == "unknown_path 2");
  it.advance(901ms);
  it.receive(under, from_overlay(request().build(), at_step(path, 255)));
  CHECK(it.packet_ins().size() == 1);
  it.advance(3s);
  CHECK(it.new_drops() == "hold_timeout 1");
}

TEST_CASE("a position beyond the end of the path is an error") {
  edge it;
  it.order(set_path{here()});
  it.receive(under, from_overlay(request().build(), at_step(path, 253)));
  it.receive(under, from_overlay(request().build(), at_step(path, 0)));
  CHECK(it.new_drops() == "bad_service_index 2");
}

TEST_CASE("a reply that misses asks for its flow; the answer may come from another edge's decision") {
  edge it;
  const auto answer = packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(80, 40000).build();
  it.receive(host, answer);
  const auto asked = it.packet_ins().at(0);
  CHECK(asked.reason == packet_in_reason::reply_rule);
  it.order(set_path{elsewhere()});
  it.order(install_flow{.forward = asked.tuple.reversed(), .path = path, .cookie = 3, .hold = asked.hold});
  CHECK(it.sent_flows() == flows{"1 101/255 80>40000"});
}

TEST_CASE("what a function emits of a flow nobody sent into it is asked about, then dropped for a while") {
  edge it;
  it.receive(out_arm, request().build());
  const auto asked = it.packet_ins().at(0);
  CHECK(asked.reason == packet_in_reason::vnf_miss);
  CHECK(asked.in_port == out_arm);
  // The store knows the flow, but its path does not lead through this function.
  it.order(set_path{elsewhere()});
  it.order(install_flow{.forward = asked.tuple, .path = path, .hold = asked.hold});
  CHECK(it.new_drops() == "vnf_unknown_flow 1");
  it.receive(out_arm, request().build());
  CHECK(it.new_drops() == "vnf_unknown_flow 1");
  CHECK(it.packet_ins().empty());
}

TEST_CASE("what is still inside a function when its flow was steered elsewhere is dropped, and asks nobody") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), here());
  it.order(set_path{elsewhere()});
  it.receive(host, request(51514, tcp_flag::ack).build());
  it.receive(out_arm, request().build());
  CHECK(it.packet_ins().empty());
  CHECK(it.new_drops() == "vnf_unknown_flow 1");
}

TEST_CASE("a held reply goes out as soon as its flow installs itself, without an answer") {
  edge it;
  const auto answer = packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(80, 40000).build();
  it.receive(host, answer);
  CHECK(it.packet_ins().at(0).reason == packet_in_reason::reply_rule);
  it.order(set_path{elsewhere()});
  it.receive(under,
             from_overlay(packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(40000, 80).build(), at_step(path, 254)));
  CHECK(it.sent_flows() == flows{"0 40000>80", "1 101/255 80>40000"});
  CHECK(it.channel.statistics().held_now.value() == 0);
}
