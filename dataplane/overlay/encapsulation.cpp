#include "dataplane/overlay/encapsulation.hpp"

#include "dataplane/overlay/lisp_header.hpp"
#include "dataplane/wire/checksum.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

/// RFC 6335 section 6: the dynamic ports, which nobody listens on.
constexpr std::uint16_t first_entropy_port = 49152, entropy_mask = 0x3fff;

constexpr std::size_t outer_ip = ethernet_header_bytes;

/// Completes the copied outer IP header: length, and what is taken over from the inner packet (RFC 9300 section 5.3).
void finish_outer_ip(std::byte* ip, bool is_v4, std::size_t ip_bytes, const parsed_packet& inner) noexcept {
  const auto traffic_class = static_cast<std::uint8_t>(inner.dscp << 2 | inner.ecn);
  if (is_v4) {
    store_u8(ip + 1, traffic_class);
    store_be16(ip + 2, static_cast<std::uint16_t>(ip_bytes));
    store_u8(ip + 8, inner.ttl);
    store_be16(ip + 10, 0);
    store_be16(ip + 10, internet_checksum({ip, ipv4_header_bytes}));
  } else {
    store_be32(ip, 0x60000000u | std::uint32_t{traffic_class} << 20);
    store_be16(ip + 4, static_cast<std::uint16_t>(ip_bytes - ipv6_header_bytes));
    store_u8(ip + 7, inner.ttl);
  }
}

struct inner_ip {
  std::uint8_t ttl, ecn;
};

/// What decapsulation must compare of an inner header not parsed yet.
expected<inner_ip, drop_reason> peek(byte_view ip, packet_kind kind) noexcept {
  const bool is_v4 = kind == packet_kind::ipv4;
  if (ip.size() < (is_v4 ? ipv4_header_bytes : ipv6_header_bytes))
    return unexpected{drop_reason::truncated_ip};
  if (load_u8(ip.data()) >> 4 != (is_v4 ? 4 : 6))
    return unexpected{drop_reason::bad_ip_version};
  if (is_v4)
    return inner_ip{load_u8(ip.data() + 8), static_cast<std::uint8_t>(load_u8(ip.data() + 1) & 3)};
  return inner_ip{load_u8(ip.data() + 7), static_cast<std::uint8_t>(load_u8(ip.data() + 1) >> 4 & 3)};
}

/// RFC 6040 section 4.2, figure 4: the ECN field the decapsulated packet gets; nothing when it must be dropped.
std::optional<std::uint8_t> merged_ecn(std::uint8_t inner, std::uint8_t outer) noexcept {
  if (outer == ecn::ce)
    return inner == ecn::not_ect ? std::optional<std::uint8_t>{} : ecn::ce;
  if (outer == ecn::ect1 && inner == ecn::ect0)
    return ecn::ect1;
  return inner;
}

} // namespace

void tunnel::set_next_hop(const mac_address& next_hop, const mac_address& own) noexcept {
  set_ethernet_addresses(outer.data(), next_hop, own);
}

tunnel make_tunnel(const encapsulation& format, const ip_address& local, const ip_address& remote,
                   const mac_address& next_hop, const mac_address& own_mac, port_id out_port,
                   std::uint16_t mtu) noexcept {
  tunnel out;
  out.format = &format;
  out.local = local;
  out.remote = remote;
  out.out_port = out_port;
  out.mtu = mtu;
  auto* at = out.outer.data();
  write_ethernet(at, next_hop, own_mac, local.is_v4() ? ethertype::ipv4 : ethertype::ipv6);
  at += ethernet_header_bytes;
  at += write_ip(at, {local, remote, ip_protocol::udp});
  write_udp(at, 0, lisp_data_port, 0, 0);
  at += udp_header_bytes;
  out.outer_bytes = static_cast<std::uint8_t>(at - out.outer.data());
  return out;
}

std::size_t room_for_inner(const tunnel& through, const overlay_header& header) noexcept {
  const auto shim_bytes = through.format->header_bytes(header);
  const auto added = through.outer_bytes + shim_bytes - outer_ip;
  return shim_bytes == 0 || added > through.mtu ? 0 : through.mtu - added;
}

drop_verdict encapsulate(packet& frame, const tunnel& through, const overlay_header& header,
                         const parsed_packet& inner) noexcept {
  const auto shim_bytes = through.format->header_bytes(header);
  if (shim_bytes == 0)
    return drop_reason::encapsulation_no_nsh;
  const std::size_t added = through.outer_bytes + shim_bytes;
  const std::size_t ip_bytes = added - outer_ip + inner.ip_total_length;
  if (ip_bytes > through.mtu)
    return drop_reason::mtu_exceeded;
  if (added > std::size_t{frame.headroom} + inner.l3_offset)
    return drop_reason::no_headroom;

  // What Ethernet padded stays behind: the frame only gets shorter here, so there is room.
  (void)frame.set_length(inner.l3_offset + inner.ip_total_length);
  frame.trim_front(inner.l3_offset);
  auto* at = frame.prepend(added);
  const bool is_v4 = through.local.is_v4();
  // A copy of constant size is a few moves; of variable size, a slow string instruction.
  if (is_v4)
    std::memcpy(at, through.outer.data(), tunnel::v4_outer_bytes);
  else
    std::memcpy(at, through.outer.data(), tunnel::v6_outer_bytes);
  finish_outer_ip(at + outer_ip, is_v4, ip_bytes, inner);
  auto* udp = at + through.outer_bytes - udp_header_bytes;
  store_be16(udp, static_cast<std::uint16_t>(first_entropy_port | (hash_value(inner.tuple) & entropy_mask)));
  store_be16(udp + 4, static_cast<std::uint16_t>(frame.length - static_cast<std::size_t>(udp - at)));
  through.format->write(at + through.outer_bytes, header, inner.kind);
  return {};
}

bool is_overlay(const parsed_packet& outer) noexcept {
  return outer.is_ip() && !outer.is_icmp_error && outer.tuple.protocol == ip_protocol::udp &&
         outer.tuple.destination_port == lisp_data_port;
}

drop_verdict decapsulate(packet& frame, const parsed_packet& outer, overlay_header& header) noexcept {
  // A UDP checksum is accepted and not verified (RFC 9300 section 5.3, RFC 6936): the inner packet has its own.
  const auto payload = frame.view().subspan(outer.payload_offset, outer.payload_length);
  if (payload.empty())
    return drop_reason::bad_lisp_header;
  const bool is_gpe = (load_u8(payload.data()) & lisp_flag::gpe) != 0;
  const auto read = (is_gpe ? lisp_gpe_nsh() : lisp()).read(payload);
  if (!read)
    return read.error();
  const auto inner = peek(payload.subspan(read->header_bytes), read->inner);
  if (!inner)
    return inner.error();
  const auto ecn = merged_ecn(inner->ecn, outer.ecn);
  if (!ecn)
    return drop_reason::congestion_not_ecn;

  header = read->header;
  const std::size_t inner_offset = std::size_t{outer.payload_offset} + read->header_bytes;
  (void)frame.set_length(std::size_t{outer.payload_offset} + outer.payload_length);
  frame.trim_front(inner_offset - ethernet_header_bytes);
  write_ethernet(frame.data, {}, {}, read->inner == packet_kind::ipv4 ? ethertype::ipv4 : ethertype::ipv6);
  auto* ip = frame.data + ethernet_header_bytes;
  if (outer.ttl < inner->ttl)
    set_ttl(ip, read->inner, outer.ttl);
  if (*ecn != inner->ecn)
    set_ecn(ip, read->inner, *ecn);
  return {};
}

} // namespace glocal::dataplane
