#pragma once
// What actors of one node say to each other about the store: callers to store_client, and store_node to its shards and
// its disk. Values; never sent between nodes (that is store/codec.hpp).

#include "store/codec.hpp"
#include "store/engine.hpp"
#include "store/slot_state.hpp"
#include "store/types.hpp"

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <functional>
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
  store::slot_event event;
};
/// What one event led to; everything but the writes, which go straight to the disk.
struct shard_output {
  store::slot_id slot = 0;
  std::vector<store::slot_action> actions;
  std::size_t keys = 0;
  bool failed = false;
};

// Disk.

struct load_slots {
  std::vector<store::slot_id> slots;
}; // → loaded_slots, or an error whose text is for the operator
struct loaded_slots {
  std::vector<store::slot_image> images;
};
struct persist {
  store::slot_write write;
  bool sync = true;
}; // → persisted or persist_failed; without `sync` nothing unless it fails
struct persisted {
  store::revision index = 0;
};
struct persist_failed {
  std::string why;
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
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::load_slots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::loaded_slots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::persist)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::persisted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::persist_failed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::store_messages::run)
