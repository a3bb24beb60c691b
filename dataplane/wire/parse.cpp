#include "dataplane/wire/parse.hpp"

#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/headers.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

/// IPv6 next headers that are not L4 (RFC 8200 section 4, RFC 7045 section 2).
enum next_header : std::uint8_t {
  hop_by_hop = 0,
  routing = 43,
  fragment_header = 44,
  authentication = 51,
  destination_options = 60,
  mobility = 135,
  host_identity = 139,
  shim6 = 140,
};

/// REQUIRES: `out` is clear. Two functions, because a copy of constant size is one or two moves.
void read_v4_address(const std::byte* at, ip_address& out) noexcept {
  std::memcpy(out.octets.data(), at, 4);
  out.family = ip_family::v4;
}

void read_v6_address(const std::byte* at, ip_address& out) noexcept {
  std::memcpy(out.octets.data(), at, 16);
  out.family = ip_family::v6;
}

drop_verdict parse_ethernet(byte_view frame, parsed_packet& out) noexcept {
  if (frame.size() < ethernet_header_bytes)
    return drop_reason::truncated_ethernet;
  out.ethertype = load_be16(frame.data() + 12);
  out.l3_offset = ethernet_header_bytes;
  if (out.ethertype == ethertype::stacked_vlan)
    return drop_reason::stacked_vlan;
  if (out.ethertype != ethertype::vlan)
    return {};
  if (frame.size() < ethernet_header_bytes + vlan_tag_bytes)
    return drop_reason::truncated_ethernet;
  out.has_vlan_tag = true;
  out.vlan = load_be16(frame.data() + 14) & 0x0fff;
  out.ethertype = load_be16(frame.data() + 16);
  out.l3_offset = ethernet_header_bytes + vlan_tag_bytes;
  if (out.ethertype == ethertype::vlan || out.ethertype == ethertype::stacked_vlan)
    return drop_reason::stacked_vlan;
  return {};
}

bool is_error(const parsed_packet& in) noexcept {
  if (in.kind == packet_kind::ipv4)
    return in.tuple.protocol == ip_protocol::icmp &&
           (in.icmp_type == icmp_type::unreachable || in.icmp_type == icmp_type::time_exceeded ||
            in.icmp_type == icmp_type::parameter_problem);
  return in.tuple.protocol == ip_protocol::icmp6 && in.icmp_type >= icmp_type::v6_first_error &&
         in.icmp_type <= icmp_type::v6_last_error;
}

/// The flow an ICMP error is about, from the beginning of the packet it quotes; as it is when that does not say.
void parse_quotation(byte_view quoted, parsed_packet& out) noexcept {
  five_tuple about;
  std::size_t at = ipv6_header_bytes;
  if (out.kind == packet_kind::ipv4) {
    if (quoted.size() < ipv4_header_bytes || load_u8(quoted.data()) >> 4 != 4 ||
        (load_be16(quoted.data() + 6) & 0x1fff) != 0) // only a first fragment has ports
      return;
    at = std::size_t{load_u8(quoted.data()) & 0x0fu} * 4;
    if (at < ipv4_header_bytes)
      return;
    about.protocol = load_u8(quoted.data() + 9);
    read_v4_address(quoted.data() + 12, about.source);
    read_v4_address(quoted.data() + 16, about.destination);
  } else {
    if (quoted.size() < ipv6_header_bytes || load_u8(quoted.data()) >> 4 != 6)
      return;
    about.protocol = load_u8(quoted.data() + 6);
    read_v6_address(quoted.data() + 8, about.source);
    read_v6_address(quoted.data() + 24, about.destination);
  }
  // Who is told must be who sent it; an error in the name of nobody is no error.
  if (about.source != out.tuple.destination || is_martian_source(out.tuple.source))
    return;
  const auto l4 = quoted.subspan(std::min(at, quoted.size()));
  switch (about.protocol) {
  case ip_protocol::tcp:
  case ip_protocol::udp:
  case ip_protocol::sctp:
    if (l4.size() < 4)
      return;
    about.source_port = load_be16(l4.data());
    about.destination_port = load_be16(l4.data() + 2);
    break;
  case ip_protocol::icmp:
  case ip_protocol::icmp6: {
    parsed_packet inner;
    inner.kind = out.kind;
    inner.tuple.protocol = about.protocol;
    if (l4.size() < 6)
      return;
    inner.icmp_type = load_u8(l4.data());
    if (!inner.is_echo())
      return;
    about.source_port = about.destination_port = load_be16(l4.data() + 4);
    break;
  }
  default: break;
  }
  out.tuple = about.reversed();
  out.is_icmp_error = true;
}

/// Reads the L4 header at out.l4_offset; `l4` is what the IP header says is there.
drop_verdict parse_l4(byte_view l4, parsed_packet& out) noexcept {
  std::size_t header_bytes = 0;
  std::size_t message_bytes = l4.size();
  const auto ports = [&] {
    out.tuple.source_port = load_be16(l4.data());
    out.tuple.destination_port = load_be16(l4.data() + 2);
  };
  switch (out.tuple.protocol) {
  case ip_protocol::tcp:
    if (l4.size() < tcp_header_bytes)
      return drop_reason::truncated_l4;
    ports();
    out.tcp_flags = load_u8(l4.data() + 13);
    header_bytes = std::size_t{load_u8(l4.data() + 12)} >> 4 << 2;
    if (header_bytes < tcp_header_bytes || header_bytes > l4.size())
      return drop_reason::bad_l4_length;
    break;
  case ip_protocol::udp:
    if (l4.size() < udp_header_bytes)
      return drop_reason::truncated_l4;
    ports();
    header_bytes = udp_header_bytes;
    message_bytes = load_be16(l4.data() + 4);
    // Shorter than the IP payload is legal (UDP options); longer is a lie.
    if (message_bytes < udp_header_bytes || message_bytes > l4.size())
      return drop_reason::bad_l4_length;
    break;
  case ip_protocol::icmp:
  case ip_protocol::icmp6:
    header_bytes = out.tuple.protocol == ip_protocol::icmp ? icmp_header_bytes : icmp6_header_bytes;
    if (l4.size() < header_bytes)
      return drop_reason::truncated_l4;
    out.icmp_type = load_u8(l4.data());
    out.icmp_code = load_u8(l4.data() + 1);
    if (out.is_echo()) {
      header_bytes = icmp_header_bytes;
      if (l4.size() < header_bytes)
        return drop_reason::truncated_l4;
      out.tuple.source_port = out.tuple.destination_port = load_be16(l4.data() + 4);
    } else if (is_error(out) && l4.size() >= icmp_header_bytes) {
      header_bytes = icmp_header_bytes;
      parse_quotation(l4.subspan(icmp_header_bytes), out);
    }
    break;
  case ip_protocol::sctp:
    if (l4.size() < sctp_header_bytes)
      return drop_reason::truncated_l4;
    ports();
    header_bytes = sctp_header_bytes;
    break;
  default: break;
  }
  out.payload_offset = static_cast<std::uint16_t>(out.l4_offset + header_bytes);
  out.payload_length = static_cast<std::uint16_t>(message_bytes - header_bytes);
  return {};
}

drop_verdict parse_ipv4(byte_view l3, parsed_packet& out) noexcept {
  out.kind = packet_kind::ipv4;
  if (l3.size() < ipv4_header_bytes)
    return drop_reason::truncated_ip;
  const auto* header = l3.data();
  if (load_u8(header) >> 4 != 4)
    return drop_reason::bad_ip_version;
  const std::size_t header_bytes = std::size_t{load_u8(header) & 0x0fu} * 4;
  const std::size_t total = load_be16(header + 2);
  if (header_bytes < ipv4_header_bytes || total < header_bytes)
    return drop_reason::bad_ip_length;
  if (total > l3.size())
    return drop_reason::truncated_ip;
  if (internet_checksum(l3.first(header_bytes)) != 0)
    return drop_reason::bad_ip_checksum;
  out.ip_total_length = static_cast<std::uint32_t>(total);
  out.dscp = load_u8(header + 1) >> 2;
  out.ecn = load_u8(header + 1) & 3;
  out.ttl = load_u8(header + 8);
  out.tuple.protocol = load_u8(header + 9);
  read_v4_address(header + 12, out.tuple.source);
  read_v4_address(header + 16, out.tuple.destination);
  out.l4_offset = static_cast<std::uint16_t>(out.l3_offset + header_bytes);
  const auto fragmentation = load_be16(header + 6);
  out.dont_fragment = (fragmentation & 0x4000) != 0;
  out.is_fragment = (fragmentation & 0x3fff) != 0; // more fragments, or an offset
  out.has_ip_options = header_bytes > ipv4_header_bytes;
  if (out.has_ip_options)
    return drop_reason::ip_options;
  if (out.is_fragment)
    return drop_reason::fragment;
  return parse_l4(l3.subspan(header_bytes, total - header_bytes), out);
}

drop_verdict parse_ipv6(byte_view l3, parsed_packet& out) noexcept {
  out.kind = packet_kind::ipv6;
  if (l3.size() < ipv6_header_bytes)
    return drop_reason::truncated_ip;
  const auto* header = l3.data();
  if (load_u8(header) >> 4 != 6)
    return drop_reason::bad_ip_version;
  const std::size_t total = ipv6_header_bytes + load_be16(header + 4);
  if (total > l3.size())
    return drop_reason::truncated_ip;
  out.ip_total_length = static_cast<std::uint32_t>(total);
  const auto traffic_class = static_cast<std::uint8_t>(load_be16(header) >> 4);
  out.dscp = traffic_class >> 2;
  out.ecn = traffic_class & 3;
  out.ttl = load_u8(header + 7);
  out.dont_fragment = true; // RFC 8200 section 5: only the source fragments
  read_v6_address(header + 8, out.tuple.source);
  read_v6_address(header + 24, out.tuple.destination);

  auto next = load_u8(header + 6);
  std::size_t at = ipv6_header_bytes;
  for (int walked = 0;; ++walked) {
    out.tuple.protocol = next;
    out.l4_offset = static_cast<std::uint16_t>(out.l3_offset + at);
    const bool is_extension = next == hop_by_hop || next == routing || next == fragment_header ||
                              next == authentication || next == destination_options || next == mobility ||
                              next == host_identity || next == shim6;
    if (!is_extension)
      return parse_l4(l3.subspan(at, total - at), out);
    // Every extension header is 8 bytes at least.
    if (walked == max_ipv6_extensions || total - at < 8)
      return drop_reason::bad_ip_extension;
    const auto* extension = l3.data() + at;
    std::size_t extension_bytes = 8;
    if (next == fragment_header) {
      // RFC 6946: offset 0 and no more to come is a whole packet.
      out.is_fragment = (load_be16(extension + 2) & 0xfff9) != 0;
      if (out.is_fragment)
        return drop_reason::fragment;
    } else if (next == authentication) {
      extension_bytes = (std::size_t{load_u8(extension + 1)} + 2) * 4; // RFC 4302 section 2.2
    } else {
      extension_bytes = (std::size_t{load_u8(extension + 1)} + 1) * 8;
    }
    if (next == routing && load_u8(extension + 2) == 0)
      return drop_reason::source_route;
    if (extension_bytes > total - at)
      return drop_reason::bad_ip_extension;
    next = load_u8(extension);
    at += extension_bytes;
  }
}

} // namespace

bool parsed_packet::is_echo() const noexcept {
  // ICMP over IPv6 and ICMPv6 over IPv4 mean nothing.
  if (is_icmp_error)
    return false;
  if (kind == packet_kind::ipv4)
    return tuple.protocol == ip_protocol::icmp &&
           (icmp_type == icmp_type::echo_request || icmp_type == icmp_type::echo_reply);
  return kind == packet_kind::ipv6 && tuple.protocol == ip_protocol::icmp6 &&
         (icmp_type == icmp_type::v6_echo_request || icmp_type == icmp_type::v6_echo_reply);
}

drop_verdict parse(byte_view frame, parsed_packet& out) noexcept {
  out = {};
  if (const auto drop = parse_ethernet(frame, out))
    return drop;
  const auto l3 = frame.subspan(out.l3_offset);
  switch (out.ethertype) {
  case ethertype::ipv4: return parse_ipv4(l3, out);
  case ethertype::ipv6: return parse_ipv6(l3, out);
  case ethertype::arp:
    out.kind = packet_kind::arp;
    out.l4_offset = out.payload_offset = out.l3_offset;
    out.payload_length = static_cast<std::uint16_t>(std::min<std::size_t>(l3.size(), 0xffff));
    return {};
  default: return drop_reason::unsupported_ethertype;
  }
}

bool is_martian_source(const ip_address& source) noexcept {
  if (source.is_multicast() || source.is_unspecified())
    return true;
  const auto& o = source.octets;
  if (source.is_v4())
    return o[0] == 0 || o[0] == 127 || o[0] >= 240;
  return o[15] == 1 && std::all_of(o.begin(), o.end() - 1, [](auto octet) { return octet == 0; }); // ::1
}

} // namespace glocal::dataplane
