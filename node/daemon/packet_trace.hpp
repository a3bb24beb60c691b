#pragma once
// The part of a node's API behind `glocal trace` (docs/trace.md), all POST:
//   trace/start    {"match", "both_directions", "tenant", "port", "count", "seconds", "drops", "anywhere", "replace"}
//   trace/read     {"session", "after", "most"}: steps since a cursor, and how the session is; keeps it alive
//   trace/stop     {"session"}
//   trace/simulate {"packet", "port", "vlan", "dscp", "ttl", "tcp_flags"}: what would become of a packet
// Every field may be absent. A node that is no edge answers {"edge": false}.
//
// Threading: handlers run on the server's threads.

#include "actors/edge/messages.hpp"
#include "actors/edge/trace_book.hpp"
#include "node/config.hpp"
#include "node/daemon/http_api.hpp"
#include "runtime/directory.hpp"

#include <caf/actor_system.hpp>
#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>

namespace glocal::node {

struct packet_trace_sources {
  const cluster_config& config;
  const node_config& self;
  std::shared_ptr<runtime::directory> directory;
  std::shared_ptr<actors::trace_book> book;
  /// Null on nodes that are no edge.
  const dataplane::counters* counters = nullptr;
};

/// REQUIRES: `system` and what `sources` refers to outlive the handlers.
void add_packet_trace(api_handlers& to, caf::actor_system& system, packet_trace_sources sources);

/// What trace/start asks for. @throws api_refusal 400 that says which field is wrong.
[[nodiscard]] actors::begin_trace parse_begin_trace(const nlohmann::json& body);
/// The same of trace/simulate.
[[nodiscard]] actors::foretell_packet parse_foretell_packet(const nlohmann::json& body);

} // namespace glocal::node
