#include "dataplane/classify/packed.hpp"

#include "base/bytes.hpp"

namespace glocal::dataplane {
namespace {

constexpr std::uint64_t tcp_mark = 1 << 8, icmp_mark = 2 << 8;
constexpr std::uint64_t has_source = 1, has_destination = 2;

std::uint64_t word_of(const ip_address& address, std::size_t half) noexcept {
  return load_be64(std::as_bytes(std::span{address.octets}).data() + 8 * half);
}

std::uint32_t v4_of(const ip_address& address) noexcept {
  return static_cast<std::uint32_t>(word_of(address, 0) >> 32);
}

constexpr std::uint64_t leading_ones(unsigned count) noexcept {
  return count == 0 ? 0 : count >= 64 ? ~std::uint64_t{0} : ~std::uint64_t{0} << (64 - count);
}

template <std::size_t Words>
void pack_prefix(const std::optional<ip_prefix>& prefix, bool is_source, packed_match<Words>& out) noexcept {
  if (!prefix)
    return;
  out.mask.word[Words - 1] |= is_source ? has_source : has_destination;
  if constexpr (Words == 4) {
    const unsigned shift = is_source ? 32 : 0;
    out.value.word[0] |= std::uint64_t{v4_of(prefix->address)} << shift;
    out.mask.word[0] |= leading_ones(prefix->length) >> 32 << shift;
  } else {
    const std::size_t first = is_source ? 0 : 2;
    for (std::size_t half = 0; half < 2; ++half) {
      out.value.word[first + half] = word_of(prefix->address, half);
      out.mask.word[first + half] = leading_ones(half == 0              ? prefix->length
                                                 : prefix->length <= 64 ? 0
                                                                        : prefix->length - 64u);
    }
  }
}

ip_address address_of(std::uint64_t high, std::uint64_t low, ip_family family) noexcept {
  ip_address out{{}, family};
  for (std::size_t i = 0; i < 8; ++i) {
    out.octets[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    out.octets[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return out;
}

template <std::size_t Words>
std::optional<ip_prefix> unpack_prefix(const packed_words<Words>& value, const packed_words<Words>& mask,
                                       bool is_source) noexcept {
  if ((mask.word[Words - 1] & (is_source ? has_source : has_destination)) == 0)
    return {};
  if constexpr (Words == 4) {
    const unsigned shift = is_source ? 32 : 0;
    const auto bits = static_cast<std::uint32_t>(mask.word[0] >> shift);
    return ip_prefix{ip_address::v4(static_cast<std::uint32_t>(value.word[0] >> shift)),
                     static_cast<std::uint8_t>(std::popcount(bits))};
  } else {
    const std::size_t first = is_source ? 0 : 2;
    return ip_prefix{address_of(value.word[first], value.word[first + 1], ip_family::v6),
                     static_cast<std::uint8_t>(std::popcount(mask.word[first]) + std::popcount(mask.word[first + 1]))};
  }
}

constexpr std::uint64_t complement(std::uint16_t port) noexcept {
  return static_cast<std::uint16_t>(~port);
}

} // namespace

template <std::size_t Words>
packed_match<Words> pack(const rule_match& match) noexcept {
  using layout = packed_layout<Words>;
  packed_match<Words> out;
  pack_prefix<Words>(match.source, true, out);
  pack_prefix<Words>(match.destination, false, out);
  auto& value = out.value.word[layout::misc];
  auto& mask = out.mask.word[layout::misc];
  const auto field = [&](std::uint64_t wanted, std::uint64_t bits, unsigned shift) {
    value |= wanted << shift;
    mask |= bits << shift;
  };
  if (match.in_port)
    field(*match.in_port, 0xffff, 0);
  if (match.vlan)
    field(*match.vlan, 0xffff, 16);
  if (match.dscp)
    field(*match.dscp, 0xff, 32);
  if (match.protocol)
    field(*match.protocol, 0xff, 40);
  if (match.tcp_flags_mask != 0)
    field(tcp_mark | match.tcp_flags_value, 0xff00u | match.tcp_flags_mask, 48);
  if (match.icmp_type)
    field(icmp_mark | *match.icmp_type, 0xffff, 48);
  out.value.word[layout::ports] = match.source_ports.low | complement(match.source_ports.high) << 16 |
                                  std::uint64_t{match.destination_ports.low} << 32 |
                                  complement(match.destination_ports.high) << 48;
  out.mask.word[layout::ports] = ~std::uint64_t{0};
  return out;
}

template <std::size_t Words>
rule_match unpack(const packed_words<Words>& value, const packed_words<Words>& mask) noexcept {
  using layout = packed_layout<Words>;
  rule_match out;
  out.source = unpack_prefix<Words>(value, mask, true);
  out.destination = unpack_prefix<Words>(value, mask, false);
  const auto seen = value.word[layout::misc], bits = mask.word[layout::misc];
  if ((bits & 0xffff) != 0)
    out.in_port = static_cast<port_id>(seen);
  if ((bits >> 16 & 0xffff) != 0)
    out.vlan = static_cast<std::uint16_t>(seen >> 16);
  if ((bits >> 32 & 0xff) != 0)
    out.dscp = static_cast<std::uint8_t>(seen >> 32);
  if ((bits >> 40 & 0xff) != 0)
    out.protocol = static_cast<std::uint8_t>(seen >> 40);
  if ((seen >> 48 & 0xff00) == tcp_mark) {
    out.tcp_flags_mask = static_cast<std::uint8_t>(bits >> 48);
    out.tcp_flags_value = static_cast<std::uint8_t>(seen >> 48);
  } else if ((seen >> 48 & 0xff00) == icmp_mark)
    out.icmp_type = static_cast<std::uint8_t>(seen >> 48);
  const auto ports = value.word[layout::ports];
  out.source_ports = {static_cast<std::uint16_t>(ports), static_cast<std::uint16_t>(~ports >> 16)};
  out.destination_ports = {static_cast<std::uint16_t>(ports >> 32), static_cast<std::uint16_t>(~ports >> 48)};
  return out;
}

template <std::size_t Words>
packed_words<Words> pack_key(const packet_fields& packet) noexcept {
  using layout = packed_layout<Words>;
  packed_words<Words> out;
  if constexpr (Words == 4)
    out.word[0] = std::uint64_t{v4_of(packet.source)} << 32 | v4_of(packet.destination);
  else
    for (std::size_t half = 0; half < 2; ++half) {
      out.word[half] = word_of(packet.source, half);
      out.word[2 + half] = word_of(packet.destination, half);
    }
  const std::uint64_t l4 = packet.protocol == ip_protocol::tcp ? tcp_mark | packet.tcp_flags
                           : packet.protocol == ip_protocol::icmp || packet.protocol == ip_protocol::icmp6
                               ? icmp_mark | packet.icmp_type
                               : 0;
  out.word[layout::misc] = packet.in_port | std::uint64_t{packet.vlan} << 16 | std::uint64_t{packet.dscp} << 32 |
                           std::uint64_t{packet.protocol} << 40 | l4 << 48;
  out.word[layout::ports] = packet.source_port | complement(packet.source_port) << 16 |
                            std::uint64_t{packet.destination_port} << 32 | complement(packet.destination_port) << 48;
  return out;
}

template packed_match<4> pack<4>(const rule_match&) noexcept;
template packed_match<8> pack<8>(const rule_match&) noexcept;
template rule_match unpack<4>(const packed_v4&, const packed_v4&) noexcept;
template rule_match unpack<8>(const packed_v6&, const packed_v6&) noexcept;
template packed_v4 pack_key<4>(const packet_fields&) noexcept;
template packed_v6 pack_key<8>(const packet_fields&) noexcept;

} // namespace glocal::dataplane
