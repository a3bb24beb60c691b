#pragma once
// The state machine of one slot: rows and leases, and what each operation does to them.
//
// Deterministic: the same operations in the same order give the same state, results and records on every replica. No
// clock: when a lease runs out is its caller's business (slot_state, replica); here it only ends.
//
// Invariants: `index` is the number of changes ever made; a lease is held exactly while an entry hangs on it.

#include "store/slot_events.hpp"

#include <array>
#include <map>
#include <set>
#include <span>
#include <string_view>

namespace glocal::store {

class slot_table {
public:
  /// A lease's first entry came, or its last one went.
  struct lease_change {
    lease_id id = 0;
    bool attached = false;
  };
  /// What operations did, for the disk, the watchers and the keeper of lease times.
  struct changes {
    std::vector<mutation> mutations;
    std::vector<watch_record> records;
    std::vector<lease_change> leases;
    /// Some change is of a table whose writes must be durable before anybody is told.
    bool durable = false;
  };
  using row_map = std::map<std::string, entry, std::less<>>;
  struct held_lease {
    std::chrono::milliseconds ttl{};
    /// Stamp of the operation that granted or last renewed it.
    std::uint64_t version = 0;
    std::set<std::pair<table, std::string>> keys;
  };

  slot_table(slot_id slot, slot_image image);

  /// Does `op`. A lease it names must be held or among `grants`, which also renew it; `stamp` becomes the version of
  /// leases that are attached or renewed. Counts into counters().
  op_result apply(operation op, std::span<const lease_record> grants, std::uint64_t stamp, changes& out);
  /// False when the lease is not held. Takes over `ttl` unless that is 0.
  bool renew(const lease_record& lease, std::uint64_t stamp, changes& out);
  /// Erases all that hangs on it. False when it is not held.
  bool end_lease(lease_id lease, changes& out);

  [[nodiscard]] scan_reply_action scan(const scan_event& event);
  /// None when nothing is there; valid until the next change.
  [[nodiscard]] const entry* find(table in, std::string_view key) const;
  [[nodiscard]] const row_map& rows(table in) const { return tables_[static_cast<std::size_t>(in)]; }
  [[nodiscard]] const std::map<lease_id, held_lease>& leases() const noexcept { return leases_; }
  [[nodiscard]] const held_lease* find_lease(lease_id id) const;
  [[nodiscard]] revision index() const noexcept { return index_; }
  [[nodiscard]] std::size_t entry_count() const noexcept;
  [[nodiscard]] const store_counters& counters() const noexcept { return counters_; }
  void count_expiry() noexcept { ++counters_.leases_expired; }
  /// A copy of everything. Cost: O(entries).
  [[nodiscard]] slot_image image() const;

private:
  template <class Write>
  op_result write(Write& op, std::span<const lease_record> grants, std::uint64_t stamp, changes& out);
  void remove(table from, const std::string& key, changes& out);
  bool attach(lease_id lease, table in, const std::string& key, std::span<const lease_record> grants,
              std::uint64_t stamp, changes& out);
  void detach(lease_id lease, table in, const std::string& key, changes& out);
  row_map& rows_of(table in) { return tables_[static_cast<std::size_t>(in)]; }

  slot_id slot_;
  revision index_;
  std::array<row_map, std::size(all_tables) + 1> tables_;
  std::map<lease_id, held_lease> leases_;
  store_counters counters_;
};

} // namespace glocal::store
