#pragma once
// What a Map-Server counts.

#include <array>
#include <cstdint>
#include <string_view>

namespace glocal::lisp {

/// Why a message, or a part of one, was not served. Each is counted once, under the first reason that holds.
enum class refusal : std::uint8_t {
  oversized,             ///< larger than max_datagram_bytes
  malformed,             ///< not as the RFCs say
  unsupported,           ///< a message, extension or kind of EID not served here
  rate_limited,          ///< more than its source may send
  not_ready,             ///< the state has not been read yet
  overloaded,            ///< more writes to the store are under way than may be
  unknown_site,          ///< an EID of no site
  other_site,            ///< records of several sites in one message
  more_specific,         ///< inside a site's prefix, where only the prefix itself may be registered
  edge_owned,            ///< an EID of one of our own edges
  unauthenticated,       ///< no authentication data
  unknown_key,           ///< the site has no key of this id and algorithm
  authentication_failed, ///< another key, or changed on the way
  replayed,              ///< a nonce not above the last one
  no_itr_rloc,           ///< no ITR-RLOC that can be answered
  no_etr,                ///< nobody to forward a Map-Request to
  unsolicited,           ///< an answer nobody waits for
  peer_profile,          ///< nothing could be said that the peer survives
  store_failed,          ///< the store did not take it
};
inline constexpr std::size_t refusal_count = static_cast<std::size_t>(refusal::store_failed) + 1;
/// `rate_limited`, as in metrics.
[[nodiscard]] std::string_view name(refusal why) noexcept;

struct map_server_counters {
  // In.
  std::uint64_t map_requests = 0, map_registers = 0, map_notify_acks = 0;
  // Out.
  std::uint64_t map_replies = 0, negative_replies = 0, probe_replies = 0, forwarded = 0, map_notifies = 0,
                publications = 0, retransmissions = 0, smrs = 0;
  // What registrations led to.
  std::uint64_t refreshed = 0, renewed = 0, written = 0, withdrawn = 0;
  // Subscriptions.
  std::uint64_t subscribed = 0, unsubscribed = 0, adopted = 0, acknowledged = 0, given_up = 0;
  std::array<std::uint64_t, refusal_count> refusals{};

  std::uint64_t& operator[](refusal why) noexcept { return refusals[static_cast<std::size_t>(why)]; }
  std::uint64_t operator[](refusal why) const noexcept { return refusals[static_cast<std::size_t>(why)]; }
};

} // namespace glocal::lisp
