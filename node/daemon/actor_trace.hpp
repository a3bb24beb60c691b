#pragma once
// The API of live traces of actors (runtime/tracer.hpp). A reader starts a trace on each node it is interested in,
// reads each every 100 ms or so, and stops it; one that just goes away is noticed by the node. All bodies are JSON.
//
//   POST actors/trace {"match": "edge/*", "count": 100, "seconds": 10} → {"id", "actors", "count", "seconds"}: what was
//     asked for, within limits. 404: no actor has such a name or kind; 429: as many traces run as may.
//   POST actors/trace/read {"id"} → {"messages": [...], "dropped", "end"}: end is "count" or "time" on the last page.
//     404: that trace is over, and was read to its end.
//   POST actors/trace/stop {"id"}
//
// Threading: any thread.

#include "node/daemon/http_api.hpp"
#include "runtime/observatory.hpp"

#include <nlohmann/json_fwd.hpp>

namespace glocal::node {

/// Each throws api_refusal for what is wrong with `body`.
[[nodiscard]] nlohmann::json start_actor_trace(runtime::observatory& actors, const nlohmann::json& body);
[[nodiscard]] nlohmann::json read_actor_trace(runtime::observatory& actors, const nlohmann::json& body);
[[nodiscard]] nlohmann::json stop_actor_trace(runtime::observatory& actors, const nlohmann::json& body);

} // namespace glocal::node
