// A replica as primary: orders operations, brings them to the members, commits, and changes the view.

#include "store/replica.hpp"
#include "store/rules.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {

void replica::become_primary() {
  role_ = replica_role::primary;
  epoch_ = view_->view.epoch;
  leader_ = self_;
  peers_.clear();
  change_.reset();
  lease_times_.clear();
  asked_to_take_over_.reset();
  succession_.reset();
  keeps_since_ = time_;
  incoming_.reset();
  confirm_ = 0;
  for (const auto& [id, held] : table_.leases()) {
    const auto left = holds(rule::full_time_after_takeover) ? options_.max_tick + held.ttl : duration{0};
    lease_times_[id] = {time_ + left, false};
    out_.emplace_back(lease_attached_action{{id, held.ttl, last_now_ + held.ttl}});
  }
  // Everything in this log, committed or not, becomes committed with the no-op: whatever an earlier primary
  // acknowledged is in it, because this is one of the members that had to have it (rules 1 and 3).
  noop_ = propose(noop_command{});
  refresh_peers();
  for (auto& [who, to] : peers_)
    replicate(who, to, true);
  advance_commit();
}

void replica::refresh_peers() {
  for (const auto& who : view_->view.members)
    if (who != self_ && !peers_.contains(who)) {
      auto& added = peers_[who];
      added.next = std::max(log_.last().index, log_.base().index + 1);
      added.heard = added.progressed = time_;
    }
  // Members that were dropped come back as learners, when they ask.
  std::erase_if(peers_, [&](const auto& known) {
    const bool counts = view_->view.has(known.first) || (change_ && change_->wanted.has(known.first));
    return !counts && since(known.second.heard) >= options_.drop_after;
  });
}

log_index replica::propose(command what) {
  const log_position at{epoch_, log_.last().index + 1};
  const auto payload = payload_bytes(what);
  persist(std::make_shared<log_entry>(log_entry{at, std::move(what), payload}));
  return at.index;
}

/// Who must have an entry before it commits, and confirm a read: the members, and while a change of view is under way
/// or its outcome unknown, those of both views (rule 5).
std::set<member> replica::voters() const {
  std::set<member> out{view_->view.members.begin(), view_->view.members.end()};
  if (change_ && (holds(rule::joiner_counts_first) || !setting_))
    out.insert(change_->wanted.members.begin(), change_->wanted.members.end());
  if (!holds(rule::detector_decides_nothing))
    std::erase_if(out, [&](const auto& who) {
      const auto known = peers_.find(who);
      return known != peers_.end() && since(known->second.heard) >= options_.drop_after;
    });
  return out;
}

std::vector<replica::follower_progress> replica::followers() const {
  std::vector<follower_progress> out;
  if (role_ == replica_role::primary)
    for (const auto& [who, to] : peers_)
      out.push_back({who, log_.last().index - std::min(to.match, log_.last().index)});
  return out;
}

void replica::advance_commit() {
  if (role_ != replica_role::primary)
    return;
  std::vector<log_index> matches;
  for (const auto& who : voters())
    matches.push_back(who == self_ ? durable_ : peers_[who].match);
  std::sort(matches.begin(), matches.end());
  const auto everywhere = holds(rule::every_member_commits) ? matches.front() : matches[(matches.size() - 1) / 2];
  if (everywhere <= commit_)
    return;
  commit_ = everywhere;
  apply_committed();
}

// --- time ---

void replica::tick_primary() {
  if (since(read_at_) >= options_.refresh)
    read_register();
  tick_leases();
  refresh_peers();
  consider_change();
  for (auto& [who, to] : peers_)
    replicate(who, to, since(to.sent) >= options_.heartbeat);
  // A voter may have left since the round began.
  advance_commit();
  check_confirmation();
}

void replica::tick_leases() {
  if (!serving() || below_min_isr() || succession_)
    return;
  for (auto& [id, lease] : lease_times_) {
    if (lease.ending || lease.deadline > time_)
      continue;
    lease.ending = true;
    propose(end_lease_command{id, table_.find_lease(id)->version});
  }
}

// --- the view ---

void replica::consider_change() {
  if (setting_)
    return;
  if (change_) { // unknown so far: the same again, until the answer is definite
    if (since(set_at_) >= options_.retry)
      propose_view(change_->wanted);
    return;
  }
  auto wanted = view_->view;
  drop_members(wanted);
  if (wanted == view_->view && !add_learner(wanted))
    leave_placement(wanted);
  if (wanted != view_->view)
    propose_view(std::move(wanted));
}

void replica::drop_members(slot_view& wanted) const {
  std::vector<member> slow, lost;
  for (const auto& who : view_->view.members) {
    if (who == self_)
      continue;
    const auto& known = peers_.at(who);
    const auto idle = std::max(since(known.heard), since(known.progressed));
    if (known.replaced || idle >= options_.abandon_after)
      lost.push_back(who);
    else if (idle >= options_.drop_after)
      slow.push_back(who);
  }
  const auto drop = [&](const std::vector<member>& some) {
    std::erase_if(wanted.members,
                  [&](const auto& who) { return std::find(some.begin(), some.end(), who) != some.end(); });
  };
  drop(lost);
  if (wanted.members.size() >= slow.size() + options_.min_isr)
    drop(slow);
}

bool replica::add_learner(slot_view& wanted) const {
  // Before the no-op has committed, commit_ may be behind what the primary before acknowledged, and a learner that has
  // it all by our count would lack that (rule 5).
  if (commit_ < noop_ && holds(rule::joiner_after_noop))
    return false;
  for (const auto& [who, known] : peers_) {
    const bool reachable = since(known.heard) < 3 * options_.heartbeat;
    const bool caught_up = known.match >= commit_ && !known.snapshot;
    if (view_->view.has(who) || known.replaced || !reachable || !caught_up || !should_hold(who.node))
      continue;
    wanted.members.push_back(who);
    std::sort(wanted.members.begin(), wanted.members.end());
    return true;
  }
  return false;
}

/// Placement wants it here, or has not said yet what it wants.
bool replica::should_hold(const node_name& node) const {
  const auto& desired = placement_.desired;
  return !placement_.firm || desired.empty() || std::find(desired.begin(), desired.end(), node) != desired.end();
}

/// Members that should not hold the slot any more go when all that should are in (rule 11).
void replica::leave_placement(slot_view& wanted) {
  const auto& desired = placement_.desired;
  const auto in_view = [&](const node_name& node) {
    return std::any_of(wanted.members.begin(), wanted.members.end(), [&](const auto& who) { return who.node == node; });
  };
  const bool all_in = std::all_of(desired.begin(), desired.end(), in_view);
  if (!placement_.firm || desired.empty() || (!all_in && holds(rule::leaves_last)))
    return;
  std::erase_if(wanted.members, [&](const auto& who) { return who != self_ && !should_hold(who.node); });
  if (wanted == view_->view)
    consider_hand_over();
}

/// To the one that should lead, if it could at once; a primary that has to go takes any other member, too.
void replica::consider_hand_over() {
  const bool leaves = !should_hold(self_.node);
  const auto& first = placement_.desired.front();
  if (succession_ || (!leaves && (!placement_.lead || first == self_.node)) || !serving() ||
      since(keeps_since_) < options_.take_over_after)
    return;
  const member* chosen = nullptr;
  for (const auto& who : view_->view.members) {
    if (who == self_)
      continue;
    const auto& known = peers_.at(who);
    const bool ready = known.match >= commit_ && !known.probing && since(known.heard) < 3 * options_.heartbeat;
    if (ready && (who.node == first || (leaves && chosen == nullptr)))
      chosen = &who;
  }
  if (chosen != nullptr)
    succession_ = succession{*chosen, time_, std::nullopt};
}

/// When the successor has all of the log and all of it is committed, it is told, and told again until the register
/// tells us.
void replica::hand_over() {
  if (!succession_ || role_ != replica_role::primary)
    return;
  if (since(succession_->since) >= options_.take_over_after) {
    keeps_since_ = time_;
    succession_.reset();
    return;
  }
  const auto last = log_.last().index;
  const auto known = peers_.find(succession_->to);
  const bool quiet = commit_ == last && known != peers_.end() && known->second.match >= last && !change_;
  const bool asked = succession_->asked && since(*succession_->asked) < options_.retry;
  if (!quiet || asked)
    return;
  succession_->asked = time_;
  send_to(succession_->to, take_over_message{});
}

// --- replication ---

void replica::replicate(const member& who, peer& to, bool force) {
  if (to.snapshot) {
    if (force)
      send_snapshot(who, to);
    return;
  }
  if (to.next <= log_.base().index) {
    to.snapshot = transfer{std::make_shared<const snapshot>(committed()), 0, 0, 0};
    return send_snapshot(who, to);
  }
  if (to.probing && !force)
    return;
  do {
    const auto window = to.next < to.match + options_.window_entries ? to.match + options_.window_entries - to.next : 0;
    auto entries = log_.slice(to.next, std::min<std::size_t>(options_.message_entries, window), options_.message_bytes);
    if (entries.empty() && !force)
      return;
    const auto count = entries.size();
    send_to(who, append_message{{*log_.epoch_at(to.next - 1), to.next - 1}, std::move(entries), commit_, confirm_});
    to.sent = time_;
    force = false;
    if (to.probing || count == 0)
      return;
    to.next += count;
  } while (to.next <= log_.last().index);
}

void replica::send_snapshot(const member& who, peer& to) {
  auto& sending = *to.snapshot;
  const auto& image = sending.state->image;
  std::size_t bytes = 0;
  sending.end = sending.begin;
  while (sending.end < image.entries.size() && bytes < options_.message_bytes)
    bytes += framing_bytes + payload_bytes(image.entries[sending.end++]);
  snapshot_message part{sending.state->at, image.index, sending.part, sending.end == image.entries.size(), {}, {}};
  part.entries.assign(image.entries.begin() + static_cast<std::ptrdiff_t>(sending.begin),
                      image.entries.begin() + static_cast<std::ptrdiff_t>(sending.end));
  if (part.last)
    part.leases = image.leases;
  to.sent = time_;
  send_to(who, std::move(part));
}

void replica::handle(const member& from, snapshot_reply& reply) {
  const auto known = peers_.find(from);
  if (role_ != replica_role::primary || known == peers_.end())
    return;
  auto& to = known->second;
  to.heard = time_;
  if (!to.snapshot || to.snapshot->state->at != reply.at)
    return;
  auto& sending = *to.snapshot;
  if (reply.next == 0 && sending.part != 0) { // it has forgotten what it had
    sending.begin = 0;
    sending.part = 0;
    return send_snapshot(from, to);
  }
  if (sending.part + 1 != reply.next)
    return;
  to.progressed = time_;
  if (sending.end == sending.state->image.entries.size()) {
    to.next = reply.at.index + 1;
    to.snapshot.reset();
    to.probing = true;
    return replicate(from, to, true);
  }
  sending.begin = sending.end;
  ++sending.part;
  send_snapshot(from, to);
}

void replica::handle(const member& from, append_reply& reply) {
  const auto known = peers_.find(from);
  if (role_ != replica_role::primary || known == peers_.end())
    return;
  auto& to = known->second;
  to.heard = time_;
  to.confirmed = std::max(to.confirmed, reply.confirm);
  const auto next_after = [&](log_index checked) {
    return std::min(std::max(checked, to.match), log_.last().index) + 1;
  };
  if (reply.rejected) {
    to.snapshot.reset();
    to.probing = true;
    to.next = next_after(reply.checked);
    replicate(from, to, true);
  } else {
    if (reply.match > to.match || reply.match >= log_.last().index)
      to.progressed = time_;
    to.match = std::max(to.match, reply.match);
    if (to.probing && !to.snapshot) {
      to.probing = false;
      to.next = next_after(reply.checked);
    }
    advance_commit();
  }
  check_confirmation();
}

void replica::handle(const member& from, join_message&) {
  if (role_ != replica_role::primary || !should_hold(from.node))
    return;
  for (auto& [who, known] : peers_)
    if (who.node == from.node && who != from && who.incarnation < from.incarnation)
      known.replaced = true;
  auto& to = peers_[from];
  if (to.next == 0)
    to.next = log_.last().index + 1;
  to.heard = time_;
  if (to.sent == duration{}) {
    to.progressed = time_;
    replicate(from, to, true);
  }
}

} // namespace glocal::store
