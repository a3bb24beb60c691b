#pragma once
// How a packet and a rule look to the forest: lanes of 16 bits, so that one vector step compares all fields at once.
//
//   word        lanes (low to high)                               a rule holds
//   addresses   IPv4: destination, source (one word)              the prefix; the template says which bits count
//               IPv6: source, destination (four words)
//   misc        in_port | vlan | protocol, dscp | l4              the value; the template says which bits count
//   ports       sport | ~sport | dport | ~dport                   low | ~high | low | ~high: both ends are ">="
//   (IPv6: one word unused)
//   payload     0                                                 ~id (32) | template (14), live (2) | class (16)
//
// The l4 lane is 1 << 8 | flags for TCP, 2 << 8 | type for ICMP and ICMPv6, else 0: TCP flags and ICMP type have
// protocols as prerequisites (OpenFlow 1.3.5 section 7.2.3.8). The class orders priorities (see rule_order.hpp). The
// template's own payload word says which prefixes are present, so that a rule reads back as it was written.

#include "dataplane/classify/classifier.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace glocal::dataplane {

/// One packet or one rule: 4 words for IPv4 (half a cache line), 8 for IPv6.
template <std::size_t Words>
struct alignas(Words * 8) packed_words {
  std::array<std::uint64_t, Words> word{};

  bool operator==(const packed_words&) const = default;
};

using packed_v4 = packed_words<4>;
using packed_v6 = packed_words<8>;

template <std::size_t Words>
struct packed_layout {
  /// Words that a tree may look at: all before these are addresses.
  static constexpr std::size_t misc = Words == 4 ? 1 : 4, ports = misc + 1, indexed = ports + 1, payload = Words - 1;
};

/// The bits of the ports word that a tree may look at: the two lanes that are not complemented.
inline constexpr std::uint64_t indexed_port_bits = 0x0000'ffff'0000'ffff;

namespace payload {
inline constexpr unsigned template_shift = 32, live_shift = 46, class_shift = 48;
inline constexpr std::uint64_t template_mask = 0x3fff, rank_mask = 0xffff'0000'ffff'ffff;
/// Live in both planes (see forest_editor.hpp).
inline constexpr std::uint64_t live_both = 3ULL << live_shift;

constexpr std::uint32_t id(std::uint64_t word) noexcept {
  return ~static_cast<std::uint32_t>(word);
}
constexpr std::uint32_t template_of(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(word >> template_shift) & template_mask;
}
constexpr std::uint64_t make(std::uint32_t id, std::uint32_t template_id, std::uint16_t priority_class) noexcept {
  return static_cast<std::uint32_t>(~id) | std::uint64_t{template_id} << template_shift | live_both |
         std::uint64_t{priority_class} << class_shift;
}
} // namespace payload

/// A rule's values and its template, without payload. `Words` 4 needs a match of no IPv6 prefix, 8 one of no IPv4
/// prefix.
template <std::size_t Words>
struct packed_match {
  packed_words<Words> value, mask;
};

/// REQUIRES: !find_contradiction(match), and belongs_to<Words>(match).
template <std::size_t Words>
[[nodiscard]] packed_match<Words> pack(const rule_match& match) noexcept;

/// The inverse of pack().
template <std::size_t Words>
[[nodiscard]] rule_match unpack(const packed_words<Words>& value, const packed_words<Words>& mask) noexcept;

/// Whether packets of that family can match: a match without prefixes belongs to both.
template <std::size_t Words>
[[nodiscard]] bool belongs_to(const rule_match& match) noexcept {
  const auto family = Words == 4 ? ip_family::v4 : ip_family::v6;
  return (!match.source || match.source->address.family == family) &&
         (!match.destination || match.destination->address.family == family);
}

/// REQUIRES: the packet is of the family. Cost: a few ns.
template <std::size_t Words>
[[nodiscard]] packed_words<Words> pack_key(const packet_fields& packet) noexcept;

/// What a rule says about each bit a tree may look at.
template <std::size_t Words>
struct indexed_bits {
  static constexpr std::size_t words = packed_layout<Words>::indexed;
  std::array<std::uint64_t, words> value{}, care{};
};

/// Of a port range the bits that all its ports share count.
template <std::size_t Words>
[[nodiscard]] inline indexed_bits<Words> bits_of(const packed_words<Words>& value,
                                                 const packed_words<Words>& mask) noexcept {
  using layout = packed_layout<Words>;
  indexed_bits<Words> out;
  for (std::size_t i = 0; i < layout::ports; ++i) {
    out.value[i] = value.word[i];
    out.care[i] = mask.word[i];
  }
  const auto ports = value.word[layout::ports];
  const auto shared = [](std::uint64_t ends) {
    const auto low = static_cast<std::uint16_t>(ends), high = static_cast<std::uint16_t>(~ends >> 16);
    const auto differ = static_cast<unsigned>(low ^ high);
    return static_cast<std::uint64_t>(static_cast<std::uint16_t>(~(std::bit_ceil(differ + 1) - 1)));
  };
  out.care[layout::ports] = shared(ports) | shared(ports >> 32) << 32;
  out.value[layout::ports] = ports & out.care[layout::ports];
  return out;
}

} // namespace glocal::dataplane
