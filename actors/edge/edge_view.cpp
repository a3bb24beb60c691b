#include "actors/edge/edge_view.hpp"

#include <algorithm>
#include <set>

namespace glocal::actors {

using namespace dataplane;

std::vector<rule> compile_rules(const std::vector<service_rules>& services) {
  std::vector<rule> rules;
  const auto add = [&](rule_action meaning) {
    for (const auto& [cookie, service] : services)
      for (const auto& match : service.matches)
        rules.push_back({meaning == rule_action::decide ? match : match.mirrored(), service.priority, cookie,
                         static_cast<std::uint32_t>(meaning)});
  };
  // Rules of equal priority are tried in list order (dataplane/classify/rule.hpp).
  add(rule_action::decide);
  add(rule_action::reply);
  return rules;
}

std::vector<eid_route> compile_routes(const std::vector<model::eid_mapping>& mappings,
                                      const std::vector<attachment_view>& attachments, const std::string& node) {
  std::vector<eid_route> routes;
  std::set<std::pair<model::tenant_id, ip_prefix>> known;
  for (const auto& attachment : attachments)
    for (const auto& prefix : attachment.prefixes) {
      routes.push_back({attachment.tenant, prefix, attachment.port, {}});
      known.emplace(attachment.tenant, prefix);
    }
  for (const auto& mapping : mappings) {
    const bool is_reachable = !mapping.rloc.is_unspecified() && !mapping.rloc.is_multicast();
    // A site's registrations that are merged have one EID: traffic goes to the first of them.
    if (mapping.node != node && is_reachable && known.emplace(mapping.tenant, mapping.eid).second)
      routes.push_back({mapping.tenant, mapping.eid, no_port, mapping.rloc});
  }
  return routes;
}

expected<path_program, unresolved_instance> compile_path(const model::service_path& path,
                                                         const std::map<std::string, model::vnf_instance>& instances,
                                                         const std::map<std::string, arm_ports>& local,
                                                         const std::string& node) {
  path_program program{path.id, {}};
  for (const auto& name : path.instances) {
    const auto where = instances.find(name);
    if (where == instances.end())
      return unexpected{unresolved_instance{name}};
    path_hop hop;
    if (where->second.node == node) {
      const auto arms = local.find(name);
      if (arms == local.end())
        return unexpected{unresolved_instance{name}};
      hop.local = true;
      hop.in_arm = arms->second.in;
      hop.out_arm = arms->second.out;
    } else {
      hop.rloc = where->second.rloc;
    }
    program.hops.push_back(hop);
  }
  return program;
}

} // namespace glocal::actors
