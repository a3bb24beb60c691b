#pragma once
// A port of an edge, as the control plane describes it. A value: copies, compares, carries no resource.
//
// Kinds: an *attachment* faces outerlay hosts (subscribers, servers); a *VNF arm* faces one side of a two-armed
// function (RFC 7665's SFC-unaware service function: plain packets in and out); an *underlay* port owns an RLOC.

#include "base/net.hpp"
#include "dataplane/wire/port_id.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace glocal::dataplane {

/// Ports are dense small numbers: tables of the fast path are indexed by them. 256 holds an edge with more than a
/// hundred two-armed instances; per-port state is about a hundred bytes.
inline constexpr port_id max_ports = 256;

/// "No port": the input of an overlay arrival, the target of an unresolved route.
inline constexpr port_id no_port = 0xffff;

enum class port_kind : std::uint8_t { attachment, vnf_in, vnf_out, underlay };

struct port_config {
  /// < max_ports; names the port in rules, paths, events and counters.
  port_id id = 0;
  /// For people: `sub0`, `fw1-in`.
  std::string name;
  port_kind kind = port_kind::attachment;
  /// What carries the frames, in the words of the port driver: `af_packet:veth-sub`, `tap:glocal0`
  /// (dataplane/dpdk/port.hpp). The switch itself does not read it.
  std::string device;

  /// Source of what the edge sends here, and what it answers ARP and ND with. All zeros: the device's own address.
  mac_address mac;
  /// Addresses the edge owns here: a gateway on attachments and arms, the RLOCs on the underlay. It answers ARP, ND and
  /// ICMP echo for them; their subnets are on-link. At most `max_port_addresses`.
  std::vector<interface_address> addresses;
  /// Identifies the address space of what arrives here; LISP instance id on the overlay, < 2^24.
  std::uint32_t tenant = 0;

  /// Next hop for destinations off-link: a router behind an attachment, the gateway of the underlay. One per family
  /// counts; absent means all destinations are on-link.
  std::optional<ip_address> via_v4, via_v6;
  /// VNF arms: the address of the function's interface, next hop of everything sent into this arm.
  std::optional<ip_address> peer_v4, peer_v6;

  /// Longest IP packet this port carries, in bytes, without the Ethernet header.
  std::uint16_t mtu = 1500;

  bool operator==(const port_config&) const = default;
};

/// Gateway addresses of one port: v4, v6 global, v6 link-local and a spare.
inline constexpr std::size_t max_port_addresses = 4;

} // namespace glocal::dataplane
