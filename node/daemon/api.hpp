#pragma once
// The resources of a node's HTTP API, /api/v1: status, actors, counters, flows, paths.

#include "node/daemon/http_api.hpp"
#include "node/daemon/status.hpp"
#include "node/daemon/store_view.hpp"
#include "runtime/transport.hpp"

#include <caf/actor_system.hpp>

namespace glocal::node {

/// Where store_view is registered.
inline constexpr std::string_view store_view_name = "api/store";

/// REQUIRES: `system` and what `sources` refers to outlive the handlers; store_view is registered.
[[nodiscard]] std::map<std::string, http_api::handler>
api_handlers(caf::actor_system& system, runtime::transport transport, status_sources sources);

} // namespace glocal::node
