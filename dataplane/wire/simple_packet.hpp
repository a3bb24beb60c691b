#pragma once
// The packet most traffic consists of, read in one go: untagged Ethernet, IPv4 without options or fragments, TCP or
// UDP, whole and with a right header checksum.
//
// What is not read here is not wrong: parse() says what it is. What is read here, parse() reads alike (wire/parse_fuzz
// holds them against each other). Threading: pure functions.

#include "base/bytes.hpp"
#include "dataplane/wire/headers.hpp"

namespace glocal::dataplane {

/// Values in host order. The IP header begins at ethernet_header_bytes.
struct simple_packet {
  std::uint32_t source = 0, destination = 0;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint16_t ip_bytes = 0;
  /// ip_protocol::tcp or ip_protocol::udp, as numbers of IANA.
  std::uint8_t protocol = 0;
  std::uint8_t traffic_class = 0, ttl = 0;
  /// tcp_flag; 0 unless TCP.
  std::uint8_t tcp_flags = 0;
};

/// False when the frame is anything else. Cost: about 5 ns.
[[nodiscard]] inline bool read_simple(byte_view frame, simple_packet& out) noexcept {
  constexpr std::uint8_t tcp = 6, udp = 17;
  constexpr std::size_t l4 = ethernet_header_bytes + ipv4_header_bytes;
  if (frame.size() < l4 + udp_header_bytes)
    return false;
  const auto* at = frame.data();
  const auto* ip = at + ethernet_header_bytes;
  if (load_be16(at + 12) != ethertype::ipv4 || load_u8(ip) != 0x45 || (load_be16(ip + 6) & 0x3fff) != 0)
    return false;
  out.ip_bytes = load_be16(ip + 2);
  if (out.ip_bytes < ipv4_header_bytes + udp_header_bytes || out.ip_bytes > frame.size() - ethernet_header_bytes)
    return false;
  std::uint64_t sum = 0; // in any byte order (RFC 1071 section 2)
  for (std::size_t i = 0; i < ipv4_header_bytes; i += 4) {
    std::uint32_t word;
    std::memcpy(&word, ip + i, sizeof word);
    sum += word;
  }
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  if ((sum & 0xffff) + (sum >> 16) != 0xffff)
    return false;
  const std::size_t l4_bytes = out.ip_bytes - ipv4_header_bytes;
  out.protocol = load_u8(ip + 9);
  if (out.protocol == udp) {
    const auto message_bytes = load_be16(at + l4 + 4);
    if (message_bytes < udp_header_bytes || message_bytes > l4_bytes)
      return false;
    out.tcp_flags = 0;
  } else if (out.protocol == tcp && l4_bytes >= tcp_header_bytes) {
    const auto header_bytes = std::size_t{load_u8(at + l4 + 12)} >> 4 << 2;
    if (header_bytes < tcp_header_bytes || header_bytes > l4_bytes)
      return false;
    out.tcp_flags = load_u8(at + l4 + 13);
  } else
    return false;
  out.source = load_be32(ip + 12);
  out.destination = load_be32(ip + 16);
  out.source_port = load_be16(at + l4);
  out.destination_port = load_be16(at + l4 + 2);
  out.traffic_class = load_u8(ip + 1);
  out.ttl = load_u8(ip + 8);
  return true;
}

/// Takes one off the TTL of the frame it was read from. REQUIRES: ttl > 1. Source: RFC 1624, equation 3.
inline void decrement_ttl(std::byte* frame, simple_packet& of) noexcept {
  auto* ip = frame + ethernet_header_bytes;
  store_u8(ip + 8, --of.ttl);
  // The word falls by 0x0100, so that the sum of the checksum's complement does.
  auto inverted = std::uint32_t{static_cast<std::uint16_t>(~load_be16(ip + 10))} + 0xfeffu;
  inverted = (inverted & 0xffff) + (inverted >> 16);
  store_be16(ip + 10, static_cast<std::uint16_t>(~inverted));
}

} // namespace glocal::dataplane
