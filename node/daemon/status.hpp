#pragma once
// What a node says about itself as JSON: the body of GET /api/v1/status, /actors, /counters and /deadletters.
//
// Everything comes from what the actors and the lcore already count (runtime/observatory.hpp,
// dataplane/switch/counters.hpp): nothing is computed twice, and asking costs the packet path nothing.
// Threading: any thread.

#include "actors/edge/path_accounts.hpp"
#include "actors/store/slot_meters.hpp"
#include "dataplane/switch/counters.hpp"
#include "node/config.hpp"
#include "runtime/observatory.hpp"
#include "runtime/transport.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

/// A port of the edge, for naming its counters.
struct named_port {
  dataplane::port_id id = dataplane::no_port;
  std::string name, kind;
};

struct status_sources {
  const node_config& self;
  const runtime::observatory& actors;
  std::chrono::steady_clock::time_point started;
  /// Null on nodes that are no edge.
  const dataplane::counters* counters = nullptr;
  std::vector<named_port> ports;
  /// Of the exact-match table.
  std::size_t flow_capacity = 0;
  /// What counters->paths are called; null where counters is.
  std::shared_ptr<const actors::path_accounts> paths{};
  /// Null on nodes that are no store.
  std::shared_ptr<const actors::slot_meters> slots{};
  /// What and where the store's register is, for people; of store nodes.
  std::string store_register{};
  /// That is where the whole store is.
  bool store_is_etcd = false;
};

/// Living actors, their state summaries renewed. Waits at most `patience` for actors that are busy.
[[nodiscard]] std::vector<runtime::actor_record> fresh_records(const runtime::observatory& actors,
                                                               std::chrono::milliseconds patience);

/// Whether a state entry's key says that its value is not for others: no actor should have one, and none is shown.
[[nodiscard]] bool names_a_secret(std::string_view key);

/// The actor's own word for `key` in its state summary; empty when it has none.
[[nodiscard]] std::string state_of(const runtime::actor_record& actor, std::string_view key);
/// The same as a number; 0 when it is none.
[[nodiscard]] std::uint64_t number_of(const runtime::actor_record& actor, std::string_view key);
[[nodiscard]] std::vector<const runtime::actor_record*> of_kind(const std::vector<runtime::actor_record>& records,
                                                                std::string_view kind);

/// @param peers of the router; shown by name.
[[nodiscard]] nlohmann::json node_status(const status_sources& sources,
                                         const std::vector<runtime::actor_record>& records,
                                         const runtime::transport_stats& peers);

struct actors_wanted {
  /// Only those; all when there is none.
  std::optional<std::string> name{};
  /// The whole of their summaries, not only what `state_brief` says.
  bool with_state = true;
};
/// JSON as text: a node may have 10,000 actors, and a tree of values would take longer than to ask all of them.
[[nodiscard]] std::string actors_text(const std::vector<runtime::actor_record>& records,
                                      const actors_wanted& which = {});
[[nodiscard]] nlohmann::json dead_letters_json(const runtime::letter_counts& letters);
[[nodiscard]] nlohmann::json counters_json(const status_sources& sources);

} // namespace glocal::node
