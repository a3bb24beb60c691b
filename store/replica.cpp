#include "store/replica.hpp"

#include "store/rules.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace glocal::store {

replica::replica(slot_id slot, member self, const replica_options& options, recovered_slot recovered)
    : slot_{slot}, self_{std::move(self)}, options_{options}, log_{recovered.state.at},
      durable_{recovered.state.at.index}, commit_{durable_}, checked_{durable_}, applied_{recovered.state.at},
      table_{slot, std::move(recovered.state.image)}, watches_{slot, options.watches, table_.index()} {
  for (auto& entry : recovered.log) {
    if (entry->at.index != log_.last().index + 1)
      throw std::logic_error{"the recovered log has a gap after " + std::to_string(log_.last().index)};
    log_.append(std::move(entry));
  }
  durable_ = log_.last().index;
}

std::vector<replica_action> replica::step(replica_event event) {
  std::visit([&](auto& concrete) { on(concrete); }, event);
  if (role_ == replica_role::primary)
    for (auto& [who, to] : peers_)
      replicate(who, to, false);
  hand_over();
  flush_writes();
  return std::exchange(out_, {});
}

// --- time ---

void replica::on(tick_event& event) {
  const auto passed = std::chrono::duration_cast<duration>(event.now - last_now_);
  if (std::exchange(ticked_, true))
    time_ += std::clamp(passed, duration{0}, options_.max_tick);
  last_now_ = event.now;
  switch (role_) {
  case replica_role::waiting: return read_register();
  case replica_role::follower: return tick_follower();
  case replica_role::primary: return tick_primary();
  case replica_role::failed: return;
  }
}

// --- the disk ---

void replica::persist(entry_ref entry) {
  log_.append(entry);
  unwritten_.push_back(std::move(entry));
}

void replica::flush_writes() {
  if (unwritten_.empty() && !truncate_)
    return;
  const auto write = next_write_++;
  writes_.push_back({write, log_.last().index});
  out_.emplace_back(write_action{write, std::exchange(truncate_, {}), std::exchange(unwritten_, {})});
}

void replica::on(written_event& event) {
  const auto before = durable_;
  for (; !writes_.empty() && writes_.front().write <= event.write; writes_.pop_front())
    durable_ = std::max(durable_, writes_.front().last);
  if (role_ == replica_role::primary)
    advance_commit();
  else if (role_ == replica_role::follower && durable_ != before && leader_)
    acknowledge(false, 0);
}

void replica::on(flushed_event& event) {
  const auto index = std::min(event.index, applied_.index);
  out_.emplace_back(release_action{index});
  if (log_.last().index > options_.retained_entries)
    log_.compact_to(std::min(index, log_.last().index - options_.retained_entries));
}

void replica::on(disk_failed_event&) {
  step_down();
  role_ = replica_role::failed;
  writes_.clear();
  unwritten_.clear();
  truncate_.reset();
}

// --- the register ---

void replica::read_register() {
  if (reading_ || (read_at_ != duration{} && since(read_at_) < options_.retry))
    return;
  reading_ = true;
  read_at_ = time_;
  out_.emplace_back(read_register_action{});
}

void replica::propose_view(slot_view wanted) {
  change_ = change{view_ ? view_->version : 0, std::move(wanted)};
  setting_ = true;
  set_at_ = time_;
  out_.emplace_back(set_register_action{change_->expected, change_->wanted});
}

/// Told by a hint or a read before the register's answer, which is on its way and says more: that it was done.
bool replica::is_own_change(const register_value& value) const {
  return setting_ && change_ && value.view == change_->wanted && value.version > change_->expected;
}

void replica::on(register_read_event& event) {
  reading_ = false;
  if (event.value && is_own_change(*event.value))
    return;
  if (event.value)
    learn(*event.value);
  else if (role_ == replica_role::primary && !holds(rule::register_outage_serves))
    step_down();
}

void replica::on(register_changed_event& event) {
  if (role_ != replica_role::waiting &&
      !is_own_change(event.value)) // a hint may be old; the first view must be a linearizable read
    learn(event.value);
}

void replica::on(register_set_event& event) {
  setting_ = false;
  auto& outcome = event.outcome;
  switch (outcome.what) {
  case set_outcome::kind::done: {
    const bool ours = change_ && change_->wanted == outcome.now.view;
    const bool newer = !view_ || outcome.now.version > view_->version;
    if (ours && newer && role_ == replica_role::follower && outcome.now.view.primary == self_ &&
        outcome.now.view.epoch >= epoch_) {
      change_.reset();
      view_ = outcome.now;
      return become_primary();
    }
    return learn(outcome.now);
  }
  case set_outcome::kind::conflict:
    // What we wanted can't happen any more: the version it named is over.
    if (change_ && (outcome.now.version > change_->expected))
      change_.reset();
    return learn(outcome.now);
  case set_outcome::kind::unknown:
    // It may have happened, and may happen yet: until an answer is definite, the members of both views count (rule 5).
    // A candidate may forget it: whatever the register says, it is no primary before it has a definite answer.
    if (role_ != replica_role::primary || !holds(rule::unknown_is_union))
      change_.reset();
    return;
  }
}

void replica::learn(const register_value& value) {
  if (role_ == replica_role::failed)
    return;
  const bool first = role_ == replica_role::waiting;
  if (first) {
    role_ = replica_role::follower;
    heard_ = time_;
  }
  if (!leader_ && value.version != 0 && value.view.epoch == epoch_)
    leader_ = value.view.primary; // a later epoch was heard of before whose it is
  if (view_ ? value.version <= view_->version : value.version == 0)
    return;
  view_ = value;
  if (change_ && value.version > change_->expected)
    change_.reset();
  if (value.view.epoch > epoch_)
    enter_epoch(value.view.epoch, value.view.primary);
  if (role_ == replica_role::primary) {
    refresh_peers();
    advance_commit();
  }
  if (first && !holds(rule::restart_is_new_epoch) && value.view.primary == self_)
    become_primary();
}

void replica::enter_epoch(epoch_number epoch, const member& leader) {
  step_down();
  epoch_ = epoch;
  leader_ = leader;
  heard_ = time_;
  confirm_echo_ = 0;
  incoming_.reset();
  asked_to_take_over_.reset();
  // What is committed is in every later primary's log; the rest must be checked against it again.
  checked_ = commit_;
}

void replica::step_down() {
  if (role_ != replica_role::primary)
    return;
  role_ = replica_role::follower;
  change_.reset();
  peers_.clear();
  succession_.reset();
  heard_ = time_;
  for (const auto& [id, held] : table_.leases())
    out_.emplace_back(lease_detached_action{id});
  lease_times_.clear();
  // They may be in a log that survives: nobody knows yet (rule 7).
  for (const auto& waiting : std::exchange(pending_, {}))
    refuse(waiting.request, store_error::timeout);
  confirming_.insert(confirming_.end(), std::make_move_iterator(reads_.begin()), std::make_move_iterator(reads_.end()));
  reads_.clear();
  for (const auto& waiting : std::exchange(confirming_, {}))
    std::visit([&](const auto& asked) { refuse(asked.request, store_error::unavailable); }, waiting);
}

void replica::on(placement_event& event) {
  placement_ = std::move(event);
}

// --- messages ---

void replica::send_to(const member& to, decltype(replica_message::body) body) {
  out_.emplace_back(send_action{replica_message{slot_, self_, to, epoch_, std::move(body)}});
}

void replica::on(replica_message& message) {
  // Before the register was read nobody knows what this replica promised in its life before.
  if (message.to != self_ || role_ == replica_role::waiting || role_ == replica_role::failed)
    return;
  const bool from_primary =
      std::holds_alternative<append_message>(message.body) || std::holds_alternative<snapshot_message>(message.body);
  if (message.epoch > epoch_) {
    // Its sender has seen a later epoch: ours is over, and only its primary or the register says whose that one is.
    enter_epoch(message.epoch, message.from);
    if (!from_primary) {
      leader_.reset();
      read_register();
    }
  }
  if (message.epoch < epoch_) {
    if (from_primary || std::holds_alternative<join_message>(message.body))
      send_to(message.from, stale_reply{});
    return;
  }
  std::visit([&](auto& body) { handle(message.from, body); }, message.body);
}

} // namespace glocal::store
