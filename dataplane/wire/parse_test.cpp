#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/parse.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <vector>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

constexpr std::size_t l3 = ethernet_header_bytes, v4_l4 = l3 + ipv4_header_bytes, v6_l4 = l3 + ipv6_header_bytes;

drop_verdict verdict_on(const bytes& frame) {
  // A heap block of the exact size, so that AddressSanitizer sees one byte too far.
  const bytes exact(frame.begin(), frame.end());
  parsed_packet out;
  return parse(exact, out);
}

bytes tcp_v4() {
  return packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).payload("GET /").build();
}
bytes udp_v4() {
  return packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5000, 53).payload("query").build();
}
bytes tcp_v6() {
  return packet_builder{}.ip("2001:db8::7", "2001:db8::9").tcp(51514, 80).payload("GET /").build();
}

/// A TCP header of a segment without payload.
bytes tcp_header() {
  auto header = bytes(tcp_header_bytes);
  store_be16(header.data(), 51514);
  store_be16(header.data() + 2, 80);
  header[12] = std::byte{0x50};
  return header;
}

/// IPv6 with `extensions` (hexadecimal, first of type `first`) before a TCP header.
bytes v6_with(std::uint8_t first, std::string_view extensions) {
  auto rest = from_hex(extensions);
  const auto tcp = tcp_header();
  rest.insert(rest.end(), tcp.begin(), tcp.end());
  return packet_builder{}.ip("2001:db8::7", "2001:db8::9").raw(first, rest).build();
}

bytes set(bytes frame, std::size_t at, int value) {
  frame.at(at) = static_cast<std::byte>(value);
  return frame;
}

bytes cut(bytes frame, std::size_t size) {
  frame.resize(size);
  return frame;
}

/// Makes the IPv4 header checksum right after a change, so that only the change can be at fault.
bytes summed(bytes frame) {
  const auto header_bytes = std::size_t{load_u8(frame.data() + l3) & 15u} * 4;
  store_be16(frame.data() + l3 + 10, 0);
  store_be16(frame.data() + l3 + 10, internet_checksum(byte_view{frame}.subspan(l3, header_bytes)));
  return frame;
}

bytes with_total_length(bytes frame, std::size_t length) {
  store_be16(frame.data() + l3 + 2, static_cast<std::uint16_t>(length));
  return summed(std::move(frame));
}

bytes with_options() {
  auto frame = tcp_v4();
  const auto options = from_hex("94 04 00 00"); // router alert
  frame.insert(frame.begin() + v4_l4, options.begin(), options.end());
  frame[l3] = std::byte{0x46};
  return with_total_length(frame, frame.size() - l3);
}

} // namespace

TEST_CASE("good frames are read") {
  struct row {
    const char* description;
    bytes frame;
    const char* tuple;
    std::size_t l4_offset, payload_offset, payload_length;
  };
  const std::vector<row> rows{
      {"TCP", tcp_v4(), "tcp 10.1.0.7:51514 > 203.0.113.9:80", 34, 54, 5},
      {"UDP", udp_v4(), "udp 10.1.0.7:5000 > 203.0.113.9:53", 34, 42, 5},
      {"TCP over IPv6", tcp_v6(), "tcp [2001:db8::7]:51514 > [2001:db8::9]:80", 54, 74, 5},
      {"behind a VLAN tag", packet_builder{}.vlan(7).tcp(51514, 80).build(), "tcp 10.1.0.7:51514 > 203.0.113.9:80", 38,
       58, 0},
      {"ICMP echo has its identifier as ports", packet_builder{}.echo_request(77).payload("abc").build(),
       "icmp 10.1.0.7:77 > 203.0.113.9:77", 34, 42, 3},
      {"ICMPv6 echo too", packet_builder{}.ip("2001:db8::7", "2001:db8::9").echo_reply(77).build(),
       "icmp6 [2001:db8::7]:77 > [2001:db8::9]:77", 54, 62, 0},
      {"other ICMP has no ports", packet_builder{}.raw(1, from_hex("03 04 0000 0000 05dc")).build(),
       "icmp 10.1.0.7 > 203.0.113.9", 34, 42, 0},
      {"SCTP", packet_builder{}.raw(132, from_hex("1f90 0050 00000000 00000000")).build(),
       "sctp 10.1.0.7:8080 > 203.0.113.9:80", 34, 46, 0},
      {"a protocol we do not speak", packet_builder{}.raw(47, from_hex("0000 0800")).build(),
       "47 10.1.0.7 > 203.0.113.9", 34, 34, 4},
      {"IPv6 without next header", packet_builder{}.ip("2001:db8::7", "2001:db8::9").raw(59, {}).build(),
       "59 2001:db8::7 > 2001:db8::9", 54, 54, 0},
      {"hop-by-hop options", v6_with(0, "06 00 01 04 00000000"), "tcp [2001:db8::7]:51514 > [2001:db8::9]:80", 62, 82,
       0},
      {"destination options of 16 bytes, then routing type 4",
       v6_with(60, "2b 01 01 0c 00000000 0000000000000000"
                   "06 00 04 00 00000000"),
       "tcp [2001:db8::7]:51514 > [2001:db8::9]:80", 78, 98, 0},
      {"an atomic fragment is whole (RFC 6946)", v6_with(44, "06 00 0000 00000001"),
       "tcp [2001:db8::7]:51514 > [2001:db8::9]:80", 62, 82, 0},
      {"authentication header counts in words", v6_with(51, "06 01 0000 00000001 00000001"),
       "tcp [2001:db8::7]:51514 > [2001:db8::9]:80", 66, 86, 0},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    parsed_packet out;
    REQUIRE_FALSE(parse(row.frame, out));
    CHECK(to_string(out.tuple) == row.tuple);
    CHECK(out.l4_offset == row.l4_offset);
    CHECK(out.payload_offset == row.payload_offset);
    CHECK(out.payload_length == row.payload_length);
    CHECK(out.l3_offset + out.ip_total_length == row.frame.size());
  }
}

TEST_CASE("what rules and actions need is read beside the tuple") {
  const auto frame =
      GENERATE(packet_builder{}.vlan(7).ttl(9).dscp(46).ecn(ecn::ect0).tcp(1, 2, tcp_flag::syn | tcp_flag::ack).build(),
               packet_builder{}.ip("::7", "::9").vlan(7).ttl(9).dscp(46).ecn(ecn::ect0).tcp(1, 2, 0x12).build());
  const auto p = parsed(frame);
  CHECK(p.vlan == 7);
  CHECK(p.has_vlan_tag);
  CHECK(p.ttl == 9);
  CHECK(p.dscp == 46);
  CHECK(p.ecn == ecn::ect0);
  CHECK(p.tcp_flags == 0x12);
  CHECK(p.dont_fragment);
  CHECK_FALSE(p.is_icmp());
  CHECK(p.ethertype == (p.kind == packet_kind::ipv4 ? ethertype::ipv4 : ethertype::ipv6));
}

TEST_CASE("ICMP type and code are read") {
  const auto p = parsed(packet_builder{}.raw(1, from_hex("03 04 0000 0000 05dc")).build());
  CHECK(p.is_icmp());
  CHECK_FALSE(p.is_echo());
  CHECK(p.icmp_type == 3);
  CHECK(p.icmp_code == 4);
}

TEST_CASE("a priority tag is no VLAN, yet its four bytes are there") {
  auto frame = packet_builder{}.vlan(7).tcp(1, 2).build();
  store_be16(frame.data() + 14, 0xe000);
  const auto p = parsed(frame);
  CHECK(p.vlan == 0);
  CHECK(p.has_vlan_tag);
  CHECK(p.l3_offset == 18);
}

TEST_CASE("Ethernet padding is no part of the packet") {
  auto frame = packet_builder{}.udp(1, 2).payload("x").build();
  const auto size = frame.size();
  frame.resize(60);
  const auto p = parsed(frame);
  CHECK(p.l3_offset + p.ip_total_length == size);
  CHECK(p.payload_length == 1);
}

TEST_CASE("UDP shorter than its IP packet is legal, and its payload ends where it says") {
  auto frame = udp_v4();
  store_be16(frame.data() + v4_l4 + 4, 10);
  CHECK(parsed(frame).payload_length == 2);
}

TEST_CASE("ARP is recognised and left to others") {
  const auto p = parsed(arp_request(host_mac, "10.1.0.7", "10.1.0.1"));
  CHECK(p.kind == packet_kind::arp);
  CHECK_FALSE(p.is_ip());
  CHECK(p.tuple == five_tuple{});
}

TEST_CASE("malformed frames are dropped, each under its reason") {
  using enum drop_reason;
  struct row {
    const char* description;
    bytes frame;
    drop_reason reason;
  };
  const auto vlan = packet_builder{}.vlan(7).tcp(1, 2).build();
  const std::vector<row> rows{
      {"nothing", {}, truncated_ethernet},
      {"13 bytes", cut(tcp_v4(), 13), truncated_ethernet},
      {"ends in the VLAN tag", cut(vlan, 17), truncated_ethernet},
      {"two tags", set(set(vlan, 16, 0x81), 17, 0x00), stacked_vlan},
      {"provider tag", set(set(tcp_v4(), 12, 0x88), 13, 0xa8), stacked_vlan},
      {"provider tag behind a tag", set(set(vlan, 16, 0x88), 17, 0xa8), stacked_vlan},
      {"802.3 length instead of a type", set(set(tcp_v4(), 12, 0), 13, 46), unsupported_ethertype},
      {"LLDP", set(set(tcp_v4(), 12, 0x88), 13, 0xcc), unsupported_ethertype},

      {"no IPv4 header", cut(tcp_v4(), l3), truncated_ip},
      {"half an IPv4 header", cut(tcp_v4(), l3 + 19), truncated_ip},
      {"IPv4 by type, 6 by version", set(tcp_v4(), l3, 0x65), bad_ip_version},
      {"IPv4 by type, 0 by version", set(tcp_v4(), l3, 0x05), bad_ip_version},
      {"IHL 4", set(tcp_v4(), l3, 0x44), bad_ip_length},
      {"IHL 0", set(tcp_v4(), l3, 0x40), bad_ip_length},
      {"total length under the header's", with_total_length(tcp_v4(), 19), bad_ip_length},
      {"total length 0", with_total_length(tcp_v4(), 0), bad_ip_length},
      {"IHL 15 over a total length of 45", set(tcp_v4(), l3, 0x4f), bad_ip_length},
      {"total length one over the frame", with_total_length(tcp_v4(), tcp_v4().size() - l3 + 1), truncated_ip},
      {"total length 65535", with_total_length(tcp_v4(), 0xffff), truncated_ip},
      {"header checksum", set(tcp_v4(), l3 + 10, 0x55), bad_ip_checksum},
      {"changed address", set(tcp_v4(), l3 + 15, 8), bad_ip_checksum},
      {"options", with_options(), ip_options},
      {"first fragment", summed(set(tcp_v4(), l3 + 6, 0x20)), fragment},
      {"later fragment", summed(set(tcp_v4(), l3 + 7, 0xb9)), fragment},
      {"fragment with DF", summed(set(tcp_v4(), l3 + 6, 0x60)), fragment},

      {"half an IPv6 header", cut(tcp_v6(), l3 + 39), truncated_ip},
      {"IPv6 by type, 4 by version", set(tcp_v6(), l3, 0x45), bad_ip_version},
      {"IPv6 payload length one over the frame", set(tcp_v6(), l3 + 5, 26), truncated_ip},
      {"IPv6 payload length 0 (no jumbograms)", set(tcp_v6(), l3 + 5, 0), truncated_l4},
      {"IPv6 first fragment", v6_with(44, "06 00 0001 00000001"), fragment},
      {"IPv6 later fragment", v6_with(44, "06 00 0008 00000001"), fragment},
      {"extension ends in its first bytes", packet_builder{}.ip("::7", "::9").raw(0, from_hex("06 00 01")).build(),
       bad_ip_extension},
      {"extension longer than the packet", v6_with(60, "06 04 01 04 00000000"), bad_ip_extension},
      {"authentication header longer than the packet", v6_with(51, "06 ff 0000 00000001 00000001"), bad_ip_extension},
      {"seven extensions",
       v6_with(60, "3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000"
                   "3c00010400000000 0600010400000000"),
       bad_ip_extension},
      {"source routing", v6_with(43, "06 00 00 01 00000000"), source_route},

      {"TCP of 19 bytes", with_total_length(tcp_v4(), 39), truncated_l4},
      {"no TCP", with_total_length(tcp_v4(), 20), truncated_l4},
      {"TCP data offset 4", set(tcp_v4(), v4_l4 + 12, 0x40), bad_l4_length},
      {"TCP data offset beyond the segment", set(tcp_v4(), v4_l4 + 12, 0x70), bad_l4_length},
      {"UDP of 7 bytes", with_total_length(udp_v4(), 27), truncated_l4},
      {"UDP length 7", set(udp_v4(), v4_l4 + 5, 7), bad_l4_length},
      {"UDP length 0", set(udp_v4(), v4_l4 + 5, 0), bad_l4_length},
      {"UDP longer than its IP packet", set(udp_v4(), v4_l4 + 5, 14), bad_l4_length},
      {"ICMP of 7 bytes", packet_builder{}.raw(1, bytes(7)).build(), truncated_l4},
      {"ICMPv6 of 3 bytes", packet_builder{}.ip("::7", "::9").raw(58, bytes(3)).build(), truncated_l4},
      {"ICMPv6 echo without identifier", packet_builder{}.ip("::7", "::9").raw(58, from_hex("80 00 0000")).build(),
       truncated_l4},
      {"SCTP of 11 bytes", packet_builder{}.raw(132, bytes(11)).build(), truncated_l4},
      {"TCP of 19 bytes over IPv6", set(tcp_v6(), l3 + 5, 19), truncated_l4},
      {"TCP data offset beyond the segment, IPv6", set(tcp_v6(), v6_l4 + 12, 0xf0), bad_l4_length},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    const auto verdict = verdict_on(row.frame);
    REQUIRE(verdict);
    CHECK(to_string(*verdict) == to_string(row.reason));
  }
}

TEST_CASE("a frame cut anywhere is dropped, never misread") {
  const auto whole = GENERATE(tcp_v4(), udp_v4(), tcp_v6(), v6_with(0, "06 00 01 04 00000000"),
                              packet_builder{}.vlan(7).tcp(51514, 80).payload("x").build());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(verdict_on(cut(whole, size)));
  CHECK_FALSE(verdict_on(whole));
}

TEST_CASE("sources nobody may forward are known") {
  for (const auto* text :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"})
    CHECK(is_martian_source(*parse_ip(text)));
  for (const auto* text :
       {"1.0.0.1", "10.1.0.7", "126.255.255.255", "223.255.255.255", "::2", "2001:db8::1", "fe80::1"})
    CHECK_FALSE(is_martian_source(*parse_ip(text)));
}
