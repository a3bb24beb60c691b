#pragma once
// What a Map-Server is told: sites with their keys and rules, limits, times.
//
// Invariants: sites' prefixes of one instance do not overlap between sites. Threading: values, immutable in use.

#include "base/net.hpp"
#include "dataplane/lisp/message.hpp"

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace glocal::lisp {

struct site_key {
  std::uint8_t id = 0;
  std::string secret;
  /// By algorithm id (RFC 9301 section 12.5).
  std::bitset<4> algorithms{0b1110};

  bool operator==(const site_key&) const = default;
};

/// Who answers Map-Requests for a site's EIDs.
enum class proxy_rule : std::uint8_t {
  as_asked, ///< the Map-Server where the registration asks for it (P), else the ETR
  always,
  never,
};

/// Which nonces a site's Map-Registers may have.
enum class replay_rule : std::uint8_t {
  none,       ///< any: what implementations with random nonces need
  increasing, ///< each higher than the registrant's last one (RFC 9301 section 5.6)
};

struct site {
  std::string name;
  std::uint32_t instance_id = 0;
  std::vector<ip_prefix> prefixes;
  /// Whether prefixes inside those may be registered, or only they themselves.
  bool accept_more_specifics = false;
  std::vector<site_key> keys;
  proxy_rule proxy = proxy_rule::as_asked;
  replay_rule replay = replay_rule::none;
  /// What its xTRs survive.
  const peer_profile* profile = &plain_profile();
  /// Of those that subscribe (RFC 9437); sites without one are found by the source EID.
  std::optional<std::uint64_t> site_id;
};

/// Token buckets; a rate of 0 switches one off.
struct rate_limits {
  /// All messages of one source address.
  std::uint32_t per_source = 1000;
  /// Map-Requests of one source for one EID: RFC 9301 section 5.5 lets it ask once a second.
  std::uint32_t per_eid = 1;
};

struct map_server_settings {
  /// This node, as others know it.
  std::string node;
  std::vector<site> sites;
  rate_limits limits;
  /// How long a registration lives that is not refreshed, unless it says so itself (T): RFC 9301 section 8.2.
  std::chrono::milliseconds registration_lifetime{180'000};
  /// TTL of answers about EIDs of our own edges, whose changes are pushed.
  std::uint32_t edge_ttl_minutes = 10;
  /// Pause before a Map-Notify that is to be acknowledged is sent again, and how often it is sent (section 5.7).
  std::chrono::milliseconds notify_pause{1000};
  std::uint32_t notify_tries = 3;
  /// Least time between two SMRs to one receiver about one EID (section 6.1).
  std::chrono::milliseconds smr_pause{3000};
  /// Of nonces, and of the hash that spreads sources over buckets: nobody can aim at another's bucket.
  std::uint64_t seed = 0;
};

} // namespace glocal::lisp
