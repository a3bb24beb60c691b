#pragma once
// Watches of the store on their way to clients of the HTTP API: takes what the store client delivers and writes it as
// server-sent events (docs/store-api.md). One for a node; register it under store_watches_name.
//
// An event has an id where a client that comes again could go on: behind `live`, and then at most once a second, or
// with every change where one key is watched. None between `resync` and `live`, when rows come in no order of
// revisions.

#include "node/daemon/event_streams.hpp"
#include "node/daemon/store_requests.hpp"
#include "runtime/observed.hpp"
#include "store/hash_ring.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <map>
#include <memory>
#include <string_view>

namespace glocal::node {

inline constexpr std::string_view store_watches_name = "api/watches";

/// To it: write `what` to `stream`.
struct start_watch {
  store_watch what;
  std::shared_ptr<event_stream> stream;
};
/// To it: the stream is over.
struct end_watch {
  std::uint64_t stream = 0;
};

class store_watches final : public runtime::observed_actor {
public:
  /// @param client this node's store_client.
  store_watches(caf::actor_config& config, caf::actor client, store::slot_id slot_count);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Ends the streams: their clients come again.
  void on_exit() override;

private:
  struct watch {
    store_watch what;
    std::shared_ptr<event_stream> stream;
    /// By slot; what is delivered in the order of revisions.
    std::map<store::slot_id, store::revision> positions;
    /// Rows come in that order; and the client has not been given the newest position.
    bool ordered = false, moved = false;
  };

  void start(start_watch& request);
  void deliver(store::watch_id id, const std::vector<store::watch_event>& events);
  [[nodiscard]] std::string token_of(const watch& of) const;
  void end(store::watch_id id);
  void on_tick();
  void arm_tick();

  caf::actor client_;
  const store::slot_id slot_count_;
  std::map<store::watch_id, watch> watches_;
  store::watch_id next_ = 1;
  std::uint64_t events_ = 0, too_slow_ = 0, compacted_ = 0;
  bool tick_armed_ = false;
};

} // namespace glocal::node

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::node::start_watch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::node::end_watch)
