#pragma once
// The vocabulary of the store: tables, entries, operations and their results.
//
// Keys and values are byte strings; what is in them is their owner's business (actors/model). Values copy; nothing
// here is thread-aware. Consistency per table: DESIGN section 3.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace glocal::store {

/// The tables of the global state. The numbers are part of the wire and disk formats.
enum class table : std::uint8_t {
  catalogue = 1,
  instances = 2,
  flows = 3,
  paths = 4,
  status = 5,
  digests = 6,
  links = 7,
  mappings = 8,
  subscriptions = 9,
  user = 10,      ///< rows of programs outside; glocal itself reads and writes none
  placement = 11, ///< the store's own: where its slots are
};
inline constexpr table all_tables[] = {table::catalogue,     table::instances, table::flows,    table::paths,
                                       table::status,        table::digests,   table::links,    table::mappings,
                                       table::subscriptions, table::user,      table::placement};
inline constexpr table last_table = table::placement;
[[nodiscard]] std::string_view name(table value) noexcept;
[[nodiscard]] std::optional<table> parse_table(std::string_view name) noexcept;

/// Tables whose writes are acknowledged before they are on disk: their values are republished every second anyway, so
/// a crash costs nothing that a second does not heal.
[[nodiscard]] constexpr bool is_volatile(table value) noexcept {
  return value == table::status || value == table::links;
}

/// Tables whose entries nobody overwrites while they are leased: what is there may be told by any replica, and who lost
/// a put-if-absent has lost it for good.
[[nodiscard]] constexpr bool is_write_once(table value) noexcept {
  return value == table::flows;
}

using slot_id = std::uint16_t;
/// Position in a slot's history of changes (its commit index). Grows for ever, also across restarts.
using revision = std::uint64_t;
/// A lease's name, chosen by its owner, unique among all owners; 0 means no lease.
using lease_id = std::uint64_t;
using node_name = std::string;
/// Monotonic time as the caller's clock has it; nothing in this folder reads a clock.
using timestamp = std::chrono::steady_clock::time_point;

/// One row. `version` is the slot's revision at its last change: it names the value in compare-and-set.
struct entry {
  glocal::store::table table = table::catalogue;
  std::string key, value;
  revision version = 0;
  lease_id lease = 0;

  bool operator==(const entry&) const = default;
};

/// Reads one key.
struct get_op {
  glocal::store::table table{};
  std::string key;

  bool operator==(const get_op&) const = default;
};
/// Writes whatever is there. Hangs on `lease` unless that is 0.
struct put_op {
  glocal::store::table table{};
  std::string key, value;
  lease_id lease = 0;

  bool operator==(const put_op&) const = default;
};
/// Writes when nothing is there; else answers conflict with what is.
struct put_if_absent_op {
  glocal::store::table table{};
  std::string key, value;
  lease_id lease = 0;

  bool operator==(const put_if_absent_op&) const = default;
};
/// Writes when the entry's version is `expected` (0: there is none); else answers conflict with what is.
struct compare_and_set_op {
  glocal::store::table table{};
  std::string key, value;
  revision expected = 0;
  lease_id lease = 0;

  bool operator==(const compare_and_set_op&) const = default;
};
/// Removes the key; with `expected`, only when the entry has that version.
struct erase_op {
  glocal::store::table table{};
  std::string key;
  std::optional<revision> expected{};

  bool operator==(const erase_op&) const = default;
};

using operation = std::variant<get_op, put_op, put_if_absent_op, compare_and_set_op, erase_op>;
/// Operations that travel together. Those on one slot happen in their order and reach the disk together; there is no
/// transaction: each succeeds or conflicts by itself.
using batch = std::vector<operation>;

[[nodiscard]] table table_of(const operation& op) noexcept;
[[nodiscard]] const std::string& key_of(const operation& op) noexcept;
/// The lease the operation would hang its entry on; 0 for none.
[[nodiscard]] lease_id lease_of(const operation& op) noexcept;
/// Bytes of key and value.
[[nodiscard]] std::size_t payload_bytes(const operation& op) noexcept;
[[nodiscard]] inline std::size_t payload_bytes(const entry& row) noexcept {
  return row.key.size() + row.value.size();
}

/// What became of one operation.
enum class op_code : std::uint8_t {
  ok = 0,            ///< done; `found` is the entry read or written (none for erase)
  conflict = 1,      ///< the condition did not hold; `found` is what is there, none when nothing is
  not_found = 2,     ///< get or erase of a key that is not there
  no_such_lease = 3, ///< nothing was written: grant the lease (again) first
};
struct op_result {
  op_code code = op_code::ok;
  std::optional<entry> found{};

  bool operator==(const op_result&) const = default;
  [[nodiscard]] bool ok() const noexcept { return code == op_code::ok; }
};

/// Why a request has no result. The numbers are part of the wire format; 0 is "no error" there.
enum class store_error : std::uint8_t {
  unavailable = 1,   ///< a node that holds the slot is gone: nothing was promised, retry later
  timeout = 2,       ///< no answer in time: the outcome is unknown, a retry is safe
  too_large = 3,     ///< a limit below is exceeded
  no_such_lease = 4, ///< expired or never granted: what hung on it is gone or going
  compacted = 5,     ///< the history asked for is no longer held: take a snapshot
  invalid = 6,       ///< malformed request or reply
  overloaded = 7,    ///< a bounded queue is full: slow down
};
[[nodiscard]] std::string_view name(store_error value) noexcept;

/// One page of a scan. Order: by slot, then by key; not by key alone.
struct scan_page {
  std::vector<entry> entries;
  /// Give it back for the next page; empty when this was the last.
  std::string continuation;

  bool operator==(const scan_page&) const = default;
};

/// How far a slot's changes are known.
struct slot_revision {
  slot_id slot = 0;
  revision at = 0;

  bool operator==(const slot_revision&) const = default;
};

using watch_id = std::uint64_t;
/// What a watcher sees. `put` and `erase` alone keep a copy of the watched entries right; the others say how right.
struct watch_event {
  enum class kind : std::uint8_t {
    put,       ///< `entry` is there now
    erase,     ///< `entry.table`, `entry.key` is gone
    live,      ///< everything up to now has been delivered and the stream runs: after the snapshot, and after a resync
    suspect,   ///< the stream is silent or its node is gone: what was delivered may be stale; `live` will end it
    resync,    ///< changes were missed; what follows up to `live` repairs the copy (keys that are gone come as erase)
    compacted, ///< of a watch that began at given revisions: `slot` no longer has what followed; begin without them
  };
  kind what = kind::put;
  glocal::store::entry entry{};
  /// Of put, erase and compacted: the entry's slot, and the revision of the change there.
  slot_id slot = 0;
  revision at = 0;
  /// Of live: how far every watched slot has been delivered.
  std::vector<slot_revision> positions{};

  bool operator==(const watch_event&) const = default;
};

/// Counters of a store node or client, for status; sums over all slots.
struct store_counters {
  std::uint64_t gets = 0, puts = 0, puts_if_absent = 0, compare_and_sets = 0, erases = 0, scans = 0;
  std::uint64_t conflicts = 0, leases_expired = 0;

  bool operator==(const store_counters&) const = default;
  store_counters& operator+=(const store_counters& other) noexcept;
};

namespace limits {
/// 42 bytes is the longest key of the model; a kilobyte leaves room for names chosen by operators.
inline constexpr std::size_t key_bytes = 1024;
/// A digest of 64 candidates is about 8 KiB.
inline constexpr std::size_t value_bytes = std::size_t{256} << 10;
/// A burst of flow set-ups from one edge fits; more is split by the caller.
inline constexpr std::size_t batch_operations = 4096;
/// With 64 B of framing per operation a full batch still fits the 1 MiB body of a frame.
inline constexpr std::size_t batch_bytes = std::size_t{512} << 10;
inline constexpr std::size_t scan_page_entries = 1000;
/// A page ends at this size even when fewer entries than asked for are in it; one value more still fits a frame.
inline constexpr std::size_t scan_page_bytes = std::size_t{512} << 10;
inline constexpr std::chrono::milliseconds shortest_ttl{1000};
inline constexpr std::chrono::milliseconds longest_ttl{24 * 3600 * 1000};
inline constexpr std::size_t slots = 4096;
/// Of a node, as in the cluster file.
inline constexpr std::size_t node_name_bytes = 255;
} // namespace limits

/// None when the operation is within the limits.
[[nodiscard]] std::optional<store_error> check(const operation& op) noexcept;
/// None when every operation and their sum are within the limits.
[[nodiscard]] std::optional<store_error> check(const batch& operations) noexcept;

} // namespace glocal::store
