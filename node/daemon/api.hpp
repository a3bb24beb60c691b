#pragma once
// The resources of a node's HTTP API. GET /api/v1/: status, actors, deadletters, counters, flows, paths, log. POST:
//   actors/kill {"name": actor}  it ends as if it had failed, and its supervisor starts it again
//   actors/trace, actors/trace/read, actors/trace/stop: the messages some actors handle, live (actor_trace.hpp)
//   log {"level": name}          the level of the node's log from now on
//   store/…                     the global state: store_api.hpp
// GET /metrics: Prometheus text (metrics.hpp).

#include "node/daemon/http_api.hpp"
#include "node/daemon/status.hpp"
#include "node/daemon/store_view.hpp"
#include "runtime/transport.hpp"

#include <caf/actor_system.hpp>

namespace glocal::node {

/// Where store_view is registered.
inline constexpr std::string_view store_view_name = "api/store";

/// REQUIRES: `system` and what `sources` refers to outlive the handlers; store_view and store_watches are registered.
/// @param slot_count of the store.
[[nodiscard]] api_handlers make_api(caf::actor_system& system, runtime::transport transport, status_sources sources,
                                    store::slot_id slot_count);

} // namespace glocal::node
