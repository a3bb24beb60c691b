#pragma once
// The ports an edge has from its cluster file: underlay and attachments. Arms of VNF instances come at run time.

#include "actors/edge/edge_view.hpp"
#include "dataplane/switch/port_config.hpp"
#include "node/config.hpp"

#include <vector>

namespace glocal::node {

struct edge_ports {
  std::vector<dataplane::port_config> ports;
  std::vector<actors::attachment_view> attachments;
  /// Ids from here on are the VNF host's to give.
  dataplane::port_id first_free = 0;
};

/// REQUIRES: `self` is an edge of `config`.
[[nodiscard]] edge_ports edge_ports_of(const cluster_config& config, const node_config& self);

/// Of all that the numbers of a flow file refer to (dataplane/switch/flow_file.hpp): equal for equal ports.
[[nodiscard]] std::uint64_t fingerprint_of(const edge_ports& ports);

} // namespace glocal::node
