#pragma once
// A node's cache of reads: entries that reads of the store found, kept true by watches of their tables.
//
// What find() gives, its key had at some revision that is no older than
//   - what the table's watch has delivered, while the watch is live: suspect tables give nothing,
//   - any write through this cache that was answered, and any read through it that was.
// Only reads fill it, so a table's watch may deliver more than there is room for, and an erased key needs no tombstone:
// a late record of what it was finds nothing to correct. A read that was under way while its key changed does not fill.
// Bounded by entries and bytes; the least recently used goes first.
// Pure value without a clock: how long a watch may be silent before it is suspect is for whoever opens it.

#include "store/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace glocal::store {

/// Tables whose readers act on what a watch would have told them anyway, and whose writers go by versions. Not `flows`
/// (only the primary may say that there is none, and nobody watches it), `status` (too many rows for every edge to
/// hear of), `subscriptions`, `placement`, and `user` (its reads were promised to be linearizable).
[[nodiscard]] constexpr bool may_be_cached(table value) noexcept {
  return value == table::catalogue || value == table::instances || value == table::paths || value == table::digests ||
         value == table::links || value == table::mappings;
}

struct cache_options {
  /// 0: no cache.
  std::size_t entries = 65'536;
  /// Of keys, values and what an entry costs besides.
  std::size_t bytes = std::size_t{16} << 20;
};

class read_cache {
public:
  struct counters {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    /// Reads that went to the store because the table's watch was not live.
    std::uint64_t suspect = 0;
  };
  /// A read under way.
  using read_id = std::uint64_t;

  explicit read_cache(const cache_options& options) : options_{options} {}

  /// What is there; null: ask the store. Valid until the next call. REQUIRES here and below: the table may be cached.
  [[nodiscard]] const entry* find(table in, std::string_view key);
  /// Before a read is sent to the store, and with its result; none when it failed.
  [[nodiscard]] read_id begin_read(table in, const std::string& key);
  void end_read(read_id id, const op_result* result);
  /// The same of a write; in between, its key is not found, so that a caller's read does not overtake its write.
  void begin_write(const operation& op);
  void end_write(const operation& op, const op_result* result);
  /// After a lease was revoked: what hung on it is not known, as entries here may be older than their keys' last write.
  void forget_all();
  /// What the watch of the whole table says.
  void follow(table of, const watch_event& event);

  [[nodiscard]] const counters& count(table of) const noexcept { return at(of).count; }
  [[nodiscard]] bool is_live(table of) const noexcept { return at(of).live; }
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t evictions() const noexcept { return evictions_; }
  /// What an entry counts for.
  [[nodiscard]] static std::size_t cost(const entry& row) noexcept;

private:
  using rows = std::list<entry>; // the most recently used in front
  struct pending_read {
    table in{};
    std::string key;
    /// The latest change of the key that was heard of meanwhile.
    revision newest = 0;
    /// The key may have changed unheard.
    bool spoiled = false;
  };
  struct one_table {
    /// Keys are those of the rows.
    std::unordered_map<std::string_view, rows::iterator> index;
    std::unordered_multimap<std::string, read_id> reads;
    /// Writes under way.
    std::unordered_map<std::string, std::size_t> writes;
    bool live = false;
    counters count;
  };

  [[nodiscard]] one_table& at(table of) noexcept { return tables_[static_cast<std::size_t>(of)]; }
  [[nodiscard]] const one_table& at(table of) const noexcept { return tables_[static_cast<std::size_t>(of)]; }
  /// A read or write found `row`: what is known of its key becomes no older than that.
  void learn(const entry& row);
  /// Nothing is known of the key, also not by reads that are under way.
  void forget(table in, const std::string& key);
  void insert(const entry& row);
  void erase(rows::iterator row);
  void drop(table of);

  const cache_options options_;
  std::array<one_table, static_cast<std::size_t>(last_table) + 1> tables_;
  rows rows_;
  std::size_t bytes_ = 0;
  std::unordered_map<read_id, pending_read> reads_;
  read_id next_read_ = 1;
  std::uint64_t evictions_ = 0;
};

} // namespace glocal::store
