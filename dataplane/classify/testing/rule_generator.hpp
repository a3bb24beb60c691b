#pragma once
// Random rules and packets for tests that compare classifiers.

#include "dataplane/classify/forest_builder.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace glocal::dataplane::testing {

/// Sanitizers are ten times slower, and look for what few cases show.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
/// What one thread does alone is AddressSanitizer's to look at.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool looks_for_races = true;
#else
inline constexpr bool looks_for_races = false;
#endif

/// Values few enough that rules overlap heavily and packets sit on their edges.
class rule_generator {
public:
  explicit rule_generator(std::uint64_t seed) : random_{seed} {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  ip_address address(ip_family family) {
    ip_address out{{}, family};
    // Bits from the ends and the middle, where masks of words meet.
    const std::array<std::size_t, 8> v6_at{0, 1, 7, 8, 9, 14, 15, 4};
    for (std::size_t i = 0; i < 4; ++i) {
      const auto at = family == ip_family::v4 ? i : v6_at[below(v6_at.size())];
      out.octets[at] = static_cast<std::uint8_t>(std::array{0, 1, 128, 255}[below(4)]);
    }
    return out;
  }
  ip_prefix prefix(ip_family family) {
    const std::array lengths_v4{0, 1, 8, 9, 16, 24, 31, 32};
    const std::array lengths_v6{0, 1, 56, 63, 64, 65, 127, 128};
    const auto length = family == ip_family::v4 ? lengths_v4[below(8)] : lengths_v6[below(8)];
    return ip_prefix::make(address(family), static_cast<std::uint8_t>(length));
  }
  std::uint16_t port() { return std::array<std::uint16_t, 8>{0, 1, 79, 80, 81, 443, 65534, 65535}[below(8)]; }
  l4_port_range ports() {
    if (one_in(2))
      return {};
    auto low = port();
    auto high = one_in(2) ? low : port();
    return {std::min(low, high), std::max(low, high)};
  }
  std::uint8_t protocol() { return std::array<std::uint8_t, 5>{1, 6, 17, 58, 132}[below(5)]; }
  ip_family family() { return one_in(2) ? ip_family::v4 : ip_family::v6; }
  std::uint8_t flags() { return static_cast<std::uint8_t>(below(32)); }

  rule make(std::uint32_t action) {
    rule out;
    auto& match = out.match;
    const auto v = family();
    if (!one_in(3))
      match.source = prefix(v);
    if (!one_in(3))
      match.destination = prefix(v);
    if (one_in(2))
      match.protocol = protocol();
    match.source_ports = ports();
    match.destination_ports = ports();
    if (one_in(5))
      match.in_port = static_cast<port_id>(below(3));
    if (one_in(5))
      match.vlan = static_cast<std::uint16_t>(below(3));
    if (one_in(5))
      match.dscp = static_cast<std::uint8_t>(below(3));
    if (one_in(5)) {
      match.tcp_flags_mask = flags();
      match.tcp_flags_value = flags() & match.tcp_flags_mask;
    }
    if (one_in(5) && match.tcp_flags_mask == 0)
      match.icmp_type = static_cast<std::uint8_t>(below(3));
    out.priority = static_cast<std::uint32_t>(below(6));
    out.action = action;
    return out;
  }

  /// All over what a forest may trade, so that small lists make deep trees too.
  forest_options options() {
    forest_options out;
    out.leaf_rules = static_cast<std::uint32_t>(1 + below(16));
    out.marked_rules = std::array{0u, 1u, 2u, 3u, 6u}[below(5)];
    out.max_copies = std::array{1.0, 1.25, 4.0, 16.0}[below(4)];
    out.table_load = std::array{0.5, 1.0, 4.0}[below(3)];
    out.open_penalty = std::array{0.0, 0.1, 0.5}[below(3)];
    out.kept_inline = static_cast<std::uint32_t>(below(10));
    out.root_width = static_cast<std::uint32_t>(1 + below(12));
    out.inner_width = static_cast<std::uint32_t>(1 + below(6));
    out.split_length = std::array{0u, 0u, 8u, 16u}[below(4)];
    return out;
  }

  packet_fields packet() {
    packet_fields out;
    const auto v = family();
    out.source = address(v);
    out.destination = address(v);
    out.protocol = protocol();
    const bool has_ports = out.protocol != 1 && out.protocol != 58;
    if (has_ports) {
      out.source_port = port();
      out.destination_port = port();
    } else
      out.icmp_type = static_cast<std::uint8_t>(below(3));
    if (out.protocol == ip_protocol::tcp)
      out.tcp_flags = flags();
    out.in_port = static_cast<port_id>(below(3));
    out.vlan = static_cast<std::uint16_t>(below(3));
    out.dscp = static_cast<std::uint8_t>(below(3));
    return out;
  }

private:
  std::mt19937_64 random_;
};

} // namespace glocal::dataplane::testing
