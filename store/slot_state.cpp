#include "store/slot_state.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {
namespace {

std::size_t footprint(const watch_record& record) noexcept {
  return sizeof record + record.entry.key.size() + record.entry.value.size();
}

const lease_grant* find_grant(std::span<const lease_grant> grants, lease_id id) noexcept {
  const auto at = std::find_if(grants.begin(), grants.end(), [id](const auto& grant) { return grant.id == id; });
  return at == grants.end() ? nullptr : &*at;
}

} // namespace

slot_state::slot_state(slot_id slot, const slot_options& options, slot_image image, timestamp now)
    : slot_{slot}, options_{options}, index_{image.index}, sync_index_{image.index}, durable_index_{image.index},
      history_floor_{image.index} {
  for (const auto& lease : image.leases)
    leases_[lease.id].grant = {lease.id, lease.ttl, now + lease.ttl};
  for (auto& row : image.entries) {
    // An entry whose lease record is missing would never go; it can't come from our own writes, which are atomic.
    if (const auto held = leases_.find(row.lease); held != leases_.end())
      held->second.keys.emplace(row.table, row.key);
    rows(row.table).emplace(row.key, std::move(row));
  }
}

std::size_t slot_state::entry_count() const noexcept {
  std::size_t total = 0;
  for (const auto& rows : tables_)
    total += rows.size();
  return total;
}

std::vector<lease_grant> slot_state::leases() const {
  std::vector<lease_grant> out;
  for (const auto& [id, held] : leases_)
    out.push_back(held.grant);
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
  working_set work;
  std::vector<op_result> results;
  results.reserve(event.operations.size());
  for (auto& op : event.operations) {
    results.push_back(apply(op, event.leases, work, out));
    counters_.conflicts += results.back().code == op_code::conflict;
  }
  commit(work, out);
  revision gate = 0;
  for (const auto& op : event.operations)
    gate = std::max(gate, gate_of(table_of(op)));
  send(gate, reply_action{event.request, std::move(results)}, out);
}

op_result slot_state::apply(operation& op, std::span<const lease_grant> grants, working_set& work, actions& out) {
  const auto* present = find(table_of(op), key_of(op));
  const auto what_is_there = [&] { return present != nullptr ? std::optional{*present} : std::nullopt; };
  if (std::holds_alternative<get_op>(op)) {
    ++counters_.gets;
    return present != nullptr ? op_result{op_code::ok, *present} : op_result{op_code::not_found};
  }
  if (auto* put = std::get_if<put_op>(&op)) {
    ++counters_.puts;
    return write(*put, grants, work, out);
  }
  if (auto* put = std::get_if<put_if_absent_op>(&op)) {
    ++counters_.puts_if_absent;
    return present == nullptr ? write(*put, grants, work, out) : op_result{op_code::conflict, *present};
  }
  if (auto* set = std::get_if<compare_and_set_op>(&op)) {
    ++counters_.compare_and_sets;
    const revision version = present != nullptr ? present->version : 0;
    return version == set->expected ? write(*set, grants, work, out) : op_result{op_code::conflict, what_is_there()};
  }
  const auto& erase = std::get<erase_op>(op);
  ++counters_.erases;
  if (present == nullptr)
    return {op_code::not_found};
  if (erase.expected && *erase.expected != present->version)
    return {op_code::conflict, *present};
  remove(erase.table, erase.key, work, out);
  return {op_code::ok};
}

template <class Write>
op_result slot_state::write(Write& op, std::span<const lease_grant> grants, working_set& work, actions& out) {
  auto& table_rows = rows(op.table);
  auto at = table_rows.find(op.key);
  const bool present = at != table_rows.end();
  // An unchanged refresh is no change: it costs no revision, no disk and wakes no watcher.
  if (present && at->second.value == op.value && at->second.lease == op.lease)
    return {op_code::ok, at->second};
  const lease_id before = present ? at->second.lease : 0;
  if (op.lease != 0 && !attach(op.lease, op.table, op.key, grants, work, out))
    return {op_code::no_such_lease};
  if (before != 0 && before != op.lease)
    detach(before, op.table, op.key, work, out);
  if (!present)
    at = table_rows.emplace(op.key, entry{}).first;
  at->second = entry{op.table, op.key, std::move(op.value), ++index_, op.lease};
  work.sync |= !is_volatile(op.table);
  work.mutations.emplace_back(put_entry{at->second});
  work.records.push_back({watch_record::kind::put, slot_, index_, at->second});
  return {op_code::ok, at->second};
}

void slot_state::remove(table from, const std::string& key, working_set& work, actions& out) {
  auto& table_rows = rows(from);
  const auto at = table_rows.find(key);
  const entry gone{from, key, {}, ++index_, 0};
  if (at->second.lease != 0)
    detach(at->second.lease, from, gone.key, work, out);
  table_rows.erase(at); // `key` may live in the row: from here on only `gone.key` is used
  work.sync |= !is_volatile(from);
  work.mutations.emplace_back(erase_entry{from, gone.key});
  work.records.push_back({watch_record::kind::erase, slot_, index_, gone});
}

bool slot_state::attach(lease_id lease, table in, const std::string& key, std::span<const lease_grant> grants,
                        working_set& work, actions& out) {
  const auto* granted = find_grant(grants, lease);
  auto held = leases_.find(lease);
  if (held == leases_.end()) {
    if (granted == nullptr)
      return false;
    held = leases_.emplace(lease, held_lease{*granted, {}}).first;
    work.mutations.emplace_back(put_lease{{lease, granted->ttl}});
    out.emplace_back(lease_attached_action{*granted});
  } else if (granted != nullptr && granted->expires_at > held->second.grant.expires_at) {
    held->second.grant.expires_at = granted->expires_at;
  }
  held->second.keys.emplace(in, key);
  return true;
}

void slot_state::detach(lease_id lease, table in, const std::string& key, working_set& work, actions& out) {
  const auto held = leases_.find(lease);
  if (held == leases_.end())
    return;
  held->second.keys.erase({in, key});
  if (!held->second.keys.empty())
    return;
  leases_.erase(held);
  work.mutations.emplace_back(erase_lease{lease});
  out.emplace_back(lease_detached_action{lease});
}

void slot_state::end_lease(lease_id lease, working_set& work, actions& out) {
  const auto keys = leases_.at(lease).keys; // a copy: removing the last entry ends the lease
  for (const auto& [from, key] : keys)
    remove(from, key, work, out);
}

void slot_state::on(scan_event& event, actions& out) {
  if (failed_) {
    out.emplace_back(refuse_action{event.request, store_error::unavailable});
    return;
  }
  ++counters_.scans;
  scan_reply_action reply{event.request, {}, false};
  const auto& table_rows = rows(event.from);
  auto at = event.after.empty() ? table_rows.lower_bound(event.prefix) : table_rows.upper_bound(event.after);
  std::size_t size = 0;
  for (; at != table_rows.end() && at->first.starts_with(event.prefix); ++at) {
    size += at->first.size() + at->second.value.size();
    // At least one entry, so that a page always moves on.
    if (reply.entries.size() >= event.limit || (size > event.max_bytes && !reply.entries.empty())) {
      reply.more = true;
      break;
    }
    reply.entries.push_back(at->second);
  }
  send(gate_of(event.from), std::move(reply), out);
}

void slot_state::on(subscribe_event& event, actions& out) {
  if (failed_)
    return;
  publish_action first{{event.subscription}, {}};
  const auto add = [&](watch_record::kind what, revision at, entry row = {}) {
    row.table = event.of;
    first.records.push_back({what, slot_, at, std::move(row)});
  };
  const bool resumes =
      event.from && !is_volatile(event.of) && *event.from >= history_floor_ && *event.from <= sync_index_;
  if (resumes) {
    for (const auto& record : history_)
      if (record.at > *event.from && record.entry.table == event.of && record.entry.key.starts_with(event.prefix))
        first.records.push_back(record);
    add(watch_record::kind::resumed, sync_index_);
  } else {
    const auto at = is_volatile(event.of) ? index_ : sync_index_;
    if (event.from)
      add(watch_record::kind::compacted, history_floor_);
    const auto& table_rows = rows(event.of);
    for (auto row = table_rows.lower_bound(event.prefix);
         row != table_rows.end() && row->first.starts_with(event.prefix); ++row)
      add(watch_record::kind::snapshot_entry, row->second.version, row->second);
    add(watch_record::kind::snapshot_end, at);
  }
  subscriptions_.insert_or_assign(event.subscription, subscription{event.of, std::move(event.prefix)});
  send(gate_of(event.of), std::move(first), out);
}

void slot_state::on(unsubscribe_event& event, actions&) {
  subscriptions_.erase(event.subscription);
}

void slot_state::on(renew_event& event, actions& out) {
  const auto held = leases_.find(event.lease.id);
  if (held == leases_.end() || failed_)
    return;
  const bool new_ttl = held->second.grant.ttl != event.lease.ttl;
  held->second.grant = event.lease;
  if (!new_ttl)
    return;
  working_set work;
  ++index_;
  work.sync = true;
  work.mutations.emplace_back(put_lease{{event.lease.id, event.lease.ttl}});
  commit(work, out);
}

void slot_state::on(revoke_event& event, actions& out) {
  if (failed_ || !leases_.contains(event.lease))
    return;
  working_set work;
  end_lease(event.lease, work, out);
  commit(work, out);
}

void slot_state::on(tick_event& event, actions& out) {
  if (failed_)
    return;
  std::vector<lease_id> over;
  for (const auto& [id, held] : leases_)
    if (held.grant.expires_at <= event.now)
      over.push_back(id);
  working_set work;
  for (const auto id : over)
    end_lease(id, work, out);
  counters_.leases_expired += over.size();
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

void slot_state::commit(working_set& work, actions& out) {
  if (work.mutations.empty())
    return;
  out.emplace_back(persist_action{{slot_, index_, std::move(work.mutations)}, work.sync});
  if (work.sync)
    sync_index_ = index_;
  publish(std::move(work.records), out);
}

void slot_state::publish(std::vector<watch_record> records, actions& out) {
  // Consecutive records for the same subscriptions share one action, and so one message and one frame.
  publish_action run;
  revision run_gate = 0;
  const auto flush = [&] {
    if (!run.records.empty() && !run.subscriptions.empty())
      send(run_gate, std::exchange(run, {}), out);
    run = {};
  };
  for (auto& record : records) {
    remember(record);
    std::vector<subscription_id> interested;
    for (const auto& [id, subscribed] : subscriptions_)
      if (subscribed.of == record.entry.table && record.entry.key.starts_with(subscribed.prefix))
        interested.push_back(id);
    const auto gate = gate_of(record.entry.table);
    if (interested != run.subscriptions || gate != run_gate) {
      flush();
      run.subscriptions = std::move(interested);
      run_gate = gate;
    }
    if (!run.subscriptions.empty())
      run.records.push_back(std::move(record));
  }
  flush();
}

void slot_state::remember(const watch_record& record) {
  if (is_volatile(record.entry.table))
    return;
  history_bytes_ += footprint(record);
  history_.push_back(record);
  while (history_.size() > options_.history_changes || history_bytes_ > options_.history_bytes) {
    history_bytes_ -= footprint(history_.front());
    history_floor_ = history_.front().at;
    history_.pop_front();
  }
}

void slot_state::send(revision gate, slot_action action, actions& out) {
  if (gate <= durable_index_)
    out.push_back(std::move(action));
  else
    gated_.push_back({gate, std::move(action)});
}

const entry* slot_state::find(table in, std::string_view key) const {
  const auto& table_rows = tables_[static_cast<std::size_t>(in)];
  const auto at = table_rows.find(key);
  return at == table_rows.end() ? nullptr : &at->second;
}

} // namespace glocal::store
