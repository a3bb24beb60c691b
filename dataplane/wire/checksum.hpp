#pragma once
// The Internet checksum: computed, checked, and updated in place.
//
// Threading: pure functions. Sources: RFC 1071 (sum), RFC 1624 (update, equation 3), RFC 8200 section 8.1 (pseudo
// header).

#include "base/bytes.hpp"
#include "base/net.hpp"

namespace glocal::dataplane {

/// Adds the 16-bit words of `data`, an odd last byte padded with zero, to `sum`: a partial sum to go on with or to
/// fold. REQUIRES: only the last part of a message has an odd size.
[[nodiscard]] std::uint64_t checksum_add(byte_view data, std::uint64_t sum = 0) noexcept;

/// The checksum of a partial sum: folded to 16 bits and complemented.
[[nodiscard]] std::uint16_t checksum_fold(std::uint64_t sum) noexcept;

/// Over a whole message; 0 when the message carries its own correct checksum.
[[nodiscard]] inline std::uint16_t internet_checksum(byte_view data) noexcept {
  return checksum_fold(checksum_add(data));
}

/// What `checksum` becomes when the word `before` of its message becomes `after`. Never turns right into wrong nor
/// wrong into right. Cost: 1 ns.
[[nodiscard]] std::uint16_t checksum_update(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) noexcept;

/// Partial sum of the pseudo header of TCP, UDP and ICMPv6. REQUIRES: one family.
[[nodiscard]] std::uint64_t pseudo_header_sum(const ip_address& source, const ip_address& destination,
                                              std::uint8_t protocol, std::uint32_t l4_bytes) noexcept;

/// Checksum of a TCP, UDP or ICMPv6 message under its pseudo header; 0 when it carries its own correct checksum.
/// A UDP sender writes 0xffff where this is 0 (RFC 768).
[[nodiscard]] inline std::uint16_t l4_checksum(byte_view message, const ip_address& source,
                                               const ip_address& destination, std::uint8_t protocol) noexcept {
  return checksum_fold(checksum_add(
      message, pseudo_header_sum(source, destination, protocol, static_cast<std::uint32_t>(message.size()))));
}

} // namespace glocal::dataplane
