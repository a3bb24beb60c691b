#pragma once
// What a rule matches and what it says; the value both the configuration and the classifiers speak.

#include "base/net.hpp"
#include "dataplane/wire/port_id.hpp"

#include <cstdint>
#include <optional>

namespace glocal::dataplane {

/// Inclusive range of L4 ports; the default matches all, also packets without ports (theirs count as 0).
struct l4_port_range {
  std::uint16_t low = 0, high = 0xffff;

  bool operator==(const l4_port_range&) const = default;
  [[nodiscard]] bool contains(std::uint16_t port) const noexcept { return low <= port && port <= high; }
  [[nodiscard]] bool is_wildcard() const noexcept { return low == 0 && high == 0xffff; }
};

/// Fields of a packet a rule may constrain; an absent one is a wildcard (OpenFlow 1.3.5 section 7.2.3).
struct rule_match {
  std::optional<port_id> in_port;
  /// 0 matches packets without a VLAN.
  std::optional<std::uint16_t> vlan;
  std::optional<ip_prefix> source, destination;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint8_t> dscp;
  l4_port_range source_ports, destination_ports;
  /// Matches TCP packets with (flags & mask) == value; mask 0 is a wildcard.
  std::uint8_t tcp_flags_value = 0, tcp_flags_mask = 0;
  /// Matches ICMP and ICMPv6 packets of this type.
  std::optional<std::uint8_t> icmp_type;

  bool operator==(const rule_match&) const = default;

  /// The match of the opposite direction: addresses and ports change sides; in_port, TCP flags and ICMP type
  /// belong to one direction and become wildcards.
  [[nodiscard]] rule_match mirrored() const;
};

/// A match, its rank, and what its owner wants to be told when it matches. Among the rules that match a packet the
/// highest `priority` wins; of equal ones the one that stands first in the rule list, which is the one added first.
struct rule {
  rule_match match;
  std::uint32_t priority = 0;
  /// Says whose rule it is; opaque to classifiers.
  std::uint64_t cookie = 0;
  /// Says what to do; opaque to classifiers.
  std::uint32_t action = 0;

  bool operator==(const rule&) const = default;
};

/// Why a match can't be: nothing in it may contradict itself.
enum class rule_error : std::uint8_t {
  empty_port_range,      ///< low above high
  mixed_families,        ///< source and destination of different IP versions
  bad_prefix,            ///< longer than its address, or host bits set
  vlan_out_of_range,     ///< above 4094
  dscp_out_of_range,     ///< above 63
  tcp_flags_beyond_mask, ///< a value bit the mask leaves out can never be seen
  flags_and_icmp_type,   ///< no packet is both TCP and ICMP
};

[[nodiscard]] std::optional<rule_error> find_contradiction(const rule_match& match) noexcept;
[[nodiscard]] std::string_view to_string(rule_error error) noexcept;

} // namespace glocal::dataplane
