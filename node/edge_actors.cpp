#include "node/edge_actors.hpp"

#include "actors/edge/edge_controller.hpp"
#include "actors/edge/switch_agent.hpp"
#include "actors/edge/vnf_host.hpp"

#include <utility>

namespace glocal::node {

using namespace std::chrono_literals;

namespace {

/// The switch's own bound on holds is this much longer than the decision's, so that the service's policy speaks first.
constexpr auto hold_grace = 500ms;

} // namespace

dataplane::switch_config switch_tables_of(const cluster_config& config) noexcept {
  dataplane::switch_config out;
  out.flows = config.flow.capacity;
  out.idle_timeout = config.flow.idle_timeout;
  out.closed_linger = config.flow.closed_linger;
  out.hold_timeout = config.flow.hold_timeout + hold_grace;
  out.packet_ins_per_port = config.flow.new_flows_per_port;
  out.packet_ins_per_tenant = config.flow.new_flows_per_tenant;
  return out;
}

std::vector<runtime::child_spec> edge_children(edge_surroundings in) {
  const auto here = std::make_shared<const edge_surroundings>(std::move(in));
  const auto& name = here->self.name;
  std::vector<runtime::child_spec> children;
  const auto add = [&](std::string child, std::function<caf::actor(caf::local_actor&, caf::actor)> start) {
    runtime::child_spec spec;
    spec.registered_as = child;
    spec.name = std::move(child);
    spec.start = [start = std::move(start)](caf::local_actor& parent) {
      return start(parent, caf::actor_cast<caf::actor>(&parent));
    };
    children.push_back(std::move(spec));
  };
  add(actors::edge_names::switch_agent(name), [here](caf::local_actor& parent, const caf::actor&) {
    actors::switch_agent_settings settings;
    settings.node = here->self.name;
    settings.ports = here->ports.ports;
    settings.attachments = here->ports.attachments;
    settings.decision_deadline = here->config.flow.hold_timeout;
    settings.traces = here->traces;
    settings.accounts = here->accounts;
    for (const auto* edge : here->config.nodes_with(role::edge))
      settings.trusted_rlocs.push_back(edge->underlay->rloc.address);
    return parent.spawn<actors::switch_agent>(settings, here->fast_path, here->client(), here->directory);
  });
  add(actors::edge_names::controller(name), [here](caf::local_actor& parent, caf::actor supervisor) {
    actors::edge_controller_settings settings;
    settings.node = here->self.name;
    settings.lease = here->lease;
    settings.lease_ttl = here->config.store.lease_ttl;
    settings.idle_timeout = here->config.flow.idle_timeout;
    settings.decision_deadline = here->config.flow.hold_timeout;
    settings.traces = here->traces;
    for (const auto& attachment : here->self.attachments)
      for (const auto& prefix : attachment.prefixes)
        settings.mappings.push_back({attachment.tenant, prefix, here->self.name, here->self.underlay->rloc.address});
    return parent.spawn<actors::edge_controller>(settings, std::move(supervisor), here->client(), here->directory);
  });
  add(actors::edge_names::vnf_host(name), [here](caf::local_actor& parent, caf::actor supervisor) {
    actors::vnf_host_settings settings;
    settings.node = here->self.name;
    settings.rloc = here->self.underlay->rloc.address;
    settings.lease = here->lease;
    settings.first_port = here->ports.first_free;
    settings.detached_driver = here->detached_driver;
    return parent.spawn<actors::vnf_host>(settings, here->driver, here->fast_path.statistics(), std::move(supervisor),
                                          here->client(), here->directory);
  });
  return children;
}

} // namespace glocal::node
