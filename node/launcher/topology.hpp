#pragma once
// A cluster file's topology as commands: which namespaces, links, addresses and routes a sandbox gets.
//
//   root of the sandbox: bridge `mgmt`, one port per node
//   one namespace per node:   mgmt0 (kernel) · underlay0, attach0... (data plane: no address, no ARP, offloads off)
//   one namespace per router: forwards between its ports, static routes by shortest path
//   one namespace per host:   eth0 with its addresses, default route at the attachment's gateway
//
// Pure: planning touches nothing, so a plan can be looked at and tested anywhere.

#include "node/config.hpp"

#include <string>
#include <vector>

namespace glocal::node {

struct topology_step {
  /// For progress lines.
  std::string what;
  /// Namespace to run in, "" for the sandbox's own.
  std::string network_namespace;
  std::vector<std::string> argv;
  std::string input;
};

/// Commands in order; run in a fresh sandbox, each must succeed.
[[nodiscard]] std::vector<topology_step> plan_topology(const cluster_config& config);

} // namespace glocal::node
