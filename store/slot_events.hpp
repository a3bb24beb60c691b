#pragma once
// What callers ask of one slot and are told by it: the vocabulary that slot_state (one copy) and replica (several)
// share, so that whoever drives a slot need not care which it is. Plain values.

#include "store/engine.hpp"
#include "store/types.hpp"

#include <optional>
#include <string>
#include <vector>

namespace glocal::store {

/// Names a request or a subscription among those of one caller of step(); chosen by it.
using request_id = std::uint64_t;
using subscription_id = std::uint64_t;

/// A lease as the node has granted it.
struct lease_grant {
  lease_id id = 0;
  std::chrono::milliseconds ttl{};
  timestamp expires_at{};

  bool operator==(const lease_grant&) const = default;
};

/// Operations on this slot; `leases` are the node's grants of the leases they name.
struct batch_event {
  request_id request = 0;
  batch operations;
  std::vector<lease_grant> leases{};
};
/// Entries with key > `after` (all when empty) and `prefix`.
struct scan_event {
  request_id request = 0;
  table from{};
  std::string prefix, after;
  std::size_t limit = limits::scan_page_entries;
  /// A page holds at least one entry, whatever its size.
  std::size_t max_bytes = limits::scan_page_bytes;
};
/// Starts a stream of records: from what follows revision `from`, or from a snapshot.
struct subscribe_event {
  subscription_id subscription = 0;
  table of{};
  std::string prefix;
  std::optional<revision> from{};
};
struct unsubscribe_event {
  subscription_id subscription = 0;
};
/// Lets time pass: leases run out whose time has come.
struct tick_event {
  timestamp now{};
};
/// The disk refused a write: from now on every request is answered unavailable, and nothing pending is confirmed.
struct disk_failed_event {};

/// What a subscription is told about one slot.
struct watch_record {
  enum class kind : std::uint8_t {
    put = 1,            ///< entry changed at `at`
    erase = 2,          ///< entry (table and key only) went at `at`
    snapshot_entry = 3, ///< entry is part of the snapshot
    snapshot_end = 4,   ///< the snapshot is complete as of `at`: what it did not name is not there
    resumed = 5,        ///< nothing was missed up to `at`
    compacted = 6,      ///< changes before `at` are no longer held: a snapshot follows
  };
  kind what = kind::put;
  slot_id slot = 0;
  revision at = 0;
  glocal::store::entry entry{};

  bool operator==(const watch_record&) const = default;
};

struct reply_action {
  request_id request = 0;
  std::vector<op_result> results;
};
struct scan_reply_action {
  request_id request = 0;
  std::vector<entry> entries;
  /// There is more after the last of `entries`.
  bool more = false;
};
struct refuse_action {
  request_id request = 0;
  store_error why = store_error::unavailable;
};
struct publish_action {
  std::vector<subscription_id> subscriptions;
  std::vector<watch_record> records;
};
/// The first entry hangs on this lease now / none does any more: the node forwards renewals to holders only.
struct lease_attached_action {
  lease_grant lease;
};
struct lease_detached_action {
  lease_id lease = 0;
};

} // namespace glocal::store
