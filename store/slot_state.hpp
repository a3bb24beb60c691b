#pragma once
// One replica of one slot as a pure step function: step(event) → actions. No clock, thread, disk, socket or random
// source in it; the shard actor (or local_store) feeds it and carries its actions out.
//
// Invariants:
// - Whoever is told of a change that must be durable is told after it is: replies, scans and watch records that depend
// on
//   it wait for durable_event. Volatile tables do not wait.
// - Records of one table reach a subscription in the order of their revisions, without gaps: what the first ones
//   (snapshot or resumed) say is exactly what the later ones continue.
// - A lease never runs out early: after a restart it has its full time again.
// - Every buffer is bounded: history by slot_options, pending output by what the disk has not yet confirmed.

#include "store/engine.hpp"
#include "store/types.hpp"

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <variant>
#include <vector>

namespace glocal::store {

/// Bounds of the history a slot keeps for watches that resume. Volatile tables keep none: they resume by snapshot.
struct slot_options {
  std::size_t history_changes = 4096;
  std::size_t history_bytes = std::size_t{1} << 20;
};

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
/// The owner renewed: also moves a lease that is not held here, which is no error.
struct renew_event {
  lease_grant lease;
};
struct revoke_event {
  lease_id lease = 0;
};
/// Lets leases run out whose time has come.
struct tick_event {
  timestamp now{};
};
/// Everything persisted up to `index` survives a loss of power.
struct durable_event {
  revision index = 0;
};
/// The disk refused a write: from now on every request is answered unavailable, and nothing pending is confirmed.
struct disk_failed_event {};
using slot_event = std::variant<batch_event, scan_event, subscribe_event, unsubscribe_event, renew_event, revoke_event,
                                tick_event, durable_event, disk_failed_event>;

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

/// Write it; answer durable_event{write.index} when `sync` and it is on disk.
struct persist_action {
  slot_write write;
  bool sync = true;
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
using slot_action = std::variant<persist_action, reply_action, scan_reply_action, refuse_action, publish_action,
                                 lease_attached_action, lease_detached_action>;

class slot_state {
public:
  /// @param image as engine::load gave it; its leases start with their full time at `now`.
  slot_state(slot_id slot, const slot_options& options, slot_image image, timestamp now);

  /// Cost: O(what the event touches), plus O(leases held) for a tick.
  [[nodiscard]] std::vector<slot_action> step(slot_event event);

  /// Revision of the last change.
  [[nodiscard]] revision index() const noexcept { return index_; }
  [[nodiscard]] std::size_t entry_count() const noexcept;
  [[nodiscard]] std::size_t subscription_count() const noexcept { return subscriptions_.size(); }
  [[nodiscard]] std::vector<lease_grant> leases() const;
  [[nodiscard]] const store_counters& counters() const noexcept { return counters_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
  struct held_lease {
    lease_grant grant;
    std::set<std::pair<table, std::string>> keys;
  };
  struct subscription {
    table of{};
    std::string prefix;
  };
  struct gated_action {
    revision gate = 0;
    slot_action action;
  };
  using actions = std::vector<slot_action>;
  /// Changes collected while one event is handled; they reach the disk as one write.
  struct working_set {
    std::vector<mutation> mutations;
    std::vector<watch_record> records;
    bool sync = false;
  };

  void on(batch_event& event, actions& out);
  void on(scan_event& event, actions& out);
  void on(subscribe_event& event, actions& out);
  void on(unsubscribe_event& event, actions& out);
  void on(renew_event& event, actions& out);
  void on(revoke_event& event, actions& out);
  void on(tick_event& event, actions& out);
  void on(durable_event& event, actions& out);
  void on(disk_failed_event& event, actions& out);

  op_result apply(operation& op, std::span<const lease_grant> grants, working_set& work, actions& out);
  template <class Write>
  op_result write(Write& op, std::span<const lease_grant> grants, working_set& work, actions& out);
  void remove(table from, const std::string& key, working_set& work, actions& out);
  bool attach(lease_id lease, table in, const std::string& key, std::span<const lease_grant> grants, working_set& work,
              actions& out);
  void detach(lease_id lease, table in, const std::string& key, working_set& work, actions& out);
  void end_lease(lease_id lease, working_set& work, actions& out);
  void commit(working_set& work, actions& out);
  void publish(std::vector<watch_record> records, actions& out);
  void remember(const watch_record& record);
  void send(revision gate, slot_action action, actions& out);
  const entry* find(table in, std::string_view key) const;
  /// Index that must be durable before anything about `in` as it is now may be told.
  [[nodiscard]] revision gate_of(table in) const noexcept { return is_volatile(in) ? 0 : sync_index_; }
  [[nodiscard]] std::map<std::string, entry, std::less<>>& rows(table in) {
    return tables_[static_cast<std::size_t>(in)];
  }

  slot_id slot_;
  slot_options options_;
  revision index_;
  /// Last index that needs a sync, and the last one known to have had it. Watchers of durable tables learn of no
  /// revision beyond the latter, so that a lost suffix of volatile changes can't make a later resume miss something.
  revision sync_index_, durable_index_;
  std::array<std::map<std::string, entry, std::less<>>, std::size(all_tables) + 1> tables_;
  std::map<lease_id, held_lease> leases_;
  std::map<subscription_id, subscription> subscriptions_;
  std::deque<watch_record> history_;
  std::size_t history_bytes_ = 0;
  /// Changes up to here are no longer in history_.
  revision history_floor_;
  std::deque<gated_action> gated_;
  store_counters counters_;
  bool failed_ = false;
};

} // namespace glocal::store
