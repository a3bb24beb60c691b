#pragma once
// Everything that goes into a replica's step() and comes out of it, besides what slot_events.hpp has. The one who
// drives a replica (the shard actor, the simulation) turns actions into calls of the disk, the network, the register
// and the clients, and feeds their answers back as events, in any order it likes.

#include "store/replica_types.hpp"
#include "store/watch_hub.hpp"

#include <variant>
#include <vector>

namespace glocal::store {

struct replica_options {
  slot_options watches;
  /// Members that must have a write before it is acknowledged. 2 of 3; 1 only for a cluster of one store node, which
  /// says so to its operator.
  std::size_t min_isr = 2;

  // Failure detection: only for liveness. The driver adds its own jitter to take_over_after.
  std::chrono::milliseconds heartbeat{50};
  /// A member silent, or making no progress, for so long is dropped while min_isr others are left ...
  std::chrono::milliseconds drop_after{600};
  /// ... else after so long: a primary that is cut off from all others must not shrink the slot to itself before they
  /// had the time to elect one of them.
  std::chrono::milliseconds abandon_after{3000};
  std::chrono::milliseconds take_over_after{900};
  /// A follower that has not heard of its primary for so long gives watchers nothing to rely on.
  std::chrono::milliseconds stale_after{3000};
  /// Between attempts at the register or to join.
  std::chrono::milliseconds retry{200};
  /// How often a primary looks whether the register still knows it.
  std::chrono::milliseconds refresh{1000};
  /// A tick lets no more time pass than this, so that a clock that jumps or a process that was stopped ends no lease
  /// and drops no member. Ticks must come more often.
  std::chrono::milliseconds max_tick{100};

  /// Beyond it writes are refused as overloaded.
  std::size_t max_uncommitted_entries = 4096;
  std::size_t max_waiting_reads = 65536;
  /// One message, with framing; at least one entry goes, whatever its size.
  std::size_t message_entries = 512;
  std::size_t message_bytes = std::size_t{512} << 10;
  /// Entries sent and not acknowledged, per peer.
  std::size_t window_entries = 2048;
  /// Applied entries kept in memory, so that a replica that was away for a moment needs no snapshot.
  std::size_t retained_entries = 4096;
};

/// What the disk held at start: the state at some position and the log after it.
struct recovered_slot {
  snapshot state;
  std::vector<entry_ref> log;
};

/// Renews leases that entries here hang on; with ttl 0 keeps each one's. Answered with one result per lease: ok or
/// no_such_lease. The owner may count on its lease from the time it sent the renewal, when the answer is ok.
struct renew_leases_event {
  request_id request = 0;
  std::vector<lease_record> leases;
};
struct revoke_lease_event {
  request_id request = 0;
  lease_id lease = 0;
};
/// Every write and install up to `write` survives a loss of power.
struct written_event {
  std::uint64_t write = 0;
};
/// The state up to `index` survives a loss of power without the log (what apply_action said is in RocksDB and flushed).
struct flushed_event {
  log_index index = 0;
};
/// Answer to read_register_action; none: unreachable.
struct register_read_event {
  std::optional<register_value> value;
};
struct register_set_event {
  set_outcome outcome;
};
struct register_changed_event {
  register_value value;
};
/// Who should hold the slot, primary first (placement.hpp); changes when nodes join, leave or drain.
struct placement_event {
  std::vector<node_name> desired;
  /// False: what the ring says, before the cluster's own decision is known. It says who begins a slot that nobody has,
  /// and moves nothing.
  bool firm = true;
  /// The first of them should lead now, not only when there is need of another primary.
  bool lead = false;
};
using replica_event =
    std::variant<batch_event, scan_event, subscribe_event, unsubscribe_event, renew_leases_event, revoke_lease_event,
                 tick_event, written_event, flushed_event, disk_failed_event, register_read_event, register_set_event,
                 register_changed_event, placement_event, replica_message>;

/// Cut the slot's log after `truncate_after` if given, then append `entries`. Answer written_event when it is durable.
/// Writes of one slot happen in their order.
struct write_action {
  std::uint64_t write = 0;
  std::optional<log_index> truncate_after{};
  std::vector<entry_ref> entries{};
};
/// Replace the slot's state by `state` and its log by nothing. First the state must be durable, then the mark in the
/// log that drops what was there. Answer written_event.
struct install_action {
  std::uint64_t write = 0;
  std::shared_ptr<const snapshot> state;
};
/// These changes are committed: apply them to the engine, without sync, together with the position.
struct apply_action {
  slot_write write;
  log_position at;
};
/// The log up to `index` is needed no more.
struct release_action {
  log_index index = 0;
};
struct send_action {
  replica_message message;
};
/// At most one of each is outstanding.
struct read_register_action {};
struct set_register_action {
  std::uint64_t expected = 0;
  slot_view wanted;
};
/// Ask `primary`; if none is known, later.
struct redirect_action {
  request_id request = 0;
  std::optional<node_name> primary{};
};
using replica_action =
    std::variant<write_action, install_action, apply_action, release_action, send_action, read_register_action,
                 set_register_action, redirect_action, reply_action, scan_reply_action, refuse_action, publish_action,
                 lease_attached_action, lease_detached_action>;

} // namespace glocal::store
