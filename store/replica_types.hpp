#pragma once
// The vocabulary of replication: members, views, log entries and what replicas say to each other. Plain values; entries
// are immutable and shared, so that a batch is copied once however many peers and disks it goes to.

#include "store/log_position.hpp"
#include "store/slot_events.hpp"

#include <compare>
#include <memory>
#include <variant>
#include <vector>

namespace glocal::store {

/// A replica as the register knows it. A disk that was wiped, or is not trusted any more, is another incarnation.
struct member {
  node_name node;
  std::uint64_t incarnation = 0;

  auto operator<=>(const member&) const = default;
};

/// Who holds a slot. Value of the configuration register.
struct slot_view {
  epoch_number epoch = 0;
  member primary;
  /// Ascending, with the primary.
  std::vector<member> members;

  bool operator==(const slot_view&) const = default;
  [[nodiscard]] bool has(const member& who) const noexcept;
};

struct register_value {
  /// Of the register: what compare-and-set compares.
  std::uint64_t version = 0;
  slot_view view;

  bool operator==(const register_value&) const = default;
};
/// Answer to a compare-and-set.
struct set_outcome {
  enum class kind : std::uint8_t { done, conflict, unknown };
  kind what = kind::unknown;
  /// done: as it is now; conflict: what is there instead.
  register_value now{};
};

// --- the log ---

/// First entry of an epoch: commits what the epochs before left.
struct noop_command {
  bool operator==(const noop_command&) const = default;
};
/// Operations of one client request, in order; `leases` are granted or renewed if the operations name them.
struct batch_command {
  batch operations;
  std::vector<lease_record> leases;

  bool operator==(const batch_command&) const = default;
};
struct renew_command {
  std::vector<lease_record> leases;

  bool operator==(const renew_command&) const = default;
};
/// Ends a lease if its version is still `version`; whatever it is when that is 0 (revoked by its owner).
struct end_lease_command {
  lease_id lease = 0;
  std::uint64_t version = 0;

  bool operator==(const end_lease_command&) const = default;
};
using command = std::variant<noop_command, batch_command, renew_command, end_lease_command>;

/// What an operation, an entry or a lease needs in a message besides its key and value, at most.
inline constexpr std::size_t framing_bytes = 64;
/// Of a command in a message or on disk, with framing; an upper bound.
[[nodiscard]] std::size_t payload_bytes(const command& what) noexcept;

struct log_entry {
  log_position at;
  command what;
  /// payload_bytes(what).
  std::size_t payload = 0;

  bool operator==(const log_entry&) const = default;
};
using entry_ref = std::shared_ptr<const log_entry>;

/// Everything a replica knows up to `at`.
struct snapshot {
  log_position at;
  slot_image image;
};

// --- between replicas of one slot ---

/// Primary → anyone: entries after `prev`. Without entries a heartbeat.
struct append_message {
  log_position prev;
  std::vector<entry_ref> entries;
  log_index commit = 0;
  /// Of the reads that wait; the answer repeats it.
  std::uint64_t confirm = 0;
};
struct append_reply {
  /// Durable and checked against the primary's log.
  log_index match = 0;
  /// Checked, perhaps not durable yet. When rejected: where the primary should try next.
  log_index checked = 0;
  bool rejected = false;
  std::uint64_t confirm = 0;
};
/// Primary → learner or backup too far behind: one part of a snapshot, in order of `part`.
struct snapshot_message {
  log_position at;
  revision index = 0;
  std::uint32_t part = 0;
  bool last = false;
  std::vector<entry> entries;
  std::vector<lease_record> leases;
};
/// Parts below `next` of the snapshot `at` have arrived. 0: none is held, begin again.
struct snapshot_reply {
  log_position at;
  std::uint32_t next = 0;
};
/// A replica that is no member asks the primary to be made one.
struct join_message {};
/// Primary → backup: take my place (I am leaving).
struct take_over_message {};
/// Your epoch is over: the header says which one it is now.
struct stale_reply {};

struct replica_message {
  slot_id slot = 0;
  member from, to;
  epoch_number epoch = 0;
  std::variant<append_message, append_reply, snapshot_message, snapshot_reply, join_message, take_over_message,
               stale_reply>
      body;
};

} // namespace glocal::store
