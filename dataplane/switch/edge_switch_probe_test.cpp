// What would become of a packet, compared with what does.

#include "dataplane/switch/probe_frame.hpp"
#include "dataplane/switch/testing/trace_lines.hpp"

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

std::vector<std::byte> probe_frame(const char* tuple, std::uint8_t flags = tcp_flag::syn) {
  return make_probe_frame({.tuple = parse_five_tuple(tuple).value(), .tcp_flags = flags});
}

steps probed(bench& at, port_id port, const char* tuple, std::uint8_t flags = tcp_flag::syn) {
  (void)records(at);
  at.order(probe{0x42, port, probe_frame(tuple, flags)});
  auto seen = records(at);
  CHECK(only_id(seen) == 0x42);
  REQUIRE(seen.back().step == trace_step::probe_ended);
  seen.pop_back();
  steps out;
  for (const auto& record : seen)
    out.push_back(text(record));
  return out;
}

std::string received(port_id port, std::string_view tuple) {
  auto out = "received port " + std::to_string(port) + ' ';
  out.append(tuple);
  return out;
}

} // namespace

TEST_CASE("a probe says what the switch then does, and changes nothing") {
  struct row {
    const char* description;
    port_id port;
    const char* tuple;
    std::uint8_t flags;
  };
  const row rows[] = {
      {"a new flow of a service", host, "tcp 10.1.0.7:51514 > 203.0.113.9:80", tcp_flag::syn},
      {"a known flow", host, "tcp 10.1.0.7:1 > 203.0.113.9:80", tcp_flag::ack},
      {"a known flow of no service", host, "udp 10.1.0.7:5000 > 203.0.113.9:53", 0},
      {"a new flow of no service", host, "udp 10.1.0.7:5001 > 203.0.113.9:53", 0},
      {"a flow that waits", host, "tcp 10.1.0.7:2 > 203.0.113.9:80", tcp_flag::syn},
      {"a flow that is refused", host, "tcp 10.1.0.7:3 > 203.0.113.9:80", tcp_flag::syn},
      {"a reply nobody knows", host, "tcp 10.1.0.7:80 > 203.0.113.9:999", tcp_flag::ack},
      {"a spoofed source", host, "tcp 8.8.8.8:1 > 203.0.113.9:80", tcp_flag::syn},
      {"a martian source", host, "tcp 127.0.0.1:1 > 203.0.113.9:80", tcp_flag::syn},
      {"multicast", host, "udp 10.1.0.7:1 > 224.0.0.251:5353", 0},
      {"to the gateway", host, "tcp 10.1.0.7:1 > 10.1.0.1:22", tcp_flag::syn},
      {"a ping to the gateway", host, "icmp 10.1.0.7:1 > 10.1.0.1:1", 0},
      {"the overlay's port at a host", host, "udp 10.1.0.7:4341 > 192.0.2.1:4341", 0},
      {"out of a function, of a known flow", out_arm, "tcp 10.1.0.7:4 > 203.0.113.9:80", tcp_flag::ack},
      {"out of a function, of no flow", out_arm, "tcp 10.1.0.7:77 > 203.0.113.9:80", tcp_flag::ack},
      {"of another protocol", host, "89 10.1.0.7:0 > 203.0.113.9:0", 0},
      {"SCTP", host, "sctp 10.1.0.7:1 > 203.0.113.9:80", 0},
  };
  for (const auto& [description, port, tuple, flags] : rows) {
    INFO(description);
    edge it;
    it.receive(host, request(1).build());
    decide(it, it.packet_ins().at(0), elsewhere());
    it.receive(host, query().build());
    it.order(set_path{{102, {local_hop(in_arm, out_arm)}}});
    it.receive(host, request(4).build());
    it.order(
        install_flow{.forward = parsed(request(4).build()).tuple, .path = 102, .hold = it.packet_ins().at(0).hold});
    it.receive(host, request(3).build());
    it.order(refuse{it.packet_ins().at(0).hold, refuse::verdict::drop, drop_reason::store_unavailable});
    it.receive(host, request(2).build());
    (void)it.packet_ins();
    (void)it.sent();
    (void)it.new_drops();

    const auto predicted = probed(it, port, tuple, flags);
    CHECK(it.sent().empty());
    CHECK(it.events().empty());
    CHECK(it.new_drops() == "none");
    CHECK(probed(it, port, tuple, flags) == predicted);

    auto session = session_of(it);
    session.anywhere = true;
    it.order(start_trace{session});
    const auto made = probe_frame(tuple, flags);
    bytes frame{made.begin(), made.end()};
    set_ethernet_addresses(frame.data(), edge_mac, host_mac);
    it.receive(port, frame);
    auto happened = texts(it);
    // What a probe does not do: make entries, and say whether the id would be carried.
    std::erase(happened, "installed by_eid");
    const auto without_carriage = [](steps of) {
      for (auto& line : of)
        if (line.starts_with("encapsulated"))
          line.erase(line.rfind(' '));
      return of;
    };
    CHECK(without_carriage(happened) == without_carriage(predicted));
  }
}

TEST_CASE("a probe goes by what a flow's entries would be made anew for") {
  edge it;
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  it.order(set_path{here()});
  CHECK(probed(it, host, forward_flow, tcp_flag::ack) ==
        steps{received(0, forward_flow), "hit on_path 100/0", "path_step 100/0 of 1 port 2", "sent port 2"});
}

TEST_CASE("a probe that is no packet is answered too") {
  edge it;
  CHECK(probed(it, 9, forward_flow) == steps{"dropped unknown_port"});
  CHECK(probed(it, under, forward_flow) == steps{received(1, forward_flow), "dropped unexpected_on_underlay"});
  it.order(probe{0x42, host, std::vector<std::byte>(3)});
  CHECK(texts(it) == steps{"dropped truncated_ethernet", "probe ended"});
  it.order(probe{0x42, host, std::vector<std::byte>(20)});
  CHECK(texts(it).front() == "dropped unsupported_ethertype");
}
