#include "tests/sim/checks.hpp"

#include "base/hash.hpp"

#include <algorithm>

namespace glocal::sim {

std::string name(const store::member& who) {
  return who.node + "/" + std::to_string(who.incarnation);
}

std::string name(const store::log_position& at) {
  return std::to_string(at.epoch) + ":" + std::to_string(at.index);
}

std::uint64_t hash_of(const store::slot_table& state) {
  std::uint64_t out = state.index();
  for (const auto of : store::all_tables)
    for (const auto& [key, row] : state.rows(of)) {
      out = hash_text(key, out);
      out = hash_text(row.value, out + row.version * 31 + row.lease);
    }
  for (const auto& [id, lease] : state.leases())
    out = out * 0x100000001b3u + id * 31 + lease.version + lease.keys.size();
  return out;
}

namespace {

std::uint64_t hash_of(const std::vector<store::mutation>& mutations) {
  std::uint64_t out = mutations.size();
  for (const auto& mutation : mutations) {
    out = out * 0x100000001b3u + mutation.index();
    if (const auto* put = std::get_if<store::put_entry>(&mutation))
      out = hash_text(put->entry.value, hash_text(put->entry.key, out + put->entry.version));
    else if (const auto* erased = std::get_if<store::erase_entry>(&mutation))
      out = hash_text(erased->key, out);
    else if (const auto* lease = std::get_if<store::put_lease>(&mutation))
      out += lease->lease.id * 31 + lease->lease.version;
    else if (const auto* ended = std::get_if<store::erase_lease>(&mutation))
      out += ended->id;
  }
  return out;
}

} // namespace

bool checks::applied(const store::member& who, const store::apply_action& action, std::uint64_t hash) {
  const auto& at = action.at;
  const auto changed = hash_of(action.write.mutations);
  note(at.index * 31 + at.epoch);
  note(changed);
  const auto [known, first] =
      states_.try_emplace(at.index, state{at.epoch, action.write.index, changed, hash, name(who)});
  if (!first) {
    auto& other = known->second;
    const bool same_state = other.hash == 0 || hash == 0 || other.hash == hash;
    if (other.hash == 0)
      other.hash = hash;
    if (other.epoch != at.epoch || other.changes != changed || !same_state || other.revision != action.write.index)
      violation("state differs at index " + std::to_string(at.index) + ": " + name(who) + " applied " + name(at) +
                " revision " + std::to_string(action.write.index) + ", " + other.by + " had epoch " +
                std::to_string(other.epoch) + " revision " + std::to_string(other.revision));
    return false;
  }
  // Changes of this entry end at its revision; leases have none.
  const auto is_row = [](const auto& mutation) {
    return std::holds_alternative<store::put_entry>(mutation) || std::holds_alternative<store::erase_entry>(mutation);
  };
  const auto& mutations = action.write.mutations;
  const auto rows = static_cast<store::revision>(std::count_if(mutations.begin(), mutations.end(), is_row));
  if (changes_.size() + rows != action.write.index + 1) {
    violation("revisions leave a gap at index " + std::to_string(at.index));
    return true;
  }
  for (const auto& mutation : mutations) {
    if (const auto* put = std::get_if<store::put_entry>(&mutation))
      changes_.push_back({put->entry.table, put->entry.key, true});
    else if (const auto* erased = std::get_if<store::erase_entry>(&mutation))
      changes_.push_back({erased->table, erased->key, false});
  }
  return true;
}

void checks::primary(const store::member& who, store::epoch_number epoch) {
  const auto [known, first] = primaries_.try_emplace(epoch, who);
  if (!first && known->second != who)
    violation("epoch " + std::to_string(epoch) + " has two primaries: " + name(known->second) + " and " + name(who));
}

void checks::acknowledged(const store::log_position& at, std::size_t copies, std::size_t min_isr) {
  note(at.index);
  if (copies < min_isr)
    violation("the write at " + name(at) + " was acknowledged with " + std::to_string(copies) + " durable copies");
}

void checks::watched(store::table of, const std::string& prefix, store::revision seen,
                     const store::watch_record& record) {
  note(record.at);
  if (!matches(record.at, of, prefix) || changes_[record.at].key != record.entry.key ||
      changes_[record.at].put != (record.what == store::watch_record::kind::put))
    return violation("a watcher was told of revision " + std::to_string(record.at) + ", which never was so");
  for (auto missed = seen + 1; missed < record.at; ++missed)
    if (matches(missed, of, prefix))
      return violation("a watcher missed revision " + std::to_string(missed) + ", it got " + std::to_string(record.at) +
                       " after " + std::to_string(seen));
}

void checks::snapshot(store::table of, const std::string& prefix, store::revision at,
                      const std::map<std::string, store::revision>& versions) {
  std::map<std::string, store::revision> expected;
  for (store::revision i = 1; i <= at && i < changes_.size(); ++i) {
    if (!matches(i, of, prefix))
      continue;
    if (changes_[i].put)
      expected[changes_[i].key] = i;
    else
      expected.erase(changes_[i].key);
  }
  if (expected != versions)
    violation("a watcher's snapshot at revision " + std::to_string(at) + " is not the state at it");
}

} // namespace glocal::sim
