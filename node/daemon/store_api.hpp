#pragma once
// The store for programs that speak HTTP and JSON: /api/v1/store/… (docs/store-api.md). Any node serves all of it; it
// reaches the slots through this node's store client, as the node's own actors do.

#include "node/daemon/http_api.hpp"
#include "runtime/transport.hpp"
#include "store/types.hpp"

#include <caf/actor_system.hpp>

namespace glocal::node {

/// Adds the routes. REQUIRES: `system` outlives the handlers; store_watches is registered.
void add_store_api(api_handlers& to, caf::actor_system& system, runtime::transport transport,
                   store::slot_id slot_count);

} // namespace glocal::node
