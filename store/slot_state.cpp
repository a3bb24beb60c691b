#include "store/slot_state.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {

slot_state::slot_state(slot_id slot, const slot_options& options, slot_image image, timestamp now)
    : slot_{slot}, table_{slot, std::move(image)}, watches_{slot, options, table_.index()}, sync_index_{table_.index()},
      durable_index_{table_.index()} {
  for (const auto& [id, held] : table_.leases())
    grants_[id] = {id, held.ttl, now + held.ttl};
}

std::vector<lease_grant> slot_state::leases() const {
  std::vector<lease_grant> out;
  for (const auto& [id, grant] : grants_)
    out.push_back(grant);
  return out;
}

std::vector<slot_action> slot_state::step(slot_event event) {
  actions out;
  std::visit([&](auto& concrete) { on(concrete, out); }, event);
  return out;
}

void slot_state::on(batch_event& event, actions& out) {
  if (failed_) {
    out.emplace_back(refuse_action{event.request, store_error::unavailable});
    return;
  }
  changes work;
  std::vector<lease_record> granted;
  for (const auto& grant : event.leases)
    granted.push_back({grant.id, grant.ttl});
  std::vector<op_result> results;
  results.reserve(event.operations.size());
  revision gate = 0;
  for (auto& op : event.operations)
    results.push_back(table_.apply(std::move(op), granted, 0, work));
  const auto concerned = [&](lease_id id) {
    return table_.find_lease(id) != nullptr ||
           std::any_of(work.leases.begin(), work.leases.end(), [id](const auto& change) { return change.id == id; });
  };
  for (const auto& grant : event.leases)
    if (concerned(grant.id)) {
      auto& held = grants_.try_emplace(grant.id, grant).first->second;
      held.expires_at = std::max(held.expires_at, grant.expires_at);
    }
  commit(work, out);
  for (const auto& op : event.operations)
    gate = std::max(gate, gate_of(table_of(op))); // the table is no string: it was not moved away
  send(gate, reply_action{event.request, std::move(results)}, out);
}

void slot_state::on(scan_event& event, actions& out) {
  if (failed_)
    out.emplace_back(refuse_action{event.request, store_error::unavailable});
  else
    send(gate_of(event.from), table_.scan(event), out);
}

void slot_state::on(subscribe_event& event, actions& out) {
  if (failed_)
    return;
  const auto at = is_volatile(event.of) ? table_.index() : sync_index_;
  send(gate_of(event.of), watches_.subscribe(event, table_, at, sync_index_), out);
}

void slot_state::on(unsubscribe_event& event, actions&) {
  watches_.unsubscribe(event.subscription);
}

void slot_state::on(renew_event& event, actions& out) {
  const auto held = grants_.find(event.lease.id);
  if (held == grants_.end() || failed_)
    return;
  const bool new_ttl = held->second.ttl != event.lease.ttl;
  held->second = event.lease;
  if (!new_ttl)
    return;
  changes work;
  work.durable = true;
  table_.renew({event.lease.id, event.lease.ttl}, 0, work);
  commit(work, out);
}

void slot_state::on(revoke_event& event, actions& out) {
  changes work;
  if (failed_ || !table_.end_lease(event.lease, work))
    return;
  commit(work, out);
}

void slot_state::on(tick_event& event, actions& out) {
  if (failed_)
    return;
  std::vector<lease_id> over;
  for (const auto& [id, grant] : grants_)
    if (grant.expires_at <= event.now)
      over.push_back(id);
  changes work;
  for (const auto id : over) {
    table_.end_lease(id, work);
    table_.count_expiry();
  }
  commit(work, out);
}

void slot_state::on(durable_event& event, actions& out) {
  durable_index_ = std::max(durable_index_, event.index);
  for (; !gated_.empty() && gated_.front().gate <= durable_index_; gated_.pop_front())
    out.push_back(std::move(gated_.front().action));
}

void slot_state::on(disk_failed_event&, actions& out) {
  failed_ = true;
  for (const auto& waiting : gated_) {
    if (const auto* reply = std::get_if<reply_action>(&waiting.action))
      out.emplace_back(refuse_action{reply->request, store_error::unavailable});
    else if (const auto* scan = std::get_if<scan_reply_action>(&waiting.action))
      out.emplace_back(refuse_action{scan->request, store_error::unavailable});
  }
  gated_.clear();
}

void slot_state::commit(changes& work, actions& out) {
  for (const auto& change : work.leases) {
    if (change.attached) {
      out.emplace_back(lease_attached_action{grants_.at(change.id)});
    } else {
      grants_.erase(change.id);
      out.emplace_back(lease_detached_action{change.id});
    }
  }
  if (work.mutations.empty())
    return;
  out.emplace_back(persist_action{{slot_, table_.index(), std::move(work.mutations)}, work.durable});
  if (work.durable)
    sync_index_ = table_.index();
  for (auto& action : watches_.publish(std::move(work.records))) {
    const auto gate = gate_of(action.records.front().entry.table);
    send(gate, std::move(action), out);
  }
}

void slot_state::send(revision gate, slot_action action, actions& out) {
  if (gate <= durable_index_)
    out.push_back(std::move(action));
  else
    gated_.push_back({gate, std::move(action)});
}

} // namespace glocal::store
