#pragma once
// The actors of one edge, as its cluster file wants them: the same on a running node and in a replay.

#include "actors/edge/path_accounts.hpp"
#include "actors/edge/trace_book.hpp"
#include "actors/edge/vnf_driver.hpp"
#include "dataplane/switch/southbound.hpp"
#include "dataplane/switch/switch_config.hpp"
#include "node/edge_ports.hpp"
#include "runtime/directory.hpp"
#include "runtime/supervisor.hpp"
#include "store/types.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace glocal::node {

struct edge_surroundings {
  /// Both outlive the actors, as does `fast_path`.
  const cluster_config& config;
  const node_config& self;
  dataplane::southbound& fast_path;
  edge_ports ports;
  std::shared_ptr<actors::vnf_driver> driver;
  /// All that the edge publishes hangs on it.
  store::lease_id lease = 0;
  /// The node's store client, asked for when an actor is made: it may have been restarted.
  std::function<caf::actor()> client;
  std::shared_ptr<runtime::directory> directory;
  std::shared_ptr<actors::trace_book> traces;
  std::shared_ptr<actors::path_accounts> accounts = std::make_shared<actors::path_accounts>();
  /// Off where nothing blocks and time is virtual.
  bool detached_driver = true;
};

/// Children for the supervisor "edge/NAME", in the order of their start.
[[nodiscard]] std::vector<runtime::child_spec> edge_children(edge_surroundings in);

/// Bounds and clocks of the edge's switch.
[[nodiscard]] dataplane::switch_config switch_tables_of(const cluster_config& config) noexcept;

} // namespace glocal::node
