#pragma once
// What an edge knows about one connection: what every packet touches, in one cache line, and what it is.

#include "dataplane/switch/pool.hpp"
#include "dataplane/switch/southbound.hpp"
#include "dataplane/wire/headers.hpp"

#include <array>
#include <cstdint>

namespace glocal::dataplane {

/// What packets read and write.
struct alignas(64) flow {
  enum class kind : std::uint8_t {
    free,
    /// Follows a path.
    on_path,
    /// Of no service: to its destination EID.
    by_eid,
    /// Waits for the agent in hold `hold`.
    pending,
    /// Dropped under the identity's `refusal` until it ends.
    refused
  };

  static constexpr std::uint16_t no_account = 0xffff;
  static constexpr std::uint8_t both_closed = 3;

  std::uint64_t last_used_ns = 0, packets = 0, bytes = 0;
  /// By direction, where its packets end; valid while eid_generation is the table's.
  std::array<const eid_route*, 2> routes{};
  /// Slot in the path table, and which states of path, EID table and rules the entries were made for.
  std::uint32_t path_slot = none;
  std::uint32_t path_generation = 0, eid_generation = 0, rules_generation = 0;
  std::uint32_t hold = none;
  /// Of the path it is counted on; `no_account` when it is another edge's to count.
  std::uint16_t account = no_account;
  kind what = kind::free;
  /// TCP: bit `direction` is set when its FIN was seen. RST sets both.
  std::uint8_t closed = 0;

  [[nodiscard]] bool is_closed() const noexcept { return closed == both_closed; }
};
static_assert(sizeof(flow) == 64);

/// TCP tells where a connection begins; of other protocols every packet may be a beginning.
[[nodiscard]] constexpr bool may_begin_connection(std::uint8_t protocol, std::uint8_t tcp_flags) noexcept {
  return protocol != ip_protocol::tcp || (tcp_flags & (tcp_flag::syn | tcp_flag::ack)) == tcp_flag::syn;
}

/// What changes when the flow is programmed, and not with its packets.
struct flow_identity {
  /// As the initiator sends it; for pending and refused flows, as the packet had it.
  five_tuple forward;
  std::uint32_t tenant = 0;
  std::uint64_t cookie = 0;
  /// Ends after so long without a packet; and, when it is not 0, so long after `created_ns` whatever came.
  std::uint64_t idle_ns = 0, hard_ns = 0, created_ns = 0;
  /// Id of the path it is on.
  std::uint32_t path = 0;
  bool owner = false;
  /// From the former life of the switch: named, but without entries until its next packet.
  bool is_restored = false;
  drop_reason refusal = drop_reason::decision_refused;
  /// What to report when it ends by time.
  removal ends_as = removal::idle;
};

} // namespace glocal::dataplane
