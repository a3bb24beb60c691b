#pragma once
// Sizes and numbers of the headers this edge reads and writes, in one place and under their RFC names.

#include <cstddef>
#include <cstdint>

namespace glocal::dataplane {

inline constexpr std::size_t ethernet_header_bytes = 14, vlan_tag_bytes = 4;
inline constexpr std::size_t ipv4_header_bytes = 20, ipv6_header_bytes = 40;
inline constexpr std::size_t tcp_header_bytes = 20, udp_header_bytes = 8, icmp_header_bytes = 8, icmp6_header_bytes = 4,
                             sctp_header_bytes = 12;
/// RFC 826 with 48-bit hardware and 32-bit protocol addresses.
inline constexpr std::size_t arp_message_bytes = 28;

/// IEEE 802 numbers.
namespace ethertype {
inline constexpr std::uint16_t ipv4 = 0x0800, arp = 0x0806, vlan = 0x8100, ipv6 = 0x86dd, stacked_vlan = 0x88a8;
}

/// RFC 9293 section 3.1.
namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
}

/// RFC 792 and RFC 4443.
namespace icmp_type {
inline constexpr std::uint8_t echo_reply = 0, unreachable = 3, echo_request = 8, time_exceeded = 11,
                              parameter_problem = 12;
/// RFC 4443 section 2.1: destination unreachable to parameter problem.
inline constexpr std::uint8_t v6_first_error = 1, v6_last_error = 4;
inline constexpr std::uint8_t v6_echo_request = 128, v6_echo_reply = 129, neighbour_solicitation = 135,
                              neighbour_advertisement = 136;
} // namespace icmp_type

/// RFC 3168 section 5.
namespace ecn {
inline constexpr std::uint8_t not_ect = 0, ect1 = 1, ect0 = 2, ce = 3;
}

} // namespace glocal::dataplane
