#pragma once
// The EID record with its locators that Map-Reply, Map-Register, Map-Notify and, on demand, Map-Request carry.
// Source: RFC 9301 section 5.4.

#include "dataplane/lisp/address.hpp"

#include <string_view>

namespace glocal::lisp {

/// What to do with packets to an EID without locators (RFC 9301 section 5.4, ACT).
enum class map_action : std::uint8_t {
  no_action = 0,
  natively_forward = 1,
  send_map_request = 2,
  drop_no_reason = 3,
  drop_policy_denied = 4,
  drop_authentication_failure = 5,
};

/// As IANA writes it in lower case, `natively-forward`; `6` and `7` are not assigned.
[[nodiscard]] std::string to_string(map_action action);

/// A locator nobody may send to (RFC 9301 section 5.4, Priority).
inline constexpr std::uint8_t unusable_priority = 255;

struct locator {
  /// Lower is preferred; the weights of those of one priority share the load.
  std::uint8_t priority = unusable_priority, weight = 0;
  std::uint8_t multicast_priority = unusable_priority, multicast_weight = 0;
  /// L: of the sender of the reply; p: the one whose probe this answers; R: reachable as the sender sees it.
  bool local = false, probed = false, reachable = false;
  address rloc;

  bool operator==(const locator&) const = default;
};

/// RFC 9301 section 5.4: of Map-Replies for EIDs that are no EIDs, and for those that are and are not registered.
inline constexpr std::uint32_t no_eid_ttl_minutes = 15, unregistered_ttl_minutes = 1;

struct mapping_record {
  /// 0 withdraws what was said before.
  std::uint32_t ttl_minutes = 0;
  map_action action = map_action::no_action;
  bool authoritative = false;
  /// 12 bits; 0 says nothing about versions (RFC 9302).
  std::uint16_t map_version = 0;
  eid_prefix eid;
  /// At most 255; none in a negative record.
  std::vector<locator> locators;

  bool operator==(const mapping_record&) const = default;
};

} // namespace glocal::lisp
