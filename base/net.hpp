#pragma once
// Addresses and the 5-tuple: values that copy, compare, hash and print.
//
// IPv4 addresses occupy the first four of sixteen bytes with the rest zero, so that equality and hashing need no
// branch on the family.

#include "base/expected.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace glocal {

enum class ip_family : std::uint8_t { v4 = 4, v6 = 6 };

/// Why a textual address was refused.
enum class address_error { malformed, prefix_too_long, host_bits_set };

/// 48-bit IEEE 802 address, transmission order.
struct mac_address {
  std::array<std::uint8_t, 6> octets{};

  auto operator<=>(const mac_address&) const = default;
  [[nodiscard]] bool is_multicast() const noexcept { return (octets[0] & 1) != 0; }
};

inline constexpr mac_address broadcast_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/// IPv4 or IPv6 address, network order.
struct ip_address {
  std::array<std::uint8_t, 16> octets{};
  ip_family family = ip_family::v4;

  auto operator<=>(const ip_address&) const = default;

  /// The address with host-order value `value`.
  [[nodiscard]] static ip_address v4(std::uint32_t value) noexcept;
  /// Host-order value. REQUIRES: family == v4.
  [[nodiscard]] std::uint32_t v4_value() const noexcept;
  [[nodiscard]] bool is_v4() const noexcept { return family == ip_family::v4; }
  [[nodiscard]] std::uint8_t bits() const noexcept { return is_v4() ? 32 : 128; }
  /// 0.0.0.0 or ::
  [[nodiscard]] bool is_unspecified() const noexcept;
  /// 224.0.0.0/4, ff00::/8 or 255.255.255.255
  [[nodiscard]] bool is_multicast() const noexcept;
};

/// A CIDR prefix. Invariant: bits below `length` are zero when made by `make` or `parse`.
struct ip_prefix {
  ip_address address;
  std::uint8_t length = 0;

  auto operator<=>(const ip_prefix&) const = default;

  /// `address` cut to `length` bits. REQUIRES: length <= address.bits().
  [[nodiscard]] static ip_prefix make(const ip_address& address, std::uint8_t length) noexcept;
  [[nodiscard]] bool contains(const ip_address& candidate) const noexcept;
  [[nodiscard]] bool contains(const ip_prefix& other) const noexcept;
  [[nodiscard]] bool overlaps(const ip_prefix& other) const noexcept;
};

/// A host address with the length of its subnet, as in `10.1.0.1/24`.
struct interface_address {
  ip_address address;
  std::uint8_t length = 0;

  auto operator<=>(const interface_address&) const = default;
  [[nodiscard]] ip_prefix subnet() const noexcept { return ip_prefix::make(address, length); }
};

/// IANA protocol numbers used here.
namespace ip_protocol {
inline constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, icmp6 = 58, sctp = 132;
}

/// Connection identity as one direction sees it. For ICMP the ports hold the echo identifier (both the same), else 0.
struct five_tuple {
  ip_address source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t protocol = 0;

  auto operator<=>(const five_tuple&) const = default;

  /// The tuple of the opposite direction.
  [[nodiscard]] five_tuple reversed() const noexcept;
  /// The same value for both directions: the lower (address, port) end stands first.
  [[nodiscard]] five_tuple canonical() const noexcept;
};

/// Keyed hash of a tuple (XXH3); the key is per process so that peers can't choose collisions.
[[nodiscard]] std::uint64_t hash_value(const five_tuple& tuple, std::uint64_t key = 0) noexcept;

[[nodiscard]] expected<ip_address, address_error> parse_ip(std::string_view text);
/// `10.0.0.0/8`; a bare address is a host prefix. Host bits that are set are an error.
[[nodiscard]] expected<ip_prefix, address_error> parse_prefix(std::string_view text);
/// `10.0.0.1/24`; the length is required.
[[nodiscard]] expected<interface_address, address_error> parse_interface_address(std::string_view text);
[[nodiscard]] expected<mac_address, address_error> parse_mac(std::string_view text);

[[nodiscard]] std::string to_string(const ip_address& address);
[[nodiscard]] std::string to_string(const ip_prefix& prefix);
[[nodiscard]] std::string to_string(const interface_address& address);
[[nodiscard]] std::string to_string(const mac_address& address);
/// `tcp 10.1.0.7:51514 > 203.0.113.9:80`
[[nodiscard]] std::string to_string(const five_tuple& tuple);
/// The inverse of to_string(five_tuple).
[[nodiscard]] expected<five_tuple, address_error> parse_five_tuple(std::string_view text);
/// "tcp", "udp", "icmp", "icmp6", "sctp" or the number.
[[nodiscard]] std::string protocol_name(std::uint8_t protocol);
[[nodiscard]] expected<std::uint8_t, address_error> parse_protocol(std::string_view text);

} // namespace glocal

template <>
struct std::hash<glocal::ip_address> {
  std::size_t operator()(const glocal::ip_address& address) const noexcept;
};
template <>
struct std::hash<glocal::five_tuple> {
  std::size_t operator()(const glocal::five_tuple& tuple) const noexcept { return glocal::hash_value(tuple); }
};
