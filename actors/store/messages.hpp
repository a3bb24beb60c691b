#pragma once
// What actors of one node say to each other about the store: callers to store_client, and store_node to its shards,
// their disks and their register. Values; never sent between nodes (that is store/codec.hpp).

#include "store/codec.hpp"
#include "store/engine.hpp"
#include "store/placement.hpp"
#include "store/replica_events.hpp"
#include "store/types.hpp"

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace glocal::actors::store_messages {

// Caller to store_client: requests, each answered before its time is over.

struct execute {
  store::batch operations;
  std::chrono::milliseconds within{};
}; // → executed
struct executed {
  store::batch_reply reply;
};
struct scan {
  store::table from{};
  std::string prefix, continuation;
  std::size_t limit = 0;
  std::chrono::milliseconds within{};
}; // → scanned
struct scanned {
  expected<store::scan_page, store::store_error> reply;
};
struct lease {
  store::lease_id id = 0;
  std::chrono::milliseconds ttl{};
  store::lease_action action = store::lease_action::grant;
  std::chrono::milliseconds within{};
}; // → leased
struct leased {
  store::lease_reply reply;
};

// Watches: opened and closed by the watcher, who is sent deliveries until then.

struct watch_open {
  store::watch_id id = 0;
  store::table of{};
  std::string prefix;
  /// What the watcher has seen before; empty: nothing. A slot that no longer has what followed tells it `compacted`.
  std::vector<store::slot_revision> from{};
  /// The only slot that can have such keys.
  std::optional<store::slot_id> only{};
};
struct watch_close {
  caf::actor_id watcher = 0;
  store::watch_id id = 0;
};
struct watch_delivery {
  store::watch_id id = 0;
  std::vector<store::watch_event> events;
};

// Store_node to its shards and back.

struct shard_input {
  std::vector<store::replica_event> events;
};
/// What events led to; everything but what goes straight to the disks and the register.
struct shard_output {
  store::slot_id slot = 0;
  std::vector<store::replica_action> actions;
  std::size_t keys = 0;
  /// serving: primary, and ready; current: good enough to watch; whole: primary, and all that should hold it do.
  bool serving = false, current = false, whole = false;
  /// Why the replica is out; empty while it is not.
  std::string failure;
  /// What the register says, when that is news.
  std::optional<store::register_value> view;
};

/// To a node, of a slot it is primary of: all of it at one moment, with everything acknowledged before it was asked.
/// To a shard: what it has. → slot_snapshot
struct snapshot_slot {
  store::slot_id slot = 0;
};
struct slot_snapshot {
  /// Null: the node is not the slot's primary, or can't prove it.
  std::shared_ptr<const store::snapshot> state;
};

// Placement: placement_actor and its store_node.

/// What the cluster has decided; null: nothing yet, so that the ring holds.
struct placed {
  std::shared_ptr<const store::placement> where;
};
struct views_request {
  /// These are read again; of the others what was heard last will do.
  std::vector<store::slot_id> fresh;
}; // → views_known
/// By slot; none: not heard of since the node started. Version 0: nobody has it yet.
struct views_known {
  std::vector<std::optional<store::register_value>> views;
};

// To placement_actor, from whoever steers the cluster. Both are answered when it is decided, not when it is done.

struct drain_request {
  store::node_name node;
  bool undo = false;
}; // → steered
struct rebalance_request {
  /// Says what would move, and decides nothing.
  bool dry_run = false;
}; // → steered
struct steered {
  enum class kind : std::uint8_t { done, unknown_node, too_few_nodes, unavailable };
  kind what = kind::done;
  /// For people, unless it is done.
  std::string why;
  /// Slots that have to move now.
  std::vector<store::planned_move> moves;
};

// Disks: the log and the engine behind it. Both tell a shard `disk_failed` when they can't go on.

struct load_slots {
  /// That should be here; what else the disk has is loaded too.
  std::vector<store::slot_id> slots;
}; // → loaded_slots, or an error whose text is for the operator
struct loaded_slots {
  std::map<store::slot_id, store::recovered_slot> slots;
  std::uint64_t incarnation = 0;
};
struct log_append {
  store::slot_id slot = 0;
  std::uint64_t write = 0;
  store::log_index last = 0;
  bytes payload;
}; // → log_written, when it and what the shard sent before survives a loss of power
struct log_written {
  std::uint64_t write = 0;
};
/// The log up to `index` is needed no more.
struct log_release {
  store::slot_id slot = 0;
  store::log_index index = 0;
};
struct engine_apply {
  std::vector<store::slot_write> writes;
  std::size_t size_bytes = 0;
};
struct engine_install {
  store::slot_id slot = 0;
  std::uint64_t write = 0;
  std::shared_ptr<const store::snapshot> state;
}; // → engine_installed, when it survives a loss of power
struct engine_installed {
  std::uint64_t write = 0;
  store::log_position at;
};
/// To each shard that had something applied: up to here it survives without the log.
struct engine_flushed {
  store::log_index index = 0;
};
struct disk_failed {
  std::string why;
};

// Register.

struct register_read {
  store::slot_id slot = 0;
}; // → register_answer
struct register_answer {
  store::slot_id slot = 0;
  std::optional<store::register_value> value;
};
struct register_set {
  store::slot_id slot = 0;
  std::uint64_t expected = 0;
  store::slot_view wanted;
}; // → register_outcome
struct register_outcome {
  store::set_outcome what;
};
/// To the node: somebody changed it.
struct register_changed {
  store::slot_id slot = 0;
  store::register_value value;
};

/// An actor's message to itself: do this later.
struct run {
  std::function<void()> what;
};

} // namespace glocal::actors::store_messages

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::execute)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::executed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::scan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::scanned)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::lease)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::leased)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::watch_open)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::watch_close)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::watch_delivery)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::shard_input)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::shard_output)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::snapshot_slot)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::slot_snapshot)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::placed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::views_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::views_known)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::drain_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::rebalance_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::steered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::load_slots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::loaded_slots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::log_append)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::log_written)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::log_release)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::engine_apply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::engine_install)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::engine_installed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::engine_flushed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::disk_failed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::register_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::register_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::register_set)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::register_outcome)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::register_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::run)
