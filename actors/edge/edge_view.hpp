#pragma once
// One edge's view of the global state, translated into what its switch is told: rules, EID routes, path programs.
//
// Pure functions over values; the switch agent keeps the values current from its watches and submits the results.

#include "actors/model/model.hpp"
#include "dataplane/switch/eid_table.hpp"
#include "dataplane/switch/path_program.hpp"
#include "dataplane/switch/southbound.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::actors {

/// A service and the cookie of its rules. Their action is dataplane::rule_action.
struct service_rules {
  std::uint64_t cookie = 0;
  model::service service;
};

/// Every match of every service and, after all of them at equal priority, its mirror marked *reply*: a packet that
/// begins a flow of one service may look like a reply of another, and then the beginning wins.
[[nodiscard]] std::vector<dataplane::rule> compile_rules(const std::vector<service_rules>& services);

/// An attachment as the compiler needs it.
struct attachment_view {
  dataplane::port_id port = dataplane::no_port;
  model::tenant_id tenant = 0;
  std::vector<ip_prefix> prefixes;
};

/// Routes to all mapped EIDs. What is attached here is local whatever the store says. No route has what is mapped to
/// this node but not attached (left by an earlier configuration), or mapped to something that is no unicast RLOC.
[[nodiscard]] std::vector<dataplane::eid_route> compile_routes(const std::vector<model::eid_mapping>& mappings,
                                                               const std::vector<attachment_view>& attachments,
                                                               const std::string& node);

struct arm_ports {
  dataplane::port_id in = dataplane::no_port, out = dataplane::no_port;
};

/// The instance of a path that can't be placed.
struct unresolved_instance {
  std::string name;
};

/// @param instances known locations by instance name. @param local this node's running instances.
[[nodiscard]] expected<dataplane::path_program, unresolved_instance>
compile_path(const model::service_path& path, const std::map<std::string, model::vnf_instance>& instances,
             const std::map<std::string, arm_ports>& local, const std::string& node);

} // namespace glocal::actors
