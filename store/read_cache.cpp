#include "store/read_cache.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {
namespace {

/// A list's node, the index's, and their allocations' headers.
constexpr std::size_t entry_overhead = sizeof(entry) + 128;

} // namespace

std::size_t read_cache::cost(const entry& row) noexcept {
  return payload_bytes(row) + entry_overhead;
}

const entry* read_cache::find(table in, std::string_view key) {
  auto& of = at(in);
  if (!of.live) {
    ++of.count.suspect;
    return nullptr;
  }
  const auto found = of.index.find(key);
  if (found == of.index.end() || (!of.writes.empty() && of.writes.contains(std::string{key}))) {
    ++of.count.misses;
    return nullptr;
  }
  ++of.count.hits;
  rows_.splice(rows_.begin(), rows_, found->second);
  return &*found->second;
}

read_cache::read_id read_cache::begin_read(table in, const std::string& key) {
  const auto id = next_read_++;
  // Changes between the read and the first live would come as part of what there is, which is not told apart.
  reads_.emplace(id, pending_read{in, key, 0, !at(in).live});
  at(in).reads.emplace(key, id);
  return id;
}

void read_cache::end_read(read_id id, const op_result* result) {
  auto read = std::move(reads_.extract(id).mapped());
  auto& of = at(read.in);
  const auto [first, last] = of.reads.equal_range(read.key);
  of.reads.erase(std::find_if(first, last, [&](const auto& each) { return each.second == id; }));
  if (result == nullptr)
    return;
  if (!result->found) {
    if (result->code == op_code::not_found)
      forget(read.in, read.key);
    return;
  }
  learn(*result->found);
  if (!read.spoiled && of.live && result->found->version >= read.newest && !of.index.contains(read.key))
    insert(*result->found);
}

void read_cache::begin_write(const operation& op) {
  ++at(table_of(op)).writes[key_of(op)];
}

void read_cache::end_write(const operation& op, const op_result* result) {
  auto& writes = at(table_of(op)).writes;
  if (const auto under_way = writes.find(key_of(op)); under_way != writes.end() && --under_way->second == 0)
    writes.erase(under_way);
  if (result != nullptr && result->found)
    learn(*result->found);
  else if (result == nullptr || result->code != op_code::no_such_lease)
    forget(table_of(op), key_of(op));
}

void read_cache::forget_all() {
  for (auto& table : tables_)
    table.index.clear();
  rows_.clear();
  bytes_ = 0;
  for (auto& [id, read] : reads_)
    read.spoiled = true;
}

void read_cache::follow(table of, const watch_event& event) {
  switch (event.what) {
  case watch_event::kind::put: return learn(event.entry);
  case watch_event::kind::erase: {
    auto& from = at(of);
    if (const auto found = from.index.find(event.entry.key);
        found != from.index.end() && found->second->version < event.at)
      erase(found->second);
    const auto [first, last] = from.reads.equal_range(event.entry.key);
    for (auto read = first; read != last; ++read)
      reads_.at(read->second).newest = std::max(reads_.at(read->second).newest, event.at);
    return;
  }
  case watch_event::kind::live: at(of).live = true; return;
  case watch_event::kind::suspect:
    // What is here may be used again, if the stream goes on where it broke off.
    at(of).live = false;
    return;
  case watch_event::kind::resync:
  case watch_event::kind::compacted:
    // The repair names keys that the watch knows are gone, and not those that only a read had seen.
    at(of).live = false;
    for (auto& [key, id] : at(of).reads)
      reads_.at(id).spoiled = true;
    return drop(of);
  }
}

void read_cache::learn(const entry& row) {
  auto& of = at(row.table);
  const auto [first, last] = of.reads.equal_range(row.key);
  for (auto read = first; read != last; ++read)
    reads_.at(read->second).newest = std::max(reads_.at(read->second).newest, row.version);
  const auto found = of.index.find(row.key);
  if (found == of.index.end() || found->second->version >= row.version)
    return;
  auto& known = *found->second;
  bytes_ -= cost(known);
  known.value = row.value;
  known.version = row.version;
  known.lease = row.lease;
  bytes_ += cost(known);
  while (bytes_ > options_.bytes) {
    ++evictions_;
    erase(std::prev(rows_.end()));
  }
}

void read_cache::forget(table in, const std::string& key) {
  auto& of = at(in);
  if (const auto found = of.index.find(key); found != of.index.end())
    erase(found->second);
  const auto [first, last] = of.reads.equal_range(key);
  for (auto read = first; read != last; ++read)
    reads_.at(read->second).spoiled = true;
}

void read_cache::insert(const entry& row) {
  if (options_.entries == 0 || cost(row) > options_.bytes)
    return;
  while (rows_.size() >= options_.entries || bytes_ + cost(row) > options_.bytes) {
    ++evictions_;
    erase(std::prev(rows_.end()));
  }
  rows_.push_front(row);
  at(row.table).index.emplace(rows_.front().key, rows_.begin());
  bytes_ += cost(row);
}

void read_cache::erase(rows::iterator row) {
  bytes_ -= cost(*row);
  at(row->table).index.erase(row->key);
  rows_.erase(row);
}

void read_cache::drop(table of) {
  for (auto row = rows_.begin(); row != rows_.end();) {
    const auto here = row++;
    if (here->table == of)
      erase(here);
  }
}

} // namespace glocal::store
