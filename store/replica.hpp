#pragma once
// One of several replicas of one slot as a pure step function: step(event) → actions. No clock, thread, disk, socket or
// random source in it. Primary-backup with the configuration in an external register, in the shape of PacificA (Lin et
// al., MSR-TR-2008-25) and of Kafka's in-sync replicas; the rules that keep it safe are those of rules.hpp.
//
// Invariants:
// - A write is acknowledged when every member of the view has it durable, and of both views while a change of view is
//   under way or its outcome unknown.
// - Only committed operations are applied, published or read; every replica applies the same ones in the same order, so
//   revisions survive a change of primary.
// - Time comes from ticks alone, and each lets at most max_tick pass; it decides when to act, never what is true.
// - A bug (a committed entry would be lost) throws std::logic_error.
//
// Files: replica.cpp (step, time, register), replica_primary.cpp, replica_backup.cpp, replica_clients.cpp.

#include "store/replica_events.hpp"
#include "store/replica_log.hpp"
#include "store/slot_table.hpp"

#include <deque>
#include <map>
#include <set>

namespace glocal::store {

enum class replica_role : std::uint8_t {
  waiting,  ///< has not read the register since it started: says nothing to anybody
  follower, ///< backup or learner
  primary,
  failed, ///< its disk refused a write; only a restart helps
};

class replica {
public:
  replica(slot_id slot, member self, const replica_options& options, recovered_slot recovered);

  [[nodiscard]] std::vector<replica_action> step(replica_event event);

  [[nodiscard]] replica_role role() const noexcept { return role_; }
  /// Primary, and its no-op has committed.
  [[nodiscard]] bool serving() const noexcept;
  /// What it has applied is, but for a moment, what is committed: good enough to watch.
  [[nodiscard]] bool is_current() const noexcept;
  [[nodiscard]] std::size_t subscription_count() const noexcept { return watches_.subscription_count(); }
  [[nodiscard]] const member& self() const noexcept { return self_; }
  [[nodiscard]] epoch_number epoch() const noexcept { return epoch_; }
  [[nodiscard]] const std::optional<register_value>& known_view() const noexcept { return view_; }
  [[nodiscard]] log_index commit_index() const noexcept { return commit_; }
  [[nodiscard]] log_index durable_index() const noexcept { return durable_; }
  [[nodiscard]] const replica_log& log() const noexcept { return log_; }
  [[nodiscard]] const slot_table& table() const noexcept { return table_; }
  [[nodiscard]] log_position applied() const noexcept { return applied_; }
  /// A primary's view of who has its log: members, and who is about to become one.
  struct follower_progress {
    member who;
    /// Of the log, not yet known to be on its disk.
    log_index missing = 0;
  };
  [[nodiscard]] std::vector<follower_progress> followers() const;
  /// The committed state. Cost: O(entries).
  [[nodiscard]] snapshot committed() const { return {applied_, table_.image()}; }

private:
  using actions = std::vector<replica_action>;
  using duration = std::chrono::milliseconds;

  struct transfer {
    std::shared_ptr<const snapshot> state;
    /// Entries that went with the parts before this one, and with it.
    std::size_t begin = 0, end = 0;
    std::uint32_t part = 0;
  };
  struct peer {
    log_index next = 0, match = 0;
    std::uint64_t confirmed = 0;
    duration heard{}, sent{}, progressed{};
    /// One message at a time, until it is known where its log meets ours.
    bool probing = true;
    /// Its node says it is another incarnation now.
    bool replaced = false;
    std::optional<transfer> snapshot;
  };
  struct change {
    std::uint64_t expected = 0;
    slot_view wanted;
  };
  struct pending_write {
    log_index index = 0;
    request_id request = 0;
  };
  using read = std::variant<batch_event, scan_event>;
  struct lease_time {
    duration deadline{};
    bool ending = false;
  };
  struct incoming_snapshot {
    log_position at;
    std::uint32_t next = 0;
    slot_image image;
  };

  // replica.cpp
  void on(tick_event& event);
  void on(written_event& event);
  void on(flushed_event& event);
  void on(disk_failed_event& event);
  void on(register_read_event& event);
  void on(register_set_event& event);
  void on(register_changed_event& event);
  void on(placement_event& event);
  void on(replica_message& message);
  [[nodiscard]] bool is_own_change(const register_value& value) const;
  void learn(const register_value& value);
  void enter_epoch(epoch_number epoch, const member& leader);
  void step_down();
  void read_register();
  void propose_view(slot_view wanted);
  void persist(entry_ref entry);
  void flush_writes();
  void send_to(const member& to, decltype(replica_message::body) body);

  // replica_primary.cpp
  void become_primary();
  void refresh_peers();
  log_index propose(command what);
  void tick_primary();
  void tick_leases();
  void consider_change();
  void drop_members(slot_view& wanted) const;
  bool add_learner(slot_view& wanted) const;
  [[nodiscard]] bool should_hold(const node_name& node) const;
  void leave_placement(slot_view& wanted);
  void consider_hand_over();
  void hand_over();
  void replicate(const member& who, peer& to, bool force);
  void send_snapshot(const member& who, peer& to);
  void handle(const member& from, append_reply& reply);
  void handle(const member& from, snapshot_reply& reply);
  void handle(const member& from, join_message&);
  void advance_commit();
  [[nodiscard]] std::set<member> voters() const;

  // replica_backup.cpp
  void tick_follower();
  void take_over();
  void handle(const member& from, append_message& message);
  void handle(const member& from, snapshot_message& message);
  void handle(const member& from, take_over_message&);
  [[nodiscard]] bool is_asked_to_take_over() const noexcept {
    return asked_to_take_over_ && since(*asked_to_take_over_) < options_.take_over_after;
  }
  void handle(const member&, stale_reply&) {}
  void acknowledge(bool rejected, log_index hint);
  void install(incoming_snapshot& done);

  // replica_clients.cpp
  void on(batch_event& event);
  void on(scan_event& event);
  void on(subscribe_event& event);
  void on(unsubscribe_event& event);
  void on(renew_leases_event& event);
  void on(revoke_lease_event& event);
  bool may_write(request_id request);
  void wait_for(log_index index, request_id request) { pending_.push_back({index, request}); }
  bool answer_write_once(const batch_event& event);
  void queue_read(read waiting);
  void start_confirmation();
  void check_confirmation();
  void answer(read& confirmed);
  void refuse(request_id request, store_error why) { out_.emplace_back(refuse_action{request, why}); }
  void apply_committed();
  std::vector<op_result> apply(const log_entry& entry, slot_table::changes& work);
  void keep_lease_times(const slot_table::changes& work);

  [[nodiscard]] duration since(duration then) const noexcept { return time_ - then; }
  [[nodiscard]] bool is_member() const noexcept { return view_ && view_->view.has(self_); }
  [[nodiscard]] bool below_min_isr() const noexcept { return view_->view.members.size() < options_.min_isr; }

  const slot_id slot_;
  const member self_;
  const replica_options options_;
  actions out_;

  replica_role role_ = replica_role::waiting;
  /// Our own time: the sum of what ticks let pass.
  duration time_{};
  timestamp last_now_{};
  bool ticked_ = false;

  // What the register says, as far as we know; the epoch may be ahead of it.
  std::optional<register_value> view_;
  epoch_number epoch_ = 0;
  std::optional<member> leader_;
  placement_event placement_{{}, false, false};
  std::optional<change> change_;
  bool reading_ = false, setting_ = false;
  duration read_at_{}, set_at_{};

  // The log. `checked_`: equal to the log of the primary of epoch_ up to here.
  replica_log log_;
  log_index durable_, commit_, checked_;
  log_position applied_;
  std::uint64_t next_write_ = 1;
  struct write_under_way {
    std::uint64_t write = 0;
    log_index last = 0;
  };
  std::deque<write_under_way> writes_;
  std::vector<entry_ref> unwritten_;
  std::optional<log_index> truncate_;

  slot_table table_;
  watch_hub watches_;

  // As follower.
  duration heard_{}, joined_{};
  std::uint64_t confirm_echo_ = 0;
  /// When the primary last asked it to take its place.
  std::optional<duration> asked_to_take_over_;
  std::optional<incoming_snapshot> incoming_;

  // As primary.
  std::map<member, peer> peers_;
  log_index noop_ = 0;
  std::deque<pending_write> pending_;
  std::vector<read> reads_, confirming_;
  std::uint64_t confirm_ = 0;
  std::map<lease_id, lease_time> lease_times_;
  /// To whom its place goes. Until that has happened, or was in vain, it takes no writes: none is then under way when
  /// the epoch ends, and no client is left to wonder.
  struct succession {
    member to;
    duration since{};
    std::optional<duration> asked;
  };
  std::optional<succession> succession_;
  /// When it became primary, or passing its place on was last in vain: for a while it keeps it, so that nodes that have
  /// not all heard of a placement yet do not play it to and fro.
  duration keeps_since_{};
};

} // namespace glocal::store
