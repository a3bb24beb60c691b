#include "dataplane/wire/build.hpp"

#include "dataplane/wire/checksum.hpp"

namespace glocal::dataplane {
namespace {

constexpr std::size_t mac_bytes = 6;

mac_address mac_at(const std::byte* at) noexcept {
  mac_address out;
  std::memcpy(out.octets.data(), at, mac_bytes);
  return out;
}

/// Writes one of the words the IPv4 header checksum covers.
void replace_ipv4_word(std::byte* ip, std::size_t offset, std::uint16_t after) noexcept {
  const auto before = load_be16(ip + offset);
  store_be16(ip + offset, after);
  store_be16(ip + 10, checksum_update(load_be16(ip + 10), before, after));
}

} // namespace

void write_ethernet(std::byte* at, const mac_address& destination, const mac_address& source,
                    std::uint16_t type) noexcept {
  set_ethernet_addresses(at, destination, source);
  store_be16(at + 12, type);
}

std::size_t write_ethernet(std::byte* at, const mac_address& destination, const mac_address& source, std::uint16_t type,
                           std::uint16_t vlan) noexcept {
  if (vlan == 0) {
    write_ethernet(at, destination, source, type);
    return ethernet_header_bytes;
  }
  write_ethernet(at, destination, source, ethertype::vlan);
  store_be16(at + 14, vlan);
  store_be16(at + 16, type);
  return ethernet_header_bytes + vlan_tag_bytes;
}

mac_address destination_mac(const std::byte* frame) noexcept {
  return mac_at(frame);
}

mac_address source_mac(const std::byte* frame) noexcept {
  return mac_at(frame + mac_bytes);
}

void set_ethernet_addresses(std::byte* frame, const mac_address& destination, const mac_address& source) noexcept {
  std::memcpy(frame, destination.octets.data(), mac_bytes);
  std::memcpy(frame + mac_bytes, source.octets.data(), mac_bytes);
}

std::size_t write_ip(std::byte* at, const ip_fields& fields) noexcept {
  const auto traffic_class = static_cast<std::uint8_t>(fields.dscp << 2 | fields.ecn);
  if (fields.source.is_v4()) {
    store_be16(at, static_cast<std::uint16_t>(0x4500 | traffic_class));
    store_be16(at + 2, static_cast<std::uint16_t>(ipv4_header_bytes + fields.payload_length));
    store_be16(at + 4, 0);
    store_be16(at + 6, 0x4000); // DF
    store_u8(at + 8, fields.ttl);
    store_u8(at + 9, fields.protocol);
    store_be16(at + 10, 0);
    std::memcpy(at + 12, fields.source.octets.data(), 4);
    std::memcpy(at + 16, fields.destination.octets.data(), 4);
    store_be16(at + 10, internet_checksum({at, ipv4_header_bytes}));
    return ipv4_header_bytes;
  }
  store_be32(at, 0x60000000u | std::uint32_t{traffic_class} << 20);
  store_be16(at + 4, fields.payload_length);
  store_u8(at + 6, fields.protocol);
  store_u8(at + 7, fields.ttl);
  std::memcpy(at + 8, fields.source.octets.data(), 16);
  std::memcpy(at + 24, fields.destination.octets.data(), 16);
  return ipv6_header_bytes;
}

void write_udp(std::byte* at, std::uint16_t source_port, std::uint16_t destination_port, std::uint16_t length,
               std::uint16_t checksum) noexcept {
  store_be16(at, source_port);
  store_be16(at + 2, destination_port);
  store_be16(at + 4, length);
  store_be16(at + 6, checksum);
}

drop_verdict decrement_ttl(std::byte* frame, parsed_packet& parsed) noexcept {
  // RFC 1812 section 5.3.1: what would leave with 0 does not leave.
  if (parsed.ttl <= 1)
    return drop_reason::ttl_expired;
  --parsed.ttl;
  set_ttl(frame + parsed.l3_offset, parsed.kind, parsed.ttl);
  return {};
}

void set_ttl(std::byte* ip, packet_kind kind, std::uint8_t ttl) noexcept {
  if (kind == packet_kind::ipv4)
    replace_ipv4_word(ip, 8, static_cast<std::uint16_t>(ttl << 8 | load_u8(ip + 9)));
  else
    store_u8(ip + 7, ttl);
}

void set_ecn(std::byte* ip, packet_kind kind, std::uint8_t ecn) noexcept {
  const auto word = load_be16(ip);
  if (kind == packet_kind::ipv4)
    replace_ipv4_word(ip, 0, static_cast<std::uint16_t>((word & ~0x3u) | ecn));
  else
    store_be16(ip, static_cast<std::uint16_t>((word & ~0x30u) | static_cast<unsigned>(ecn << 4)));
}

drop_verdict set_vlan(packet& frame, parsed_packet& parsed, std::uint16_t vlan) noexcept {
  const auto destination = destination_mac(frame.data);
  const auto source = source_mac(frame.data);
  const auto had = parsed.has_vlan_tag ? vlan_tag_bytes : 0;
  const auto wants = vlan != 0 ? vlan_tag_bytes : 0;
  if (wants > had && frame.prepend(vlan_tag_bytes) == nullptr)
    return drop_reason::no_headroom;
  if (had > wants)
    frame.trim_front(vlan_tag_bytes);
  write_ethernet(frame.data, destination, source, parsed.ethertype, vlan);
  const auto move = [&](std::uint16_t& offset) { offset = static_cast<std::uint16_t>(offset + wants - had); };
  move(parsed.l3_offset);
  move(parsed.l4_offset);
  move(parsed.payload_offset);
  parsed.vlan = vlan;
  parsed.has_vlan_tag = vlan != 0;
  return {};
}

} // namespace glocal::dataplane
