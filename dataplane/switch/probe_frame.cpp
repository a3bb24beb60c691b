#include "dataplane/switch/probe_frame.hpp"

#include "dataplane/wire/build.hpp"

namespace glocal::dataplane {
namespace {

/// What hosts send of protocols whose headers the edge does not read.
constexpr std::size_t other_l4_bytes = 8;

std::size_t l4_bytes(std::uint8_t protocol) noexcept {
  switch (protocol) {
  case ip_protocol::tcp: return tcp_header_bytes;
  case ip_protocol::udp: return udp_header_bytes;
  case ip_protocol::sctp: return sctp_header_bytes;
  case ip_protocol::icmp:
  case ip_protocol::icmp6: return icmp_header_bytes;
  default: return other_l4_bytes;
  }
}

} // namespace

std::vector<std::byte> make_probe_frame(const probe_fields& fields) {
  const auto& tuple = fields.tuple;
  const bool is_v4 = tuple.source.is_v4();
  const auto l4 = l4_bytes(tuple.protocol);
  const auto l2 = ethernet_header_bytes + (fields.vlan != 0 ? vlan_tag_bytes : 0);
  std::vector<std::byte> frame(l2 + (is_v4 ? ipv4_header_bytes : ipv6_header_bytes) + l4);
  auto* at = frame.data();
  at += write_ethernet(at, {}, {}, is_v4 ? ethertype::ipv4 : ethertype::ipv6, fields.vlan);
  at += write_ip(at, {tuple.source, tuple.destination, tuple.protocol, fields.ttl, fields.dscp, 0,
                      static_cast<std::uint16_t>(l4)});
  switch (tuple.protocol) {
  case ip_protocol::tcp:
    store_be16(at, tuple.source_port);
    store_be16(at + 2, tuple.destination_port);
    store_u8(at + 12, tcp_header_bytes / 4 << 4);
    store_u8(at + 13, fields.tcp_flags);
    break;
  case ip_protocol::udp: write_udp(at, tuple.source_port, tuple.destination_port, udp_header_bytes, 0); break;
  case ip_protocol::sctp:
    store_be16(at, tuple.source_port);
    store_be16(at + 2, tuple.destination_port);
    break;
  case ip_protocol::icmp:
  case ip_protocol::icmp6:
    store_u8(at, tuple.protocol == ip_protocol::icmp ? icmp_type::echo_request : icmp_type::v6_echo_request);
    store_be16(at + 4, tuple.source_port);
    break;
  default: break;
  }
  return frame;
}

} // namespace glocal::dataplane
