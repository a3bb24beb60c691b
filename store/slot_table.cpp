#include "store/slot_table.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {

slot_table::slot_table(slot_id slot, slot_image image) : slot_{slot}, index_{image.index} {
  for (const auto& lease : image.leases)
    leases_[lease.id] = {lease.ttl, lease.version, {}};
  for (auto& row : image.entries) {
    // An entry whose lease record is missing would never go; it can't come from our own writes, which are atomic.
    if (const auto held = leases_.find(row.lease); held != leases_.end())
      held->second.keys.emplace(row.table, row.key);
    rows_of(row.table).emplace(row.key, std::move(row));
  }
}

op_result slot_table::apply(operation op, std::span<const lease_record> grants, std::uint64_t stamp, changes& out) {
  const auto* present = find(table_of(op), key_of(op));
  const auto conflict = [&] {
    ++counters_.conflicts;
    return op_result{op_code::conflict, present != nullptr ? std::optional{*present} : std::nullopt};
  };
  if (std::holds_alternative<get_op>(op)) {
    ++counters_.gets;
    return present != nullptr ? op_result{op_code::ok, *present} : op_result{op_code::not_found};
  }
  if (auto* put = std::get_if<put_op>(&op)) {
    ++counters_.puts;
    return write(*put, grants, stamp, out);
  }
  if (auto* put = std::get_if<put_if_absent_op>(&op)) {
    ++counters_.puts_if_absent;
    return present == nullptr ? write(*put, grants, stamp, out) : conflict();
  }
  if (auto* set = std::get_if<compare_and_set_op>(&op)) {
    ++counters_.compare_and_sets;
    const revision version = present != nullptr ? present->version : 0;
    return version == set->expected ? write(*set, grants, stamp, out) : conflict();
  }
  const auto& erase = std::get<erase_op>(op);
  ++counters_.erases;
  if (present == nullptr)
    return {op_code::not_found};
  if (erase.expected && *erase.expected != present->version)
    return conflict();
  remove(erase.table, erase.key, out);
  return {op_code::ok};
}

template <class Write>
op_result slot_table::write(Write& op, std::span<const lease_record> grants, std::uint64_t stamp, changes& out) {
  auto& table_rows = rows_of(op.table);
  auto at = table_rows.find(op.key);
  const bool present = at != table_rows.end();
  // An unchanged refresh is no change: it costs no revision, no disk and wakes no watcher.
  if (present && at->second.value == op.value && at->second.lease == op.lease)
    return {op_code::ok, at->second};
  const lease_id before = present ? at->second.lease : 0;
  if (op.lease != 0 && !attach(op.lease, op.table, op.key, grants, stamp, out))
    return {op_code::no_such_lease};
  if (before != 0 && before != op.lease)
    detach(before, op.table, op.key, out);
  if (!present)
    at = table_rows.emplace(op.key, entry{}).first;
  at->second = entry{op.table, op.key, std::move(op.value), ++index_, op.lease};
  out.durable |= !is_volatile(op.table);
  out.mutations.emplace_back(put_entry{at->second});
  out.records.push_back({watch_record::kind::put, slot_, index_, at->second});
  return {op_code::ok, at->second};
}

void slot_table::remove(table from, const std::string& key, changes& out) {
  auto& table_rows = rows_of(from);
  const auto at = table_rows.find(key);
  const entry gone{from, key, {}, ++index_, 0};
  if (at->second.lease != 0)
    detach(at->second.lease, from, gone.key, out);
  table_rows.erase(at); // `key` may live in the row: from here on only `gone.key` is used
  out.durable |= !is_volatile(from);
  out.mutations.emplace_back(erase_entry{from, gone.key});
  out.records.push_back({watch_record::kind::erase, slot_, index_, gone});
}

bool slot_table::attach(lease_id lease, table in, const std::string& key, std::span<const lease_record> grants,
                        std::uint64_t stamp, changes& out) {
  auto held = leases_.find(lease);
  if (held == leases_.end()) {
    const auto granted =
        std::find_if(grants.begin(), grants.end(), [lease](const auto& grant) { return grant.id == lease; });
    if (granted == grants.end())
      return false;
    held = leases_.emplace(lease, held_lease{granted->ttl, stamp, {}}).first;
    out.mutations.emplace_back(put_lease{{lease, granted->ttl, stamp}});
    out.leases.push_back({lease, true});
  }
  held->second.keys.emplace(in, key);
  return true;
}

void slot_table::detach(lease_id lease, table in, const std::string& key, changes& out) {
  const auto held = leases_.find(lease);
  if (held == leases_.end())
    return;
  held->second.keys.erase({in, key});
  if (!held->second.keys.empty())
    return;
  leases_.erase(held);
  out.mutations.emplace_back(erase_lease{lease});
  out.leases.push_back({lease, false});
}

bool slot_table::renew(const lease_record& lease, std::uint64_t stamp, changes& out) {
  const auto held = leases_.find(lease.id);
  if (held == leases_.end())
    return false;
  if (lease.ttl.count() != 0)
    held->second.ttl = lease.ttl;
  held->second.version = stamp;
  out.mutations.emplace_back(put_lease{{lease.id, held->second.ttl, stamp}});
  return true;
}

bool slot_table::end_lease(lease_id lease, changes& out) {
  const auto held = leases_.find(lease);
  if (held == leases_.end())
    return false;
  const auto keys = held->second.keys; // a copy: removing the last entry ends the lease
  for (const auto& [from, key] : keys)
    remove(from, key, out);
  return true;
}

scan_reply_action slot_table::scan(const scan_event& event) {
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
  return reply;
}

const entry* slot_table::find(table in, std::string_view key) const {
  const auto& table_rows = rows(in);
  const auto at = table_rows.find(key);
  return at == table_rows.end() ? nullptr : &at->second;
}

const slot_table::held_lease* slot_table::find_lease(lease_id id) const {
  const auto held = leases_.find(id);
  return held == leases_.end() ? nullptr : &held->second;
}

std::size_t slot_table::entry_count() const noexcept {
  std::size_t total = 0;
  for (const auto& rows : tables_)
    total += rows.size();
  return total;
}

slot_image slot_table::image() const {
  slot_image out{index_, {}, {}};
  out.entries.reserve(entry_count());
  for (const auto& rows : tables_)
    for (const auto& [key, row] : rows)
      out.entries.push_back(row);
  for (const auto& [id, held] : leases_)
    out.leases.push_back({id, held.ttl, held.version});
  return out;
}

} // namespace glocal::store
