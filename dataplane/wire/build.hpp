#pragma once
// Writes headers, and changes the few fields of a frame an edge may change.
//
// REQUIRES of every function: the bytes written exist; what is changed was parsed. Threading: pure functions.

#include "dataplane/wire/headers.hpp"
#include "dataplane/wire/packet.hpp"
#include "dataplane/wire/parse.hpp"

namespace glocal::dataplane {

/// Ethernet II header, 14 bytes.
void write_ethernet(std::byte* at, const mac_address& destination, const mac_address& source,
                    std::uint16_t type) noexcept;
/// Ethernet II header with an 802.1Q tag, 18 bytes, when `vlan` is not 0; else as above. Returns the bytes written.
std::size_t write_ethernet(std::byte* at, const mac_address& destination, const mac_address& source, std::uint16_t type,
                           std::uint16_t vlan) noexcept;

[[nodiscard]] mac_address destination_mac(const std::byte* frame) noexcept;
[[nodiscard]] mac_address source_mac(const std::byte* frame) noexcept;
/// Addresses a frame to its next hop; tag and ethertype stay.
void set_ethernet_addresses(std::byte* frame, const mac_address& destination, const mac_address& source) noexcept;

/// What an IP header of ours may say; the rest follows from it.
struct ip_fields {
  /// One family.
  ip_address source, destination;
  std::uint8_t protocol = 0;
  std::uint8_t ttl = 64;
  std::uint8_t dscp = 0, ecn = 0;
  /// Bytes after the IP header.
  std::uint16_t payload_length = 0;
};

/// IPv4 header (20 bytes: no options, DF set, identification 0 as RFC 6864 section 4.1 allows for atomic datagrams) or
/// IPv6 header (40 bytes: flow label 0), after the family of the addresses. Returns the bytes written.
std::size_t write_ip(std::byte* at, const ip_fields& fields) noexcept;

/// UDP header, 8 bytes. `length` counts header and payload.
void write_udp(std::byte* at, std::uint16_t source_port, std::uint16_t destination_port, std::uint16_t length,
               std::uint16_t checksum) noexcept;

/// Takes one off TTL or hop limit, in the frame (checksum updated) and in `parsed`. REQUIRES: parsed.is_ip().
/// @return ttl_expired, and no change, when the packet must not go further.
[[nodiscard]] drop_verdict decrement_ttl(std::byte* frame, parsed_packet& parsed) noexcept;

/// Sets TTL or hop limit of the IP header at `ip`, IPv4 checksum updated. REQUIRES: a whole header of that kind.
void set_ttl(std::byte* ip, packet_kind kind, std::uint8_t ttl) noexcept;
/// Sets the ECN field of the IP header at `ip`, IPv4 checksum updated. REQUIRES: a whole header of that kind.
void set_ecn(std::byte* ip, packet_kind kind, std::uint8_t ecn) noexcept;

/// Gives the frame the tag `vlan`, replaces the one it has, or takes it away (`vlan` 0); `parsed` follows.
/// @return no_headroom, and no change, when there is no room for a tag.
[[nodiscard]] drop_verdict set_vlan(packet& frame, parsed_packet& parsed, std::uint16_t vlan) noexcept;

} // namespace glocal::dataplane
