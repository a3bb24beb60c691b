#pragma once
// What a rule matches and what it says; the value both the configuration and the classifiers speak.

#include "base/net.hpp"

#include <cstdint>
#include <optional>

namespace glocal::dataplane {

/// Identifies a port of one edge: attachment, VNF arm or underlay. Unique within the edge, small, dense.
using port_id = std::uint16_t;

/// Inclusive range of L4 ports; the default matches all, also packets without ports (theirs count as 0).
struct l4_port_range {
  std::uint16_t low = 0, high = 0xffff;

  bool operator==(const l4_port_range&) const = default;
  [[nodiscard]] bool contains(std::uint16_t port) const noexcept { return low <= port && port <= high; }
};

/// Fields of a packet a rule may constrain; an absent one is a wildcard (OpenFlow 1.3.5 section 7.2.3).
struct rule_match {
  std::optional<port_id> in_port;
  std::optional<std::uint16_t> vlan;
  std::optional<ip_prefix> source, destination;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint8_t> dscp;
  l4_port_range source_ports, destination_ports;
  /// Matches when (flags & mask) == value.
  std::uint8_t tcp_flags_value = 0, tcp_flags_mask = 0;
  std::optional<std::uint8_t> icmp_type;

  bool operator==(const rule_match&) const = default;

  /// The match of the opposite direction: addresses and ports change sides; in_port, TCP flags and ICMP type
  /// belong to one direction and become wildcards.
  [[nodiscard]] rule_match mirrored() const;
};

} // namespace glocal::dataplane
