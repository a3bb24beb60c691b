#pragma once
// Every reason for which an edge drops a packet. Each has its own counter, so that a packet that vanishes can be found.
//
// Invariants: a dropped packet adds to exactly one reason; the enumerators are dense from 0, in the order a packet
// meets them. Programs and people know them by name (`to_string`), never by number.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace glocal::dataplane {

enum class drop_reason : std::uint8_t {
  // Ethernet
  truncated_ethernet,    ///< shorter than its Ethernet header or VLAN tag
  stacked_vlan,          ///< more than one VLAN tag
  unsupported_ethertype, ///< neither ARP nor IPv4 nor IPv6
  not_for_us,            ///< unicast to another station's MAC address, or to an IP address on a port that only we own
  // Neighbour resolution
  bad_arp,                 ///< ARP of other hardware or protocol, cut short, or with impossible addresses (RFC 826)
  bad_neighbour_discovery, ///< ND that RFC 4861 section 7.1 says to discard
  // IP
  truncated_ip,     ///< fewer bytes than the IP header or its length field announces
  bad_ip_version,   ///< version nibble contradicts what carries the packet
  bad_ip_length,    ///< header or total length that cannot be
  bad_ip_checksum,  ///< IPv4 header checksum
  ip_options,       ///< IPv4 options
  bad_ip_extension, ///< IPv6 extension headers cut short or too many
  source_route,     ///< IPv6 routing header type 0 (RFC 5095)
  fragment,         ///< any fragment of a larger packet, the first too
  ttl_expired,      ///< TTL or hop limit would reach 0 here
  multicast,        ///< multicast or broadcast destination: not forwarded
  // L4
  truncated_l4,  ///< the IP packet ends inside the L4 header
  bad_l4_length, ///< TCP data offset or UDP length that cannot be
  // Trust
  martian_source,         ///< multicast, loopback or unspecified source
  spoofed_source,         ///< source that is not attached at the port it came in by
  not_underlay_port,      ///< overlay packet at an attachment or VNF port
  unknown_rloc,           ///< overlay packet from an RLOC that is no edge of ours
  unexpected_on_underlay, ///< neither overlay nor for the edge itself
  // Overlay
  bad_lisp_header,      ///< LISP header cut short, or flags that exclude each other or ask for what is not spoken
  bad_gpe_protocol,     ///< LISP-GPE next protocol other than IPv4, IPv6, NSH
  bad_nsh_header,       ///< NSH version, MD type or OAM bit that is not spoken
  nsh_length,           ///< NSH length that contradicts its MD type or the packet
  bad_nsh_protocol,     ///< NSH next protocol other than IPv4, IPv6
  nsh_ttl_expired,      ///< NSH TTL would reach 0 here: a loop in the service plane
  congestion_not_ecn,   ///< congestion marked on the outer header of a packet that cannot tell (RFC 6040 section 4.2)
  unknown_tenant,       ///< instance id without a tenant
  unknown_path,         ///< SPI that the store does not know
  bad_service_index,    ///< SI outside its path
  encapsulation_no_nsh, ///< a service path towards a peer whose encapsulation carries none
  // Decision
  no_route,           ///< matches no service and no mapping
  no_rule_fallback,   ///< matches no rule and the edge's policy is to drop
  policy_drop,        ///< a rule says drop
  store_unavailable,  ///< undecided because the store did not answer, and the service says drop
  decision_refused,   ///< undecided for another reason, as no healthy instance
  reply_unknown_flow, ///< a reply to a connection nobody decided
  vnf_unknown_flow,   ///< came out of a VNF that never got the flow
  error_unknown_flow, ///< an ICMP error about a connection that is not known here
  // Held packets and tables
  held_flow_full,      ///< the flow holds its most packets already
  held_total_full,     ///< the edge holds its most packets already
  held_port_full,      ///< as many flows of the port as its share allows wait for a decision
  packet_in_policed,   ///< the port or its tenant begins more flows than it may
  hold_timeout,        ///< held until its bound, then undecided
  packet_in_ring_full, ///< the service modules do not keep up
  table_full,          ///< no room in the exact-match table
  // Output
  neighbour_unresolved, ///< no answer to ARP or ND
  unknown_port,         ///< the action's port is not there, any more or yet
  no_headroom,          ///< no room before the packet for its outer headers
  mtu_exceeded,         ///< longer than the output port takes
  no_buffer,            ///< no packet buffer left
  tx_full,              ///< the port took fewer packets than offered
};

inline constexpr std::size_t drop_reason_count = static_cast<std::size_t>(drop_reason::tx_full) + 1;

/// Nothing when the packet goes on, else why it must be dropped.
using drop_verdict = std::optional<drop_reason>;

/// The enumerator's name, as in "bad_ip_checksum".
[[nodiscard]] std::string_view to_string(drop_reason reason) noexcept;

} // namespace glocal::dataplane
