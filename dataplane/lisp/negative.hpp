#pragma once
// Negative answers: "nobody is there, nor anywhere around it" in the fewest words.
//
// Source: RFC 9301 section 8.1 (the least specific prefix that does not cover anything registered).

#include "dataplane/lisp/mapping_record.hpp"

#include <span>

namespace glocal::lisp {

/// The shortest prefix that holds `eid` and overlaps none of `registered`; nothing when one of them covers `eid`.
/// Those of the other family do not matter. Of a sorted set the neighbours of `eid` are enough, since the further in
/// order, the fewer leading bits are in common. Cost: linear in `registered`.
[[nodiscard]] std::optional<ip_prefix> least_specific_hole(const ip_address& eid,
                                                           std::span<const ip_prefix> registered) noexcept;

/// A record without locators for `hole`.
[[nodiscard]] mapping_record negative_record(const ip_prefix& hole, std::uint32_t instance_id, map_action action,
                                             std::uint32_t ttl_minutes);

} // namespace glocal::lisp
