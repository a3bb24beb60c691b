#pragma once
// From the bytes of a frame to what the edge decides by. One pass, front to back, no byte read before its length is
// checked. All of it is hostile input.
//
// Spoken: Ethernet II with at most one 802.1Q tag; ARP; IPv4 without options; IPv6 with up to `max_ipv6_extensions`
// extension headers; TCP, UDP, ICMP, ICMPv6 and SCTP. Other IP protocols pass with ports 0. Fragments and IPv4 options
// are dropped under their own reasons. Of an ICMP error, the tuple is that of the flow it is about.
//
// Threading: pure functions. Sources: RFC 791, 8200, 9293, 768, 792, 4443, 9260; IEEE 802.1Q-2018.

#include "base/bytes.hpp"
#include "base/net.hpp"
#include "dataplane/wire/drop_reason.hpp"

namespace glocal::dataplane {

/// A packet of ours needs none, a host's rarely two; more is an attempt to make us walk.
inline constexpr int max_ipv6_extensions = 6;

enum class packet_kind : std::uint8_t { arp, ipv4, ipv6 };

/// Offsets are in bytes from the start of the frame.
struct parsed_packet {
  /// All but the addresses is zero for ARP (see neighbour.hpp). Of an ICMP error with a quotation that is whole enough:
  /// that of the packets which travel the same way as the error, so that it takes the flow's way back.
  five_tuple tuple;
  std::uint16_t l3_offset = 0;
  /// First byte after the IP header and its extension headers.
  std::uint16_t l4_offset = 0;
  /// First byte after the L4 header; equals l4_offset for protocols not spoken.
  std::uint16_t payload_offset = 0;
  /// Bytes after the L4 header; what Ethernet padded is not among them.
  std::uint16_t payload_length = 0;
  /// IP header and all that follows it; 0 for ARP. The frame without padding ends at l3_offset + ip_total_length.
  std::uint32_t ip_total_length = 0;
  /// Of the payload, also behind a VLAN tag.
  std::uint16_t ethertype = 0;
  /// 802.1Q VLAN identifier; 0 without a tag and with a priority tag, which IEEE 802.1Q makes one case.
  std::uint16_t vlan = 0;
  packet_kind kind = packet_kind::ipv4;
  std::uint8_t dscp = 0, ecn = 0;
  /// TTL or hop limit.
  std::uint8_t ttl = 0;
  /// tcp_flag; 0 unless TCP.
  std::uint8_t tcp_flags = 0;
  /// ICMP or ICMPv6 type and code; 0 unless ICMP.
  std::uint8_t icmp_type = 0, icmp_code = 0;
  bool has_vlan_tag = false;
  bool has_ip_options = false;
  bool is_fragment = false;
  bool dont_fragment = false;
  /// The tuple is of the flow an ICMP error is about.
  bool is_icmp_error = false;

  [[nodiscard]] bool is_ip() const noexcept { return kind != packet_kind::arp; }
  [[nodiscard]] bool is_icmp() const noexcept {
    return is_icmp_error || (is_ip() && (tuple.protocol == ip_protocol::icmp || tuple.protocol == ip_protocol::icmp6));
  }
  /// An ICMP or ICMPv6 echo request or reply: the only ICMP whose tuple has ports.
  [[nodiscard]] bool is_echo() const noexcept;
};

/// Reads `frame` into `out`. On a drop `out` holds what was read until then. Cost: some tens of ns, IPv4 header
/// checksum included; L4 checksums are the hosts' business.
[[nodiscard]] drop_verdict parse(byte_view frame, parsed_packet& out) noexcept;

/// A source no packet may have that is forwarded: unspecified, loopback, multicast, 0.0.0.0/8 or 240.0.0.0/4
/// (RFC 1812 section 5.3.7, RFC 4291 section 2.5).
[[nodiscard]] bool is_martian_source(const ip_address& source) noexcept;

} // namespace glocal::dataplane
