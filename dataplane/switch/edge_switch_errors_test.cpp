// ICMP errors at an edge: those of others take their flow's way back, and ours tell a source what was in the way.

#include "dataplane/switch/testing/edge_bench.hpp"

#include "dataplane/wire/icmp_error.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// What `from` says when it can't forward `about`.
bytes error_of(std::string_view from, const packet_builder& about, icmp_error what = icmp_error::packet_too_big) {
  const auto frame = about.build();
  packet_buffer buffer{frame};
  if (write_icmp_error(buffer.view, parsed(frame), what, 1400, parse_ip(from).value()))
    std::abort();
  auto out = buffer.frame();
  set_ethernet_addresses(out.data(), edge_mac, host_mac);
  return out;
}

packet_builder long_request(std::size_t bytes_of_data = 1460) {
  return std::move(request(51514, tcp_flag::ack).payload(bytes(bytes_of_data)));
}

/// An underlay that takes no more than Ethernet does.
void narrow_underlay(edge& it) {
  auto port = underlay(under, "192.0.1.1/24", "192.0.1.254");
  port.mtu = 1500;
  it.order(add_port{port});
}

/// A SYN that announces 1460.
bytes syn_with_mss() {
  auto tcp = from_hex("c9 3a 00 50 00 00 00 00 00 00 00 00 60 02 00 00 00 00 00 00 02 04 05 b4");
  store_be16(tcp.data() + 16,
             l4_checksum(tcp, parse_ip("10.1.0.7").value(), parse_ip("203.0.113.9").value(), ip_protocol::tcp));
  return packet_builder{}.ip("10.1.0.7", "203.0.113.9").raw(ip_protocol::tcp, tcp).build();
}

} // namespace

TEST_CASE("an error takes the way of the flow it is about, and begins none") {
  edge it;
  SECTION("on a path: into the function, as the flow's replies do") {
    it.receive(host, request().build());
    decide(it, it.packet_ins().at(0), here());
    (void)it.sent();
    it.receive(out_arm, request().build()); // the function lets it pass
    (void)it.sent();
    it.receive(under, from_overlay(error_of("203.0.113.1", request()), at_step(spi_of(path, direction::reverse), 255)));
    CHECK(it.sent_flows() == flows{"3 80>51514"});
    it.receive(out_arm, error_of("203.0.113.1", request())); // at the wrong arm: it is not the flow's direction there
    CHECK(it.new_drops() == "vnf_unknown_flow 1");
    it.receive(in_arm, error_of("203.0.113.1", request()));
    CHECK(it.sent_flows() == flows{"0 80>51514"});
  }
  SECTION("of a connection of no service: to its other end") {
    it.receive(under, from_overlay(packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(53, 5000).build(), {}));
    CHECK(it.sent_flows() == flows{"0 53>5000"});
    const auto refused = packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(53, 5000);
    it.receive(host, error_of("10.1.0.7", refused));
    CHECK(it.sent_flows() == flows{"1 5000>53"});
    it.receive(host, error_of("10.1.0.7", packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(53, 5001)));
    CHECK(it.sent_flows().empty());
    CHECK(it.new_drops() == "error_unknown_flow 1");
  }
  SECTION("about a flow of a service that nobody decided: nobody is asked") {
    it.receive(host, error_of("10.1.0.7", packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(80, 51514)));
    CHECK(it.packet_ins().empty());
    CHECK(it.new_drops() == "error_unknown_flow 1");
  }
  SECTION("plain, from another edge: to its destination") {
    it.receive(under, from_overlay(error_of("203.0.113.1", query()), {}));
    CHECK(it.sent_flows() == flows{"0 53>5000"});
    CHECK(it.channel.statistics().flows_now.value() == 0);
  }
  SECTION("in another's name") {
    it.receive(host, error_of("10.1.0.7", packet_builder{}.ip("203.0.113.9", "10.1.9.7").tcp(80, 51514)));
    CHECK(it.new_drops() == "spoofed_source 1");
  }
  SECTION("that quotes an overlay packet: it is none") {
    it.receive(under, error_of("192.0.2.1", packet_builder{}.ip("192.0.1.1", "192.0.2.1").udp(4341, 50000)));
    CHECK(it.new_drops() == "unexpected_on_underlay 1");
  }
}

TEST_CASE("a packet too long for the way is dropped, and its source is told what fits") {
  edge it;
  narrow_underlay(it);
  SECTION("with the overlay before it") {
    it.receive(host, request().build());
    decide(it, it.packet_ins().at(0), elsewhere());
    (void)it.sent();
    it.receive(host, long_request().build());
    CHECK(it.new_drops() == "mtu_exceeded 1");
    const auto answers = it.sent();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].port == host);
    const auto said = parsed(answers[0].frame);
    CHECK(said.is_icmp_error);
    CHECK(said.tuple == parsed(request().build()).tuple.reversed());
    const auto fits = load_be16(answers[0].frame.data() + said.l4_offset + 6);
    INFO("it said " << fits);
    it.receive(host, long_request(fits - 40).build());
    CHECK(it.sent_flows() == flows{"1 100/255 51514>80"});
    it.receive(host, long_request(fits - 39).build());
    CHECK(it.new_drops() == "mtu_exceeded 1");
    CHECK(it.channel.statistics().errors_sent.value() == 2);
  }
  SECTION("in front of a narrow host, to a source behind another edge") {
    auto narrow = attachment(host, "10.1.0.1/16");
    narrow.mtu = 1000;
    it.order(add_port{narrow});
    it.receive(under, from_overlay(reply().payload(bytes(1200)).build(), {}));
    CHECK(it.new_drops() == "mtu_exceeded 1");
    CHECK(it.sent_flows() == flows{"1 51514>80"});
  }
  SECTION("without \"don't fragment\" nobody is told") {
    auto frame = query().payload(bytes(1470)).build();
    frame[20] = std::byte{0}; // DF
    store_be16(frame.data() + 24, 0);
    store_be16(frame.data() + 24, internet_checksum(byte_view{frame}.subspan(14, 20)));
    it.receive(host, frame);
    CHECK(it.new_drops() == "mtu_exceeded 1");
    CHECK(it.sent().empty());
  }
}

TEST_CASE("who sends a packet that ends its hops here is told, but not for others' sake, nor too often") {
  auto config = bench::small();
  config.icmp_errors_per_port = 10;
  config.icmp_error_burst = 500ms;
  edge it{config};
  it.receive(host, packet_builder{query()}.ttl(1).build());
  const auto answers = it.sent();
  REQUIRE(answers.size() == 1);
  CHECK(parsed(answers[0].frame).icmp_type == icmp_type::time_exceeded);
  CHECK(load_be32(answers[0].frame.data() + 26) == 0x0a010001); // the gateway
  it.receive(host, packet_builder{}.ip("10.1.9.7", "203.0.113.9").udp(1, 1).ttl(1).build());
  CHECK(it.sent().empty());
  for (int i = 0; i < 50; ++i)
    it.receive(host, packet_builder{query()}.ttl(1).build());
  CHECK(it.sent().size() == 5);
  it.advance(100ms);
  it.receive(host, packet_builder{query()}.ttl(1).build());
  CHECK(it.sent().size() == 1);
  CHECK(it.new_drops() == "ttl_expired 53");
}

TEST_CASE("connections announce segments that fit the way") {
  edge it;
  narrow_underlay(it);
  it.receive(host, syn_with_mss());
  decide(it, it.packet_ins().at(0), elsewhere());
  const auto sent = it.sent();
  REQUIRE(sent.size() == 1);
  auto what = parsed(sent[0].frame);
  packet_buffer buffer{sent[0].frame};
  overlay_header header;
  REQUIRE_FALSE(decapsulate(buffer.view, what, header));
  const auto inner = buffer.frame();
  what = parsed(inner);
  const auto announced = load_be16(inner.data() + what.l4_offset + 22);
  INFO("announced " << announced);
  CHECK(announced < 1460);
  CHECK(l4_checksum(byte_view{inner}.subspan(what.l4_offset), what.tuple.source, what.tuple.destination,
                    ip_protocol::tcp) == 0);
  // Segments of that size pass.
  it.receive(host, long_request(announced).build());
  CHECK(it.sent().size() == 1);
  CHECK(it.new_drops() == "none");
}
