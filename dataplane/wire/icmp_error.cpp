#include "dataplane/wire/icmp_error.hpp"

#include "dataplane/wire/build.hpp"
#include "dataplane/wire/checksum.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

constexpr std::size_t v4_error_bytes = 576, v6_error_bytes = 1280;

/// RFC 792 and RFC 4443 section 3.
constexpr std::uint16_t v4_fragmentation_needed = 0x0304, v4_time_exceeded = 0x0b00, v6_packet_too_big = 0x0200,
                        v6_time_exceeded = 0x0300;

} // namespace

bool may_be_reported(const parsed_packet& about) noexcept {
  return about.is_ip() && !about.is_icmp_error && (!about.is_icmp() || about.is_echo()) &&
         !about.tuple.destination.is_multicast() && !is_martian_source(about.tuple.source);
}

drop_verdict write_icmp_error(packet& frame, const parsed_packet& about, icmp_error what, std::uint16_t mtu,
                              const ip_address& from) noexcept {
  const bool is_v4 = about.kind == packet_kind::ipv4;
  const auto ip_bytes = is_v4 ? ipv4_header_bytes : ipv6_header_bytes;
  const auto most = (is_v4 ? v4_error_bytes : v6_error_bytes) - ip_bytes - icmp_header_bytes;
  const auto quoted = std::min<std::size_t>(about.ip_total_length, most);
  (void)frame.set_length(about.l3_offset + quoted); // only shorter
  frame.trim_front(about.l3_offset);
  auto* at = frame.prepend(ethernet_header_bytes + ip_bytes + icmp_header_bytes);
  if (at == nullptr)
    return drop_reason::no_headroom;
  write_ethernet(at, {}, {}, is_v4 ? ethertype::ipv4 : ethertype::ipv6);
  at += ethernet_header_bytes;
  const auto message_bytes = icmp_header_bytes + quoted;
  const auto protocol = is_v4 ? ip_protocol::icmp : ip_protocol::icmp6;
  at += write_ip(at, {.source = from,
                      .destination = about.tuple.source,
                      .protocol = protocol,
                      .payload_length = static_cast<std::uint16_t>(message_bytes)});
  const bool is_too_big = what == icmp_error::packet_too_big;
  store_be16(at, is_v4 ? (is_too_big ? v4_fragmentation_needed : v4_time_exceeded)
                       : (is_too_big ? v6_packet_too_big : v6_time_exceeded));
  store_be16(at + 2, 0);
  store_be32(at + 4, is_too_big ? mtu : 0u); // IPv4 has the MTU in the low half (RFC 1191)
  const byte_view message{at, message_bytes};
  store_be16(at + 2,
             is_v4 ? internet_checksum(message) : l4_checksum(message, from, about.tuple.source, ip_protocol::icmp6));
  return {};
}

} // namespace glocal::dataplane
