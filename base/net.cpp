#include "base/net.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <tuple>

namespace glocal {
namespace {

/// Longest textual form: an IPv6 address with an embedded IPv4 one.
constexpr std::size_t max_address_text = INET6_ADDRSTRLEN;

template <class Int>
bool parse_number(std::string_view text, Int& out) {
  const auto* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, out);
  return failure == std::errc{} && stop == end && !text.empty();
}

/// Splits `address/length`; the length is absent when there is no slash.
struct split_prefix {
  std::string_view address, length;
  bool has_length;
};

split_prefix split(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return {text, {}, false};
  return {text.substr(0, slash), text.substr(slash + 1), true};
}

expected<interface_address, address_error> parse_with_length(std::string_view text, bool length_required) {
  const auto parts = split(text);
  auto address = parse_ip(parts.address);
  if (!address)
    return unexpected{address.error()};
  if (!parts.has_length)
    return length_required ? expected<interface_address, address_error>{unexpected{address_error::malformed}}
                           : interface_address{*address, address->bits()};
  unsigned length = 0;
  if (!parse_number(parts.length, length))
    return unexpected{address_error::malformed};
  if (length > address->bits())
    return unexpected{address_error::prefix_too_long};
  return interface_address{*address, static_cast<std::uint8_t>(length)};
}

std::string endpoint_text(const ip_address& address, std::uint16_t port, bool has_port) {
  auto host = to_string(address);
  if (!has_port)
    return host;
  if (!address.is_v4())
    host = "[" + host + "]";
  return host + ":" + std::to_string(port);
}

bool parse_endpoint(std::string_view text, ip_address& address, std::uint16_t& port) {
  std::string_view host = text;
  std::string_view digits;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos)
      return false;
    host = text.substr(1, close - 1);
    auto rest = text.substr(close + 1);
    if (!rest.empty()) {
      if (rest.front() != ':')
        return false;
      digits = rest.substr(1);
    }
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos && text.rfind(':') == colon) {
    host = text.substr(0, colon);
    digits = text.substr(colon + 1);
  }
  const auto parsed = parse_ip(host);
  if (!parsed)
    return false;
  address = *parsed;
  port = 0;
  return digits.empty() || parse_number(digits, port);
}

} // namespace

ip_address ip_address::v4(std::uint32_t value) noexcept {
  ip_address out;
  for (int i = 0; i < 4; ++i)
    out.octets[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  return out;
}

std::uint32_t ip_address::v4_value() const noexcept {
  return std::uint32_t{octets[0]} << 24 | std::uint32_t{octets[1]} << 16 | std::uint32_t{octets[2]} << 8 | octets[3];
}

bool ip_address::is_unspecified() const noexcept {
  return std::all_of(octets.begin(), octets.end(), [](auto octet) { return octet == 0; });
}

bool ip_address::is_multicast() const noexcept {
  if (!is_v4())
    return octets[0] == 0xff;
  return (octets[0] & 0xf0) == 0xe0 || v4_value() == 0xffffffff;
}

ip_prefix ip_prefix::make(const ip_address& address, std::uint8_t length) noexcept {
  ip_prefix out{address, length};
  for (std::size_t i = 0; i < out.address.octets.size(); ++i) {
    const int kept = std::clamp(static_cast<int>(length) - static_cast<int>(8 * i), 0, 8);
    out.address.octets[i] &= static_cast<std::uint8_t>(0xff00u >> kept);
  }
  return out;
}

bool ip_prefix::contains(const ip_address& candidate) const noexcept {
  return candidate.family == address.family && make(candidate, length).address == make(address, length).address;
}

bool ip_prefix::contains(const ip_prefix& other) const noexcept {
  return other.length >= length && contains(other.address);
}

bool ip_prefix::overlaps(const ip_prefix& other) const noexcept {
  return contains(other) || other.contains(*this);
}

five_tuple five_tuple::reversed() const noexcept {
  return {destination, source, destination_port, source_port, protocol};
}

five_tuple five_tuple::canonical() const noexcept {
  if (std::tie(source, source_port) <= std::tie(destination, destination_port))
    return *this;
  return reversed();
}

std::uint64_t hash_value(const five_tuple& tuple, std::uint64_t key) noexcept {
  // Packed by hand: the struct has padding, and padding must not be hashed.
  std::array<std::uint8_t, 38> packed;
  std::memcpy(packed.data(), tuple.source.octets.data(), 16);
  std::memcpy(packed.data() + 16, tuple.destination.octets.data(), 16);
  std::memcpy(packed.data() + 32, &tuple.source_port, 2);
  std::memcpy(packed.data() + 34, &tuple.destination_port, 2);
  packed[36] = tuple.protocol;
  packed[37] = static_cast<std::uint8_t>(tuple.source.family);
  return hash_bytes(packed.data(), packed.size(), key);
}

expected<ip_address, address_error> parse_ip(std::string_view text) {
  if (text.empty() || text.size() >= max_address_text)
    return unexpected{address_error::malformed};
  char terminated[max_address_text];
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  ip_address out;
  if (inet_pton(AF_INET, terminated, out.octets.data()) == 1)
    return out;
  if (inet_pton(AF_INET6, terminated, out.octets.data()) == 1) {
    out.family = ip_family::v6;
    return out;
  }
  return unexpected{address_error::malformed};
}

expected<ip_prefix, address_error> parse_prefix(std::string_view text) {
  const auto parsed = parse_with_length(text, false);
  if (!parsed)
    return unexpected{parsed.error()};
  const auto prefix = parsed->subnet();
  if (prefix.address != parsed->address)
    return unexpected{address_error::host_bits_set};
  return prefix;
}

expected<interface_address, address_error> parse_interface_address(std::string_view text) {
  return parse_with_length(text, true);
}

expected<mac_address, address_error> parse_mac(std::string_view text) {
  mac_address out;
  if (text.size() != 17)
    return unexpected{address_error::malformed};
  for (std::size_t i = 0; i < 6; ++i) {
    const auto* at = text.data() + 3 * i;
    const auto [stop, failure] = std::from_chars(at, at + 2, out.octets[i], 16);
    if (failure != std::errc{} || stop != at + 2 || (i < 5 && at[2] != ':'))
      return unexpected{address_error::malformed};
  }
  return out;
}

std::string to_string(const ip_address& address) {
  char text[max_address_text];
  inet_ntop(address.is_v4() ? AF_INET : AF_INET6, address.octets.data(), text, sizeof text);
  return text;
}

std::string to_string(const ip_prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

std::string to_string(const interface_address& address) {
  return to_string(address.address) + "/" + std::to_string(address.length);
}

std::string to_string(const mac_address& address) {
  char text[18];
  const auto& o = address.octets;
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", o[0], o[1], o[2], o[3], o[4], o[5]);
  return text;
}

std::string to_string(const five_tuple& tuple) {
  const bool has_ports = tuple.source_port != 0 || tuple.destination_port != 0;
  return protocol_name(tuple.protocol) + " " + endpoint_text(tuple.source, tuple.source_port, has_ports) + " > " +
         endpoint_text(tuple.destination, tuple.destination_port, has_ports);
}

expected<five_tuple, address_error> parse_five_tuple(std::string_view text) {
  const auto space = text.find(' ');
  const auto arrow = text.find(" > ");
  if (space == std::string_view::npos || arrow == std::string_view::npos || arrow <= space)
    return unexpected{address_error::malformed};
  five_tuple out;
  const auto protocol = parse_protocol(text.substr(0, space));
  if (!protocol)
    return unexpected{protocol.error()};
  out.protocol = *protocol;
  if (!parse_endpoint(text.substr(space + 1, arrow - space - 1), out.source, out.source_port) ||
      !parse_endpoint(text.substr(arrow + 3), out.destination, out.destination_port) ||
      out.source.family != out.destination.family)
    return unexpected{address_error::malformed};
  return out;
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
  case ip_protocol::icmp: return "icmp";
  case ip_protocol::tcp: return "tcp";
  case ip_protocol::udp: return "udp";
  case ip_protocol::icmp6: return "icmp6";
  case ip_protocol::sctp: return "sctp";
  default: return std::to_string(protocol);
  }
}

expected<std::uint8_t, address_error> parse_protocol(std::string_view text) {
  for (const std::uint8_t known :
       {ip_protocol::icmp, ip_protocol::tcp, ip_protocol::udp, ip_protocol::icmp6, ip_protocol::sctp})
    if (text == protocol_name(known))
      return known;
  std::uint8_t number = 0;
  if (!parse_number(text, number))
    return unexpected{address_error::malformed};
  return number;
}

} // namespace glocal

std::size_t std::hash<glocal::ip_address>::operator()(const glocal::ip_address& address) const noexcept {
  return glocal::hash_bytes(address.octets.data(), address.octets.size(), static_cast<std::uint64_t>(address.family));
}
