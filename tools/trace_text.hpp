#pragma once
// Packets and filters as people write them for `glocal trace`.
//
//   packet := PROTOCOL END ">" END { option }
//   filter := [ PROTOCOL | "any" ] [ RANGE ( ">" | "<>" ) RANGE ] { option }         "<>": both directions
//   END    := ADDRESS [ ":" PORT ] | "[" IPV6 "]" [ ":" PORT ]
//   RANGE  := ( "any" | ADDRESS [ "/" BITS ] | "[" IPV6 [ "/" BITS ] "]" ) [ ":" PORT [ "-" PORT ] ]
//   option := vlan=N | dscp=N | ttl=N | flags=FLAG{,FLAG}        of a packet
//           | vlan=N | dscp=N | icmp_type=N | flags=[-]FLAG{,…} | tenant=N | port=NAME    of a filter; -FLAG: not set
//   FLAG   := syn | ack | fin | rst | psh | urg
//
// PROTOCOL is tcp, udp, icmp, icmp6, sctp or a number. Pure functions.

#include "base/expected.hpp"
#include "base/net.hpp"
#include "dataplane/classify/rule.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace glocal::cli {

struct text_error {
  /// From 1; one past the end when something is missing there.
  std::size_t column = 1;
  std::string message;
};
/// The text, a mark under the column, and the message: three lines.
[[nodiscard]] std::string shown(const text_error& error, std::string_view text);

struct packet_text {
  /// Without a source port: the first of those hosts choose from, 49152. Of ICMP the ports are the echo identifier.
  five_tuple tuple;
  std::uint16_t vlan = 0;
  std::uint8_t dscp = 0, ttl = 64;
  /// Default: SYN, the beginning of a connection.
  std::uint8_t tcp_flags = 0x02;
};
[[nodiscard]] expected<packet_text, text_error> parse_packet(std::string_view text);

struct filter_text {
  dataplane::rule_match match;
  bool both_directions = false;
  std::optional<std::uint32_t> tenant;
  /// Of an edge; empty: any.
  std::string port;
};
[[nodiscard]] expected<filter_text, text_error> parse_filter(std::string_view text);

} // namespace glocal::cli
