#pragma once
// The only copy of one slot as a pure step function: step(event) → actions. No clock, thread, disk, socket or random
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

#include "store/watch_hub.hpp"

#include <deque>
#include <map>
#include <variant>
#include <vector>

namespace glocal::store {

/// The owner renewed: also moves a lease that is not held here, which is no error.
struct renew_event {
  lease_grant lease;
};
struct revoke_event {
  lease_id lease = 0;
};
/// Everything persisted up to `index` survives a loss of power.
struct durable_event {
  revision index = 0;
};
using slot_event = std::variant<batch_event, scan_event, subscribe_event, unsubscribe_event, renew_event, revoke_event,
                                tick_event, durable_event, disk_failed_event>;

/// Write it; answer durable_event{write.index} when `sync` and it is on disk.
struct persist_action {
  slot_write write;
  bool sync = true;
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
  [[nodiscard]] revision index() const noexcept { return table_.index(); }
  [[nodiscard]] std::size_t entry_count() const noexcept { return table_.entry_count(); }
  [[nodiscard]] std::size_t subscription_count() const noexcept { return watches_.subscription_count(); }
  [[nodiscard]] std::vector<lease_grant> leases() const;
  [[nodiscard]] const store_counters& counters() const noexcept { return table_.counters(); }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
  struct gated_action {
    revision gate = 0;
    slot_action action;
  };
  using actions = std::vector<slot_action>;
  using changes = slot_table::changes;

  void on(batch_event& event, actions& out);
  void on(scan_event& event, actions& out);
  void on(subscribe_event& event, actions& out);
  void on(unsubscribe_event& event, actions& out);
  void on(renew_event& event, actions& out);
  void on(revoke_event& event, actions& out);
  void on(tick_event& event, actions& out);
  void on(durable_event& event, actions& out);
  void on(disk_failed_event& event, actions& out);

  void commit(changes& work, actions& out);
  void send(revision gate, slot_action action, actions& out);
  /// Index that must be durable before anything about `in` as it is now may be told.
  [[nodiscard]] revision gate_of(table in) const noexcept { return is_volatile(in) ? 0 : sync_index_; }

  slot_id slot_;
  slot_table table_;
  watch_hub watches_;
  /// When the leases held run out, as the node granted them.
  std::map<lease_id, lease_grant> grants_;
  /// Last index that needs a sync, and the last one known to have had it. Watchers of durable tables learn of no
  /// revision beyond the latter, so that a lost suffix of volatile changes can't make a later resume miss something.
  revision sync_index_, durable_index_;
  std::deque<gated_action> gated_;
  bool failed_ = false;
};

} // namespace glocal::store
