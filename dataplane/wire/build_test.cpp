#include "dataplane/wire/build.hpp"
#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// A frame, its buffer and what was parsed of it.
struct fixture {
  explicit fixture(const bytes& frame, std::uint16_t headroom = 128) : buffer{frame, headroom}, packet{parsed(frame)} {}
  packet_buffer buffer;
  parsed_packet packet;
  /// parse() checks the IPv4 header checksum.
  [[nodiscard]] parsed_packet again() const { return parsed(buffer.view.view()); }
};

bytes frame_of(const char* source, const char* destination) {
  return packet_builder{}.ip(source, destination).ttl(2).dscp(10).ecn(ecn::ect0).tcp(1, 2).build();
}

} // namespace

TEST_CASE("TTL and ECN change in place under a correct checksum") {
  const bool v6 = GENERATE(false, true);
  fixture f{v6 ? frame_of("2001:db8::1", "2001:db8::2") : frame_of("10.0.0.1", "10.0.0.2")};
  auto* ip = f.buffer.view.data + f.packet.l3_offset;

  CHECK_FALSE(decrement_ttl(f.buffer.view.data, f.packet));
  CHECK(f.again().ttl == 1);
  CHECK(f.packet.ttl == 1);
  const auto before = f.buffer.frame();
  CHECK(decrement_ttl(f.buffer.view.data, f.packet) == drop_reason::ttl_expired);
  CHECK(f.buffer.frame() == before);

  set_ecn(ip, f.packet.kind, ecn::ce);
  CHECK(f.again().ecn == ecn::ce);
  CHECK(f.again().dscp == 10);
  set_ecn(ip, f.packet.kind, ecn::not_ect);
  CHECK(f.again().ecn == ecn::not_ect);
  set_ttl(ip, f.packet.kind, 255);
  CHECK(f.again().ttl == 255);
  CHECK(f.again().tuple == f.packet.tuple);
}

TEST_CASE("a packet with TTL 0 or 1 goes no further") {
  const auto ttl = static_cast<std::uint8_t>(GENERATE(0, 1));
  fixture f{packet_builder{}.ttl(ttl).udp(1, 2).build()};
  CHECK(decrement_ttl(f.buffer.view.data, f.packet) == drop_reason::ttl_expired);
}

TEST_CASE("a VLAN tag is put on, changed and taken off, and nothing else changes") {
  const auto untagged = packet_builder{}.udp(5, 6).payload("body").build();
  fixture f{untagged};
  REQUIRE_FALSE(set_vlan(f.buffer.view, f.packet, 7));
  CHECK(f.buffer.frame() == packet_builder{}.vlan(7).udp(5, 6).payload("body").build());
  CHECK(f.packet.payload_offset == f.again().payload_offset);
  CHECK(f.again().vlan == 7);
  REQUIRE_FALSE(set_vlan(f.buffer.view, f.packet, 4094));
  CHECK(f.again().vlan == 4094);
  REQUIRE_FALSE(set_vlan(f.buffer.view, f.packet, 0));
  CHECK(f.buffer.frame() == untagged);
  CHECK(f.packet.l4_offset == f.again().l4_offset);
}

TEST_CASE("a tag needs headroom") {
  fixture f{packet_builder{}.udp(5, 6).build(), 3};
  CHECK(set_vlan(f.buffer.view, f.packet, 7) == drop_reason::no_headroom);
  CHECK(f.again().vlan == 0);
}

TEST_CASE("Ethernet addresses change under a tag too") {
  fixture f{packet_builder{}.vlan(9).udp(5, 6).build()};
  CHECK(source_mac(f.buffer.view.data) == host_mac);
  CHECK(destination_mac(f.buffer.view.data) == edge_mac);
  set_ethernet_addresses(f.buffer.view.data, host_mac, edge_mac);
  CHECK(f.buffer.frame() == packet_builder{}.macs(edge_mac, host_mac).vlan(9).udp(5, 6).build());
}

TEST_CASE("the builder's frames carry correct L4 checksums") {
  const auto frame = GENERATE(packet_builder{}.tcp(1, 2, tcp_flag::syn).payload("x").build(),
                              packet_builder{}.udp(1, 2).payload("xyz").build(),
                              packet_builder{}.ip("::1", "::2").echo_request(77).payload("ping").build());
  const auto p = parsed(frame);
  const auto message = byte_view{frame}.subspan(p.l4_offset);
  CHECK(l4_checksum(message, p.tuple.source, p.tuple.destination, p.tuple.protocol) == 0);
}
