#pragma once
// ARP and Neighbour Discovery as one conversation: who has this address, and where it is; and the answer to a ping.
//
// Pure functions over frames; the table of neighbours and its clocks belong to the switch.
// Sources: RFC 826, RFC 5227 (ARP probes); RFC 4861 sections 4.3, 4.4, 7.1, 7.2; RFC 792 and RFC 4443 (echo).

#include "base/expected.hpp"
#include "dataplane/wire/build.hpp"

namespace glocal::dataplane {

/// An ARP request or Neighbour Solicitation asks, an ARP reply or Neighbour Advertisement tells.
struct neighbour_message {
  enum class operation : std::uint8_t { solicit, advertise };

  operation op = operation::solicit;
  /// The address asked for or told about.
  ip_address target;
  /// Who asks (unspecified in an address probe), or who is told.
  ip_address asker;
  /// MAC address of the sender of the message: where `asker` is if it solicits, where `target` is if it advertises.
  mac_address link_address;
};

/// True for ARP and for ICMPv6 Neighbour Solicitation and Advertisement.
[[nodiscard]] bool is_neighbour_message(const parsed_packet& parsed) noexcept;

/// REQUIRES: `parsed` is of `frame` and is_neighbour_message(parsed).
/// @error bad_arp, bad_neighbour_discovery.
[[nodiscard]] expected<neighbour_message, drop_reason> decode_neighbour(byte_view frame,
                                                                        const parsed_packet& parsed) noexcept;

/// Overwrites the frame in `into` with the question who has `target`, asked by (`own_address`, `own_mac`), tagged with
/// `vlan` unless 0. @return no_buffer when the buffer is too small (90 bytes always do).
[[nodiscard]] drop_verdict write_solicitation(packet& into, const ip_address& target, const ip_address& own_address,
                                              const mac_address& own_mac, std::uint16_t vlan = 0) noexcept;

/// Overwrites the frame in `into` with the answer to `solicitation`: its target is at `own_mac`. `into` may be the
/// frame that asked. @return no_buffer as above.
[[nodiscard]] drop_verdict write_advertisement(packet& into, const neighbour_message& solicitation,
                                               const mac_address& own_mac, std::uint16_t vlan = 0) noexcept;

/// True for an ICMP or ICMPv6 echo request.
[[nodiscard]] bool is_echo_request(const parsed_packet& parsed) noexcept;

/// Turns an echo request into its reply, in place: MAC and IP addresses change sides, TTL is 64 again.
/// REQUIRES: `parsed` is of `frame` and is_echo_request(parsed).
void make_echo_reply(std::byte* frame, const parsed_packet& parsed) noexcept;

/// ff02::1:ffXX:XXXX of an IPv6 address (RFC 4291 section 2.7.1).
[[nodiscard]] ip_address solicited_node_multicast(const ip_address& target) noexcept;
/// The MAC address an IP multicast group is sent to (RFC 1112 section 6.4, RFC 2464 section 7).
[[nodiscard]] mac_address multicast_mac(const ip_address& group) noexcept;

} // namespace glocal::dataplane
