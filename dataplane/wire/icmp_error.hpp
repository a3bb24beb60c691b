#pragma once
// ICMP and ICMPv6 errors an edge sends about packets it can't forward.
//
// Errors of others need nothing from here: parse() reads which flow they are about.
// Threading: pure functions. Sources: RFC 792, 1191, 1812 section 4.3.2, 4443, 8201.

#include "dataplane/wire/packet.hpp"
#include "dataplane/wire/parse.hpp"

namespace glocal::dataplane {

enum class icmp_error : std::uint8_t { packet_too_big, time_exceeded };

/// An error about an error, a multicast or a source that is nobody would do harm (RFC 1812 section 4.3.2.7, RFC 4443
/// section 2.4 e). ICMP other than echo counts as error.
[[nodiscard]] bool may_be_reported(const parsed_packet& about) noexcept;

/// Makes of `frame` the error about it: Ethernet header (addresses zero), IP header from `from` to its source, ICMP
/// header, and as much of the packet as may be quoted (576 bytes in all, RFC 1812; 1280 of IPv6, RFC 4443).
/// @param mtu bytes of IP packet that fit; only of packet_too_big. REQUIRES: may_be_reported(about), `about` is of
/// `frame`, `from` of its family. @return no_headroom; the frame is cut short then.
[[nodiscard]] drop_verdict write_icmp_error(packet& frame, const parsed_packet& about, icmp_error what,
                                            std::uint16_t mtu, const ip_address& from) noexcept;

} // namespace glocal::dataplane
