// A replica as backup or learner: keeps its log equal to the primary's, acknowledges what it has checked and made
// durable, and takes over when the primary is silent.

#include "store/replica.hpp"
#include "store/rules.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace glocal::store {

void replica::tick_follower() {
  if (!view_) {
    // Nobody ever held this slot. Its first owner starts it, alone; the others join.
    const auto& desired = placement_.desired;
    const bool first_owner = !desired.empty() && desired.front() == self_.node && log_.last().index == 0;
    if (first_owner && !setting_ && read_at_ != duration{} && !reading_)
      return propose_view({1, self_, {self_}});
    return read_register();
  }
  const bool silent = since(heard_) >= options_.take_over_after || is_asked_to_take_over();
  // Registered, but it did not hear so itself: it restarted, or the register's answer was lost. What it did as primary
  // before is forgotten, so it needs an epoch of its own (rule 4).
  if (view_->view.primary == self_ && view_->view.epoch >= epoch_)
    return take_over();
  if (silent && (is_member() || !holds(rule::member_takes_over)))
    take_over();
  // Where it is not known yet whether the slot belongs here, who has some of it may be needed, and who has nothing not.
  const bool belongs = placement_.firm ? should_hold(self_.node) : log_.last().index != 0;
  if (!is_member() && belongs && leader_ && *leader_ != self_ && since(joined_) >= options_.retry) {
    joined_ = time_;
    send_to(*leader_, join_message{});
  }
  // That it was let in, a change of the register says, if it is heard; else it finds out.
  if (silent || !leader_ || (!is_member() && since(read_at_) >= options_.refresh))
    read_register();
}

void replica::take_over() {
  if (setting_ || (set_at_ != duration{} && since(set_at_) < options_.retry))
    return;
  if (view_->view.epoch < epoch_) // somebody else was faster; the register will say who
    return read_register();
  slot_view wanted{view_->view.epoch + (holds(rule::next_epoch) ? 1 : 0), self_, view_->view.members};
  const bool passed_on = is_asked_to_take_over() && holds(rule::passes_on_and_stays);
  if (view_->view.primary != self_ && !passed_on)
    std::erase(wanted.members, view_->view.primary);
  if (!wanted.has(self_))
    wanted.members.push_back(self_);
  std::sort(wanted.members.begin(), wanted.members.end());
  propose_view(std::move(wanted));
}

void replica::handle(const member&, take_over_message&) {
  if (role_ != replica_role::follower)
    return;
  asked_to_take_over_ = time_;
  // Whether it may, the register says.
  if (is_member())
    take_over();
  else
    read_register();
}

void replica::handle(const member& from, append_message& message) {
  if (role_ == replica_role::primary)
    return; // no epoch has two primaries
  leader_ = from;
  heard_ = time_;
  const bool confirms = message.confirm > confirm_echo_;
  confirm_echo_ = std::max(confirm_echo_, message.confirm);

  auto& entries = message.entries;
  auto prev = message.prev;
  if (prev.index < log_.base().index) {
    // What we have dropped from the log is committed, so the primary's is the same.
    std::erase_if(entries, [&](const auto& entry) { return entry->at.index <= log_.base().index; });
    prev = log_.base();
    if (!entries.empty() && entries.front()->at.index != prev.index + 1)
      return;
  }
  if (log_.epoch_at(prev.index) != prev.epoch) {
    if (prev.index == log_.base().index)
      throw std::logic_error{"the primary's log contradicts a committed entry"};
    // Where it should try: behind our end, or before everything we have of the epoch that is wrong here.
    const auto end = std::min(prev.index, log_.last().index + 1);
    return acknowledge(true, end == log_.last().index + 1 ? log_.last().index : log_.first_of_epoch(end) - 1);
  }
  bool grew = false;
  for (auto& entry : entries) {
    const auto index = entry->at.index;
    if (index != prev.index + 1)
      break; // malformed: what came before it is good
    prev.index = index;
    if (log_.epoch_at(index) == entry->at.epoch)
      continue;
    if (index <= log_.last().index) {
      if (index <= commit_)
        throw std::logic_error{"the primary's log contradicts a committed entry"};
      log_.truncate_after(index - 1);
      std::erase_if(unwritten_, [&](const auto& waiting) { return waiting->at.index >= index; });
      truncate_ = truncate_ ? std::min(*truncate_, index - 1) : index - 1;
      durable_ = std::min(durable_, index - 1);
      for (auto& write : writes_)
        write.last = std::min(write.last, index - 1);
    }
    persist(std::move(entry));
    grew = true;
  }
  checked_ = std::max(checked_, prev.index);
  commit_ = std::max(commit_, std::min(message.commit, checked_));
  apply_committed();
  // What is not durable yet is acknowledged when it is.
  if (!grew || confirms || !holds(rule::durable_before_ack))
    acknowledge(false, 0);
}

void replica::acknowledge(bool rejected, log_index hint) {
  auto match = std::min(checked_, durable_);
  if (!holds(rule::checked_prefix))
    match = durable_;
  if (!holds(rule::durable_before_ack))
    match = checked_;
  send_to(*leader_, append_reply{match, rejected ? hint : checked_, rejected, confirm_echo_});
}

void replica::handle(const member& from, snapshot_message& message) {
  if (role_ == replica_role::primary)
    return;
  leader_ = from;
  heard_ = time_;
  // We have it all: by what is committed here, or by an equal entry at its end, before which logs are equal. To install
  // it would take back what follows in our log, which may be acknowledged (rule 1).
  const bool in_log = log_.epoch_at(message.at.index) == message.at.epoch && holds(rule::snapshot_keeps_log);
  if (message.at.index <= commit_ || in_log) {
    checked_ = std::max(checked_, message.at.index);
    commit_ = std::max(commit_, message.at.index);
    apply_committed();
    return acknowledge(true, commit_);
  }
  if (!incoming_ || incoming_->at != message.at) {
    if (message.part != 0) // the parts before it went with a restart, or with another snapshot
      return send_to(from, snapshot_reply{message.at, 0});
    incoming_ = incoming_snapshot{message.at, 0, {message.index, {}, {}}};
  }
  if (message.part == incoming_->next) {
    ++incoming_->next;
    auto& image = incoming_->image;
    std::move(message.entries.begin(), message.entries.end(), std::back_inserter(image.entries));
    std::move(message.leases.begin(), message.leases.end(), std::back_inserter(image.leases));
    if (message.last) {
      auto done = std::move(*incoming_);
      incoming_.reset();
      install(done);
    }
  }
  send_to(from, snapshot_reply{message.at, incoming_ ? incoming_->next : message.part + 1});
}

void replica::install(incoming_snapshot& done) {
  auto state = std::make_shared<snapshot>(snapshot{done.at, std::move(done.image)});
  log_.reset(done.at);
  truncate_.reset();
  unwritten_.clear();
  commit_ = checked_ = done.at.index;
  applied_ = done.at;
  table_ = slot_table{slot_, state->image};
  for (auto& action : watches_.reset(table_))
    out_.emplace_back(std::move(action));
  // Nothing is durable until the whole snapshot is: what was on disk before goes with it.
  durable_ = 0;
  for (auto& write : writes_)
    write.last = 0;
  const auto write = next_write_++;
  writes_.push_back({write, done.at.index});
  out_.emplace_back(install_action{write, std::move(state)});
}

} // namespace glocal::store
