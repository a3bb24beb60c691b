#include "dataplane/lisp/negative.hpp"

#include <algorithm>
#include <bit>

namespace glocal::lisp {
namespace {

/// Leading bits two addresses of one family have in common.
std::uint8_t common_bits(const ip_address& a, const ip_address& b) noexcept {
  for (std::size_t i = 0; i < a.bits() / 8u; ++i)
    if (const auto difference = static_cast<std::uint8_t>(a.octets[i] ^ b.octets[i]); difference != 0)
      return static_cast<std::uint8_t>(8 * i + static_cast<std::size_t>(std::countl_zero(difference)));
  return a.bits();
}

} // namespace

std::optional<ip_prefix> least_specific_hole(const ip_address& eid, std::span<const ip_prefix> registered) noexcept {
  std::uint8_t length = 0;
  for (const auto& prefix : registered) {
    if (prefix.address.family != eid.family)
      continue;
    const auto common = common_bits(eid, prefix.address);
    if (common >= prefix.length)
      return std::nullopt;
    // One bit more than they share parts them.
    length = std::max(length, static_cast<std::uint8_t>(common + 1));
  }
  return ip_prefix::make(eid, length);
}

mapping_record negative_record(const ip_prefix& hole, std::uint32_t instance_id, map_action action,
                               std::uint32_t ttl_minutes) {
  mapping_record out;
  out.ttl_minutes = ttl_minutes;
  out.action = action;
  out.authoritative = true;
  out.eid = make_eid(hole, instance_id);
  return out;
}

} // namespace glocal::lisp
