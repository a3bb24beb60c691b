#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

constexpr mac_address router_mac{{0x02, 0, 0, 0, 0, 0x03}};

tunnel tunnel_of(const encapsulation& format, bool v6 = false, std::uint16_t mtu = 1600) {
  const auto local = parse_ip(v6 ? "2001:db8:ff::1" : "192.0.2.1").value();
  const auto remote = parse_ip(v6 ? "2001:db8:ff::2" : "192.0.2.2").value();
  return make_tunnel(format, local, remote, router_mac, edge_mac, 4, mtu);
}

overlay_header on_path(std::uint32_t spi, std::uint8_t si, std::uint32_t instance_id = 0) {
  overlay_header out;
  out.has_nsh = true;
  out.spi = spi;
  out.si = si;
  out.instance_id = instance_id;
  return out;
}

overlay_header traced(trace_id id) {
  auto out = on_path(0x123456, 255);
  out.trace = id;
  return out;
}
overlay_header of_tenant(std::uint32_t instance_id) {
  overlay_header out;
  out.instance_id = instance_id;
  return out;
}

/// `frame` without its Ethernet header: what must survive the overlay.
bytes l3_of(const bytes& frame) {
  const auto p = parsed(frame);
  return {frame.begin() + p.l3_offset, frame.begin() + p.l3_offset + p.ip_total_length};
}

/// A UDP packet to the overlay's port with this payload, as a peer would send it.
packet_builder from_peer(const bytes& payload) {
  return packet_builder{}.ip("192.0.2.2", "192.0.2.1").udp(50000, lisp_data_port).payload(payload);
}

struct outcome {
  drop_verdict verdict;
  overlay_header header;
  bytes frame;
};

outcome decapsulated(const bytes& frame) {
  packet_buffer buffer{frame};
  outcome out;
  out.verdict = decapsulate(buffer.view, parsed(frame), out.header);
  out.frame = buffer.frame();
  return out;
}

bytes concatenated(std::string_view hex, const bytes& tail) {
  auto out = from_hex(hex);
  out.insert(out.end(), tail.begin(), tail.end());
  return out;
}

bytes inner_v4() {
  return packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).payload("GET /").build();
}
bytes inner_v6() {
  return packet_builder{}.ip("2001:db8::7", "2001:db8::9").udp(5000, 53).payload("query").build();
}

} // namespace

TEST_CASE("a packet comes out of the overlay as it went in, with what the header said") {
  struct row {
    const char* description;
    const encapsulation& format;
    overlay_header header;
  };
  const std::vector<row> rows{
      {"LISP", lisp(), {}},
      {"LISP with a tenant", lisp(), of_tenant(7)},
      {"LISP-GPE without a path", lisp_gpe_nsh(), {}},
      {"LISP-GPE without a path, with a tenant", lisp_gpe_nsh(), of_tenant(0xffffff)},
      {"NSH", lisp_gpe_nsh(), on_path(0x123456, 255)},
      {"NSH with a tenant", lisp_gpe_nsh(), on_path(0xffffff, 1, 0x00abcd)},
      {"NSH of a traced packet", lisp_gpe_nsh(), traced(0x0123'4567'89ab)},
      {"NSH with the greatest trace id", lisp_gpe_nsh(), traced(max_trace_id)},
  };
  const bool outer_v6 = GENERATE(false, true);
  const auto inner = GENERATE(inner_v4(), inner_v6(), packet_builder{}.vlan(12).udp(1, 2).payload("tagged").build());
  for (const auto& row : rows) {
    INFO(row.description << (outer_v6 ? " over IPv6" : " over IPv4"));
    packet_buffer buffer{inner};
    const auto through = tunnel_of(row.format, outer_v6);
    REQUIRE_FALSE(encapsulate(buffer.view, through, row.header, parsed(inner)));

    const auto outer = parsed(buffer.view.view());
    CHECK(is_overlay(outer));
    CHECK(outer.tuple.source == through.local);
    CHECK(outer.tuple.destination == through.remote);
    CHECK(outer.tuple.source_port >= 49152);
    CHECK(outer.l3_offset + outer.ip_total_length == buffer.view.length);
    CHECK(outer.dont_fragment);
    CHECK(destination_mac(buffer.view.data) == router_mac);
    CHECK(source_mac(buffer.view.data) == edge_mac);

    overlay_header header;
    REQUIRE_FALSE(decapsulate(buffer.view, outer, header));
    auto expected_header = row.header;
    if (expected_header.has_nsh)
      --expected_header.nsh_ttl;
    CHECK(header == expected_header);
    CHECK(to_hex(l3_of(buffer.frame())) == to_hex(l3_of(inner)));
    const auto again = parsed(buffer.view.view());
    CHECK(again.tuple == parsed(inner).tuple);
    CHECK(again.l3_offset == ethernet_header_bytes);
    CHECK(source_mac(buffer.view.data) == mac_address{});
  }
}

TEST_CASE("the bytes on the wire are those of the RFCs") {
  struct row {
    const char* description;
    const encapsulation& format;
    overlay_header header;
    bytes inner;
    const char* after_udp;
  };
  const std::vector<row> rows{
      {"RFC 9300, no flags", lisp(), {}, inner_v4(), "00000000 00000000"},
      {"RFC 9300, I bit and instance id 7", lisp(), of_tenant(7), inner_v4(), "08000000 00000700"},
      {"RFC 9305, P bit and next protocol IPv4", lisp_gpe_nsh(), {}, inner_v4(), "04000001 00000000"},
      {"RFC 9305, next protocol IPv6", lisp_gpe_nsh(), of_tenant(7), inner_v6(), "0c000002 00000700"},
      {"RFC 8300, TTL 63, 2 words, MD type 2, IPv4", lisp_gpe_nsh(), on_path(0x123456, 254), inner_v4(),
       "04000004 00000000 0fc20201 123456fe"},
      {"RFC 8300, IPv6", lisp_gpe_nsh(), on_path(2, 1, 0xabcdef), inner_v6(), "0c000004 abcdef00 0fc20202 00000201"},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    packet_buffer buffer{row.inner};
    REQUIRE_FALSE(encapsulate(buffer.view, tunnel_of(row.format), row.header, parsed(row.inner)));
    const auto frame = buffer.frame();
    const auto outer = parsed(frame);
    CHECK(to_hex(byte_view{frame}.subspan(outer.payload_offset)) ==
          to_hex(concatenated(row.after_udp, l3_of(row.inner))));
    CHECK(load_be16(frame.data() + outer.payload_offset - 2) == 0); // UDP checksum
  }
}

TEST_CASE("data of Open Overlay Router 1.3 is read") {
  // Two pings it encapsulated, as captured: without and with an instance id.
  const auto plain = from_hex("3246e82d09ff7eef53e630cc080045000078000540003f11206d0a0003020a00040210f510f50064c2380000"
                              "00000000000045000054943f4000"
                              "3f012313c0a80103c0a802030800474343570002f3aa026b00000000b27a0600000000001011121314151617"
                              "18191a1b1c1d1e1f202122232425"
                              "262728292a2b2c2d2e2f3031323334353637");
  const auto with_instance = from_hex("2688f63610d92e0b8683dd12080045000078000440003f11206e0a0003020a00040210f510f50064"
                                      "b33808000000000007004500005400e14000"
                                      "3f01b671c0a80103c0a802030800ba4071fc0002e0ad026b0000000022d507000000000010111213"
                                      "1415161718191a1b1c1d1e1f202122232425"
                                      "262728292a2b2c2d2e2f3031323334353637");
  for (const auto& [frame, instance_id] : {std::pair{plain, 0u}, std::pair{with_instance, 7u}}) {
    const auto out = decapsulated(frame);
    REQUIRE_FALSE(out.verdict);
    CHECK(out.header == of_tenant(instance_id));
    const auto inner = parsed(out.frame);
    CHECK(to_string(inner.tuple.source) == "192.168.1.3");
    CHECK(to_string(inner.tuple.destination) == "192.168.2.3");
    CHECK(inner.icmp_type == icmp_type::echo_request);
    CHECK(inner.ttl == 63);
    CHECK(internet_checksum(byte_view{out.frame}.subspan(inner.l4_offset)) == 0);
  }
}

TEST_CASE("metadata of a service header is skipped within its length") {
  const auto inner = l3_of(inner_v4());
  const auto* nsh = GENERATE(
      // MD type 1: four words of context
      "04000004 00000000 0fc60101 000010ff 11111111 22222222 33333333 44444444",
      // MD type 2: one variable context of 6 bytes, padded to 8
      "04000004 00000000 0fc50201 000010ff 00010006 aabbccdd eeff0000",
      // no context; nonce, locator-status bits and unassigned bits set
      "e4123404 000000ff 1fc2f201 000010ff");
  const auto out = decapsulated(from_peer(concatenated(nsh, inner)).build());
  REQUIRE_FALSE(out.verdict);
  CHECK(out.header.spi == 0x10);
  CHECK(out.header.si == 255);
  CHECK(l3_of(out.frame) == inner);
}

TEST_CASE("a trace id is found among metadata, and what is no trace id is skipped") {
  struct row {
    const char* description;
    const char* shim;
    trace_id id;
  };
  const row rows[] = {
      {"as we write it", "04000004 00000000 0fc50201 000010ff fff60108 00000123 456789ab", 0x0123'4567'89ab},
      {"with the unassigned bit", "04000004 00000000 0fc50201 000010ff fff60188 00000000 00000007", 7},
      {"behind another's of 6 bytes",
       "04000004 00000000 0fc80201 000010ff 00010006 aabbccdd eeff0000 fff60108 00000000 00000007", 7},
      {"behind another's of no bytes", "04000004 00000000 0fc60201 000010ff 00010000 fff60108 00000000 00000007", 7},
      {"before another's", "04000004 00000000 0fc60201 000010ff fff60108 00000000 00000007 00010000", 7},
      {"the first of two", "04000004 00000000 0fc80201 000010ff fff60108 00000000 00000007 fff60108 00000000 00000008",
       7},
      {"0, which names nothing", "04000004 00000000 0fc50201 000010ff fff60108 00000000 00000000", 0},
      {"wider than an id is", "04000004 00000000 0fc50201 000010ff fff60108 00010000 00000000", 0},
      {"of another class", "04000004 00000000 0fc50201 000010ff fff70108 00000000 00000007", 0},
      {"of another type", "04000004 00000000 0fc50201 000010ff fff60208 00000000 00000007", 0},
      {"of 4 bytes", "04000004 00000000 0fc40201 000010ff fff60104 00000007", 0},
      {"of 12 bytes", "04000004 00000000 0fc60201 000010ff fff6010c 00000000 00000007 00000000", 0},
      {"cut short", "04000004 00000000 0fc40201 000010ff fff60108 00000007", 0},
      {"only its header", "04000004 00000000 0fc30201 000010ff fff60108", 0},
      {"behind another's that is cut short", "04000004 00000000 0fc60201 000010ff 0001007f fff60108 00000000 00000007",
       0},
      {"in MD type 1, where nothing has a length",
       "04000004 00000000 0fc60101 000010ff fff60108 00000000 00000007 00000000", 0},
  };
  const auto inner = l3_of(inner_v4());
  for (const auto& [description, shim, id] : rows) {
    INFO(description);
    const auto out = decapsulated(from_peer(concatenated(shim, inner)).build());
    REQUIRE_FALSE(out.verdict);
    CHECK(out.header.trace == id);
    CHECK(l3_of(out.frame) == inner);
  }
}

TEST_CASE("a malformed overlay packet is dropped under its reason, and left as it was") {
  using enum drop_reason;
  struct row {
    const char* description;
    bytes payload;
    drop_reason reason;
  };
  const auto v4 = l3_of(inner_v4());
  const auto v6 = l3_of(inner_v6());
  const std::vector<row> rows{
      {"nothing behind UDP", {}, bad_lisp_header},
      {"LISP header of 7 bytes", from_hex("00000000 000000"), bad_lisp_header},
      {"LISP-GPE header of 7 bytes", from_hex("04000001 000000"), bad_lisp_header},
      {"encrypted (K bits)", concatenated("01000000 00000000", v4), bad_lisp_header},
      {"nonce and map version at once", concatenated("90000000 00000000", v4), bad_lisp_header},
      {"LISP with nothing in it", from_hex("00000000 00000000"), truncated_ip},
      {"LISP with neither IPv4 nor IPv6", from_hex("00000000 00000000 50000000"), bad_ip_version},
      {"LISP with 19 bytes of IPv4", concatenated("00000000 00000000", {v4.begin(), v4.begin() + 19}), truncated_ip},
      {"LISP with 39 bytes of IPv6", concatenated("00000000 00000000", {v6.begin(), v6.begin() + 39}), truncated_ip},
      {"next protocol 0", concatenated("04000000 00000000", v4), bad_gpe_protocol},
      {"next protocol Ethernet", concatenated("04000003 00000000", v4), bad_gpe_protocol},
      {"next protocol IPv4, packet IPv6", concatenated("04000001 00000000", v6), bad_ip_version},
      {"next protocol IPv6, packet IPv4", concatenated("04000002 00000000", v4), bad_ip_version},
      {"no NSH", from_hex("04000004 00000000"), nsh_length},
      {"NSH of 7 bytes", from_hex("04000004 00000000 0fc20201 000010"), nsh_length},
      {"NSH version 1", concatenated("04000004 00000000 4fc20201 000010ff", v4), bad_nsh_header},
      {"NSH OAM bit", concatenated("04000004 00000000 2fc20201 000010ff", v4), bad_nsh_header},
      {"NSH MD type 0", concatenated("04000004 00000000 0fc20001 000010ff", v4), bad_nsh_header},
      {"NSH MD type 15", concatenated("04000004 00000000 0fc20f01 000010ff", v4), bad_nsh_header},
      {"NSH length 0", concatenated("04000004 00000000 0fc00201 000010ff", v4), nsh_length},
      {"NSH length 1", concatenated("04000004 00000000 0fc10201 000010ff", v4), nsh_length},
      {"MD type 1 of 2 words", concatenated("04000004 00000000 0fc20101 000010ff", v4), nsh_length},
      {"MD type 1 of 7 words", concatenated("04000004 00000000 0fc70101 000010ff", v4), nsh_length},
      {"NSH longer than the packet", concatenated("04000004 00000000 0fff0201 000010ff", v4), nsh_length},
      {"NSH one word longer than the packet", from_hex("04000004 00000000 0fc30201 000010ff"), nsh_length},
      {"NSH swallows the packet", from_hex("04000004 00000000 0fc30201 000010ff 00000000"), truncated_ip},
      {"NSH next protocol Ethernet", concatenated("04000004 00000000 0fc20203 000010ff", v4), bad_nsh_protocol},
      {"NSH next protocol NSH", concatenated("04000004 00000000 0fc20204 000010ff", v4), bad_nsh_protocol},
      {"NSH next protocol contradicts the packet", concatenated("04000004 00000000 0fc20202 000010ff", v4),
       bad_ip_version},
      {"NSH TTL 1", concatenated("04000004 00000000 00420201 000010ff", v4), nsh_ttl_expired},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    const auto frame = from_peer(row.payload).build();
    const auto out = decapsulated(frame);
    REQUIRE(out.verdict);
    CHECK(to_string(*out.verdict) == to_string(row.reason));
    CHECK(out.frame == frame);
  }
}

TEST_CASE("the service TTL goes down by one at each hop, and 0 counts as 64") {
  const auto inner = l3_of(inner_v4());
  CHECK(decapsulated(from_peer(concatenated("04000004 00000000 00820201 000010ff", inner)).build()).header.nsh_ttl ==
        1);
  CHECK(decapsulated(from_peer(concatenated("04000004 00000000 00020201 000010ff", inner)).build()).header.nsh_ttl ==
        63);
}

TEST_CASE("a UDP length shorter than the packet bounds what is taken out of it") {
  auto frame = from_peer(concatenated("00000000 00000000", l3_of(inner_v4()))).build();
  const auto outer = parsed(frame);
  store_be16(frame.data() + outer.l4_offset + 4, udp_header_bytes + 8 + 19);
  CHECK(decapsulated(frame).verdict == drop_reason::truncated_ip);
  store_be16(frame.data() + outer.l4_offset + 4, udp_header_bytes + 8 + 21);
  const auto out = decapsulated(frame);
  REQUIRE_FALSE(out.verdict);
  CHECK(out.frame.size() == ethernet_header_bytes + 21);
  parsed_packet inner;
  CHECK(parse(out.frame, inner) == drop_reason::truncated_ip);
}

TEST_CASE("TTL, DSCP and ECN are written outside as inside") {
  const bool outer_v6 = GENERATE(false, true);
  const auto inner = GENERATE(packet_builder{}.ttl(17).dscp(46).ecn(ecn::ect0).udp(1, 2).build(),
                              packet_builder{}.ip("::7", "::9").ttl(17).dscp(46).ecn(ecn::ect0).udp(1, 2).build());
  packet_buffer buffer{inner};
  REQUIRE_FALSE(encapsulate(buffer.view, tunnel_of(lisp(), outer_v6), {}, parsed(inner)));
  const auto outer = parsed(buffer.view.view());
  CHECK(outer.ttl == 17);
  CHECK(outer.dscp == 46);
  CHECK(outer.ecn == ecn::ect0);
}

TEST_CASE("what the underlay did to TTL and ECN reaches the inner packet") {
  struct row {
    const char* description;
    std::uint8_t inner_ttl, outer_ttl, ttl;
    std::uint8_t inner_ecn, outer_ecn;
    std::optional<std::uint8_t> ecn;
  };
  using namespace ecn;
  const std::vector<row> rows{
      {"routers took 3 off", 64, 61, 61, not_ect, not_ect, not_ect},
      {"a peer that starts at 255", 64, 255, 64, not_ect, not_ect, not_ect},
      {"congestion met", 64, 64, 64, ect0, ce, ce},
      {"congestion met by ECT(1)", 64, 64, 64, ect1, ce, ce},
      {"congestion known already", 64, 64, 64, ce, ect0, ce},
      {"congestion met by a packet that can't tell", 64, 64, 64, not_ect, ce, {}},
      {"RFC 6040: ECT(1) outside wins over ECT(0)", 64, 64, 64, ect0, ect1, ect1},
      {"the outer mark was lost", 64, 64, 64, ect0, not_ect, ect0},
      {"an outer mark means nothing to Not-ECT", 64, 64, 64, not_ect, ect0, not_ect},
  };
  const bool v6 = GENERATE(false, true);
  for (const auto& row : rows) {
    INFO(row.description << (v6 ? ", IPv6" : ", IPv4"));
    auto builder = v6 ? packet_builder{}.ip("::7", "::9") : packet_builder{}.ip("10.0.0.7", "10.0.0.9");
    const auto inner = builder.ttl(row.inner_ttl).dscp(10).ecn(row.inner_ecn).udp(1, 2).build();
    const auto frame = from_peer(concatenated("00000000 00000000", l3_of(inner)))
                           .ttl(row.outer_ttl)
                           .dscp(0)
                           .ecn(row.outer_ecn)
                           .build();
    const auto out = decapsulated(frame);
    if (!row.ecn) {
      CHECK(out.verdict == drop_reason::congestion_not_ecn);
      continue;
    }
    REQUIRE_FALSE(out.verdict);
    const auto p = parsed(out.frame); // the header checksum is right
    CHECK(p.ttl == row.ttl);
    CHECK(p.ecn == *row.ecn);
    CHECK(p.dscp == 10);
  }
}

TEST_CASE("what can't be encapsulated is refused, and left as it was") {
  const auto inner = inner_v4();
  const auto l3_bytes = l3_of(inner).size();
  struct row {
    const char* description;
    tunnel through;
    overlay_header header;
    std::uint16_t headroom;
    drop_verdict verdict;
  };
  const auto exact = static_cast<std::uint16_t>(l3_bytes + 20 + 8 + 16);
  const std::vector<row> rows{
      {"fits exactly", tunnel_of(lisp_gpe_nsh(), false, exact), on_path(1, 1), 44, {}},
      {"one byte over the MTU", tunnel_of(lisp_gpe_nsh(), false, exact - 1), on_path(1, 1), 44,
       drop_reason::mtu_exceeded},
      {"fits exactly with a trace id", tunnel_of(lisp_gpe_nsh(), false, exact + 12), traced(7), 56, {}},
      {"one byte over the MTU for a trace id", tunnel_of(lisp_gpe_nsh(), false, exact + 11), traced(7), 56,
       drop_reason::mtu_exceeded},
      {"one byte short of headroom for a trace id", tunnel_of(lisp_gpe_nsh()), traced(7), 55, drop_reason::no_headroom},
      {"one byte short of headroom", tunnel_of(lisp_gpe_nsh()), on_path(1, 1), 43, drop_reason::no_headroom},
      {"a service path in plain LISP", tunnel_of(lisp()), on_path(1, 1), 128, drop_reason::encapsulation_no_nsh},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    packet_buffer buffer{inner, row.headroom};
    CHECK(encapsulate(buffer.view, row.through, row.header, parsed(inner)) == row.verdict);
    if (row.verdict)
      CHECK(buffer.frame() == inner);
  }
}

TEST_CASE("Ethernet padding does not travel") {
  auto inner = packet_builder{}.udp(1, 2).payload("x").build();
  const auto l3 = l3_of(inner);
  inner.resize(60);
  packet_buffer buffer{inner};
  REQUIRE_FALSE(encapsulate(buffer.view, tunnel_of(lisp()), {}, parsed(inner)));
  CHECK(buffer.view.length == ethernet_header_bytes + 20 + 8 + 8 + l3.size());
  // The underlay pads again, and decapsulation cuts it again.
  auto padded = buffer.frame();
  padded.resize(padded.size() + 9);
  CHECK(decapsulated(padded).frame.size() == ethernet_header_bytes + l3.size());
}

TEST_CASE("the UDP source port keeps a flow together and flows apart") {
  const auto through = tunnel_of(lisp());
  const auto port_of = [&](std::uint16_t source_port, const char* payload) {
    const auto frame = packet_builder{}.tcp(source_port, 80).payload(payload).build();
    packet_buffer buffer{frame};
    REQUIRE_FALSE(encapsulate(buffer.view, through, {}, parsed(frame)));
    return parsed(buffer.view.view()).tuple.source_port;
  };
  CHECK(port_of(1000, "one") == port_of(1000, "two"));
  std::set<std::uint16_t> ports;
  for (std::uint16_t i = 0; i < 200; ++i)
    ports.insert(port_of(static_cast<std::uint16_t>(1000 + i), ""));
  CHECK(ports.size() > 190);
}

TEST_CASE("a tunnel follows a next hop that moved") {
  auto through = tunnel_of(lisp());
  through.set_next_hop(host_mac, edge_mac);
  const auto inner = inner_v4();
  packet_buffer buffer{inner};
  REQUIRE_FALSE(encapsulate(buffer.view, through, {}, parsed(inner)));
  CHECK(destination_mac(buffer.view.data) == host_mac);
}

TEST_CASE("only UDP to the LISP data port is overlay") {
  CHECK(is_overlay(parsed(packet_builder{}.udp(5, 4341).build())));
  CHECK_FALSE(is_overlay(parsed(packet_builder{}.udp(4341, 5).build())));
  CHECK_FALSE(is_overlay(parsed(packet_builder{}.tcp(5, 4341).build())));
}
