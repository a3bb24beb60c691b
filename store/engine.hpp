#pragma once
// Where slots keep their committed state between restarts.
//
// Invariant: a batch of mutations is on disk whole or not at all. Threading: one thread at a time per engine, any
// thread (disk_actor owns it). Implementations: memory_engine (tests), rocksdb_engine.

#include "base/expected.hpp"
#include "store/log_position.hpp"
#include "store/types.hpp"

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace glocal::store {

/// A lease some entries of a slot hang on. Its time left is not stored: after a restart it gets all of `ttl` again.
struct lease_record {
  lease_id id = 0;
  std::chrono::milliseconds ttl{};
  /// What granted or last renewed it, where the slot is replicated: an expiry names it, so that one decided before a
  /// renewal can't undo it.
  std::uint64_t version = 0;

  bool operator==(const lease_record&) const = default;
};

struct put_entry {
  glocal::store::entry entry;

  bool operator==(const put_entry&) const = default;
};
struct erase_entry {
  glocal::store::table table{};
  std::string key;

  bool operator==(const erase_entry&) const = default;
};
struct put_lease {
  lease_record lease;

  bool operator==(const put_lease&) const = default;
};
struct erase_lease {
  lease_id id = 0;

  bool operator==(const erase_lease&) const = default;
};
using mutation = std::variant<put_entry, erase_entry, put_lease, erase_lease>;

/// Changes of one slot up to revision `index`, applied together with it and with the position in the slot's log.
struct slot_write {
  slot_id slot = 0;
  revision index = 0;
  std::vector<mutation> mutations;
  log_position at{};
};

/// What a slot starts from.
struct slot_image {
  revision index = 0;
  std::vector<entry> entries;
  std::vector<lease_record> leases;
  /// The last entry of the slot's log that is in it; all zero where the slot has no log.
  log_position at{};
};

/// What an engine directory belongs to; refused when it does not fit.
struct engine_identity {
  std::string cluster;
  slot_id slot_count = 0;

  bool operator==(const engine_identity&) const = default;
};

/// A message for the operator: what happened, where, what to do. The caller can only stop.
struct engine_failure {
  std::string message;
};

class engine {
public:
  virtual ~engine() = default;

  /// Applies all of `writes` atomically; with `sync`, returns when they survive a loss of power.
  [[nodiscard]] virtual expected<void, engine_failure> write(std::span<const slot_write> writes, bool sync) = 0;
  /// Applies all of `writes` atomically, and in the order of calls; a loss of power may take back the last ones. Their
  /// log must be kept until flush() has returned.
  [[nodiscard]] virtual expected<void, engine_failure> apply(std::span<const slot_write> writes) = 0;
  /// Everything applied survives a loss of power when it returns. Cost: writes what was applied since the last one.
  [[nodiscard]] virtual expected<void, engine_failure> flush() = 0;
  /// Puts `image` in the place of all that `slot` holds, atomically; as durable as apply().
  [[nodiscard]] virtual expected<void, engine_failure> replace(slot_id slot, const slot_image& image) = 0;
  /// Which life of this disk it is: another one, and a greater one, whenever the directory was made anew.
  [[nodiscard]] virtual std::uint64_t incarnation() const = 0;
  /// Whether a log was ever begun beside this engine. Once it was, a disk without one has lost it.
  [[nodiscard]] virtual expected<bool, engine_failure> has_log() = 0;
  [[nodiscard]] virtual expected<void, engine_failure> note_log() = 0;
  /// The state of `slot`; an empty image when it never held anything. Cost: O(its entries).
  [[nodiscard]] virtual expected<slot_image, engine_failure> load(slot_id slot) = 0;
  /// Entries of one slot and table with key > `after` (all when empty) and starting with `prefix`, ascending.
  [[nodiscard]] virtual expected<std::vector<entry>, engine_failure>
  scan(slot_id slot, table from, std::string_view prefix, std::string_view after, std::size_t limit) = 0;
};

} // namespace glocal::store
