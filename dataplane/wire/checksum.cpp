#include "dataplane/wire/checksum.hpp"

namespace glocal::dataplane {

std::uint64_t checksum_add(byte_view data, std::uint64_t sum) noexcept {
  const auto* at = data.data();
  auto left = data.size();
  // 32 bits at a time: the carries collect in the upper half, of which no message fills more than 14 bits (RFC 1071
  // section 2, "parallel summation").
  for (; left >= 4; left -= 4, at += 4)
    sum += load_be32(at);
  if (left >= 2) {
    sum += load_be16(at);
    left -= 2;
    at += 2;
  }
  if (left == 1)
    sum += std::uint64_t{load_u8(at)} << 8;
  return sum;
}

std::uint16_t checksum_fold(std::uint64_t sum) noexcept {
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint16_t checksum_update(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) noexcept {
  // HC' = ~(~HC + ~m + m'): unlike equation 2 of RFC 1141 never yields the other zero.
  const auto inverted = [](std::uint16_t word) { return static_cast<std::uint16_t>(~word); };
  return checksum_fold(std::uint64_t{inverted(checksum)} + inverted(before) + after);
}

std::uint64_t pseudo_header_sum(const ip_address& source, const ip_address& destination, std::uint8_t protocol,
                                std::uint32_t l4_bytes) noexcept {
  // The unused octets of an IPv4 address are zero, so one sum serves both families.
  const auto sum = checksum_add(std::as_bytes(std::span{source.octets}));
  return checksum_add(std::as_bytes(std::span{destination.octets}), sum) + protocol + l4_bytes;
}

} // namespace glocal::dataplane
