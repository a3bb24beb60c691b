#pragma once
// Whole, correct frames for tests, said as people say them:
//
//   packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80, tcp_flag::syn).build()
//
// Lengths and checksums are filled in by build(). Malformed frames are made from its result by changing bytes.

#include "dataplane/wire/build.hpp"

#include <string_view>

namespace glocal::dataplane::testing {

inline constexpr mac_address host_mac{{0x02, 0, 0, 0, 0, 0x01}}, edge_mac{{0x02, 0, 0, 0, 0, 0x02}};

class packet_builder {
public:
  /// Default: from host_mac to edge_mac.
  packet_builder& macs(const mac_address& source, const mac_address& destination);
  packet_builder& vlan(std::uint16_t id);
  /// Both addresses of one family; REQUIRES: they are addresses.
  packet_builder& ip(std::string_view source, std::string_view destination);
  packet_builder& ttl(std::uint8_t hops);
  packet_builder& dscp(std::uint8_t value);
  packet_builder& ecn(std::uint8_t value);

  packet_builder& tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags = tcp_flag::ack);
  packet_builder& udp(std::uint16_t source, std::uint16_t destination);
  /// ICMP or ICMPv6 after the family of ip(), which comes first.
  packet_builder& echo_request(std::uint16_t identifier, std::uint16_t sequence = 1);
  packet_builder& echo_reply(std::uint16_t identifier, std::uint16_t sequence = 1);
  /// Any other L4: `header_and_payload` follows the IP header as it is.
  packet_builder& raw(std::uint8_t protocol, bytes header_and_payload);
  packet_builder& payload(std::string_view text);
  packet_builder& payload(bytes data);

  [[nodiscard]] bytes build() const;

private:
  packet_builder& echo(std::uint8_t v4_type, std::uint8_t v6_type, std::uint16_t identifier, std::uint16_t sequence);

  mac_address source_mac_ = host_mac, destination_mac_ = edge_mac;
  std::uint16_t vlan_ = 0;
  ip_fields ip_{ip_address::v4(0x0a010007), ip_address::v4(0xcb007109)};
  bytes l4_header_, payload_;
};

/// Who has `target`, asked by broadcast.
[[nodiscard]] bytes arp_request(const mac_address& sender_mac, std::string_view sender, std::string_view target);
/// `sender` is at `sender_mac`, told to `target`.
[[nodiscard]] bytes arp_reply(const mac_address& sender_mac, std::string_view sender, const mac_address& target_mac,
                              std::string_view target);

/// A frame in a buffer of its own, with room around it as in an mbuf.
class packet_buffer {
public:
  explicit packet_buffer(const bytes& frame, std::uint16_t headroom = 128, std::uint16_t tailroom = 128);
  packet_buffer(const packet_buffer&) = delete;
  packet_buffer& operator=(const packet_buffer&) = delete;

  packet view;
  /// The frame as it is now.
  [[nodiscard]] bytes frame() const { return {view.data, view.data + view.length}; }

private:
  bytes storage_;
};

/// "45 00 00 1c ..." to bytes; blanks are free. REQUIRES: hexadecimal digits in pairs.
[[nodiscard]] bytes from_hex(std::string_view text);
[[nodiscard]] std::string to_hex(byte_view data);

/// parse() of a frame that must be good; aborts otherwise.
[[nodiscard]] parsed_packet parsed(byte_view frame);

} // namespace glocal::dataplane::testing
