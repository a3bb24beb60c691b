// What clients ask of a replica, and the state machine that committed entries drive.

#include "store/replica.hpp"
#include "store/rules.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {
namespace {

bool reads_only(const batch& operations) noexcept {
  return std::all_of(operations.begin(), operations.end(),
                     [](const auto& op) { return std::holds_alternative<get_op>(op); });
}

op_result read_one(const slot_table& state, const operation& op) {
  const auto* found = state.find(table_of(op), key_of(op));
  return found != nullptr ? op_result{op_code::ok, *found} : op_result{op_code::not_found};
}

} // namespace

bool replica::serving() const noexcept {
  return role_ == replica_role::primary && (commit_ >= noop_ || !holds(rule::noop_first));
}

bool replica::is_current() const noexcept {
  if (role_ != replica_role::follower)
    return serving();
  return is_member() && leader_ && since(heard_) < options_.stale_after;
}

bool replica::may_write(request_id request) {
  if (!serving()) {
    std::optional<node_name> primary;
    if (leader_ && *leader_ != self_)
      primary = leader_->node;
    out_.emplace_back(redirect_action{request, std::move(primary)});
    return false;
  }
  if (below_min_isr() && holds(rule::min_isr)) {
    refuse(request, store_error::unavailable);
    return false;
  }
  if (succession_) {
    out_.emplace_back(redirect_action{request, succession_->to.node});
    return false;
  }
  if (log_.last().index - commit_ >= options_.max_uncommitted_entries) {
    refuse(request, store_error::overloaded);
    return false;
  }
  return true;
}

void replica::on(batch_event& event) {
  if (reads_only(event.operations)) {
    if (!answer_write_once(event))
      queue_read(std::move(event));
    return;
  }
  if (!may_write(event.request))
    return;
  batch_command command{std::move(event.operations), {}};
  for (const auto& grant : event.leases)
    command.leases.push_back({grant.id, grant.ttl});
  wait_for(propose(std::move(command)), event.request);
}

void replica::on(renew_leases_event& event) {
  if (may_write(event.request))
    wait_for(propose(renew_command{std::move(event.leases)}), event.request);
}

void replica::on(revoke_lease_event& event) {
  if (may_write(event.request))
    wait_for(propose(end_lease_command{event.lease, 0}), event.request);
}

void replica::on(scan_event& event) {
  queue_read(std::move(event));
}

void replica::on(subscribe_event& event) {
  // From what this replica has applied. A watcher that has seen more elsewhere keeps what it has and waits for the
  // rest.
  out_.emplace_back(watches_.subscribe(event, table_, table_.index(), ~revision{0}));
}

void replica::on(unsubscribe_event& event) {
  watches_.unsubscribe(event.subscription);
}

// --- reads ---

/// Any replica may say that a write-once key is there; that it is not, only the primary knows (rule 6).
bool replica::answer_write_once(const batch_event& event) {
  std::vector<op_result> results;
  for (const auto& op : event.operations) {
    if (!is_write_once(table_of(op)))
      return false;
    results.push_back(read_one(table_, op));
    if (!results.back().ok() && (role_ == replica_role::primary || holds(rule::absent_by_primary)))
      return false;
  }
  out_.emplace_back(reply_action{event.request, std::move(results)});
  return true;
}

void replica::queue_read(read waiting) {
  const auto request = std::visit([](const auto& asked) { return asked.request; }, waiting);
  if (!serving()) {
    std::optional<node_name> primary;
    if (leader_ && *leader_ != self_)
      primary = leader_->node;
    out_.emplace_back(redirect_action{request, std::move(primary)});
    return;
  }
  if (!holds(rule::confirmed_read))
    return answer(waiting);
  if (reads_.size() >= options_.max_waiting_reads)
    return refuse(request, store_error::overloaded);
  reads_.push_back(std::move(waiting));
  if (confirming_.empty()) // else they go together when the round under way has ended
    start_confirmation();
}

/// Asks every member whether this is still its primary; all reads that wait until then are answered by one round. No
/// member of a later view can confirm ours, and no later view leaves out all members of this one, so nothing was
/// acknowledged elsewhere that these reads would miss.
void replica::start_confirmation() {
  confirming_ = std::exchange(reads_, {});
  ++confirm_;
  for (auto& [who, to] : peers_)
    replicate(who, to, true);
  check_confirmation();
}

void replica::check_confirmation() {
  while (!confirming_.empty()) {
    for (const auto& who : voters())
      if (who != self_ && peers_[who].confirmed < confirm_)
        return;
    for (auto& confirmed : std::exchange(confirming_, {}))
      answer(confirmed);
    if (!reads_.empty())
      start_confirmation();
  }
}

void replica::answer(read& confirmed) {
  if (auto* scan = std::get_if<scan_event>(&confirmed)) {
    out_.emplace_back(table_.scan(*scan));
    return;
  }
  const auto& asked = std::get<batch_event>(confirmed);
  reply_action reply{asked.request, {}};
  for (const auto& op : asked.operations)
    reply.results.push_back(read_one(table_, op));
  out_.emplace_back(std::move(reply));
}

// --- the state machine ---

void replica::apply_committed() {
  while (applied_.index < commit_) {
    const auto entry = *log_.find(applied_.index + 1);
    applied_ = entry->at;
    slot_table::changes work;
    auto results = apply(*entry, work);
    keep_lease_times(work);
    out_.emplace_back(apply_action{{slot_, table_.index(), std::move(work.mutations)}, applied_});
    for (auto& action : watches_.publish(std::move(work.records)))
      out_.emplace_back(std::move(action));
    if (pending_.empty() || pending_.front().index != applied_.index)
      continue;
    // Committed by fewer than min_isr members: it holds, but one disk more and it would not. Unknown is the honest
    // word.
    if (below_min_isr() && holds(rule::min_isr))
      refuse(pending_.front().request, store_error::timeout);
    else
      out_.emplace_back(reply_action{pending_.front().request, std::move(results)});
    pending_.pop_front();
  }
}

std::vector<op_result> replica::apply(const log_entry& entry, slot_table::changes& work) {
  std::vector<op_result> results;
  const auto stamp = entry.at.index;
  if (const auto* batch = std::get_if<batch_command>(&entry.what)) {
    results.reserve(batch->operations.size());
    for (const auto& op : batch->operations)
      results.push_back(table_.apply(op, batch->leases, stamp, work));
    for (const auto& lease : batch->leases)
      if (const auto* held = table_.find_lease(lease.id); held != nullptr && held->version != stamp)
        (void)table_.renew(lease, stamp, work);
  } else if (const auto* renewed = std::get_if<renew_command>(&entry.what)) {
    for (const auto& lease : renewed->leases)
      results.push_back({table_.renew(lease, stamp, work) ? op_code::ok : op_code::no_such_lease});
  } else if (const auto* end = std::get_if<end_lease_command>(&entry.what)) {
    // Renewed after the expiry was decided: then it is none (rule 8).
    const auto* held = table_.find_lease(end->lease);
    const bool due =
        held != nullptr && (end->version == 0 || held->version == end->version || !holds(rule::expiry_names_version));
    if (due && end->version != 0)
      table_.count_expiry();
    results.push_back({due && table_.end_lease(end->lease, work) ? op_code::ok : op_code::no_such_lease});
  }
  return results;
}

/// The primary measures leases; what was granted or renewed by this entry starts again. It arrived within the tick that
/// is not over yet, so that tick is added.
void replica::keep_lease_times(const slot_table::changes& work) {
  if (role_ != replica_role::primary)
    return;
  for (const auto& change : work.leases) {
    if (!change.attached) {
      lease_times_.erase(change.id);
      out_.emplace_back(lease_detached_action{change.id});
    } else if (const auto* held = table_.find_lease(change.id)) {
      out_.emplace_back(lease_attached_action{{change.id, held->ttl, last_now_ + held->ttl}});
    }
  }
  for (const auto& mutation : work.mutations)
    if (const auto* put = std::get_if<put_lease>(&mutation);
        put != nullptr && table_.find_lease(put->lease.id) != nullptr)
      lease_times_[put->lease.id] = {time_ + options_.max_tick + put->lease.ttl, false};
}

} // namespace glocal::store
