#pragma once
// Keeps one edge a citizen of the cluster: its lease, its EID mappings, and one service module per catalogued service.
//
// Everything the edge publishes hangs on one lease that is renewed as one (DESIGN section 3). When the lease was lost
// all of it is published again. Service modules follow the catalogue: the MANO need not be there for an edge to start.

#include "actors/edge/messages.hpp"
#include "actors/store/actor_store.hpp"
#include "runtime/directory.hpp"
#include "runtime/observed.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace glocal::actors {

struct edge_controller_settings {
  std::string node;
  store::lease_id lease = 0;
  std::chrono::milliseconds lease_ttl{10'000};
  std::chrono::nanoseconds idle_timeout{0};
  /// As of service_module_settings.
  std::chrono::milliseconds decision_deadline{2000};
  /// Of the service modules.
  std::shared_ptr<trace_book> traces = std::make_shared<trace_book>();
  /// The EIDs attached here.
  std::vector<model::eid_mapping> mappings;
};

class edge_controller : public runtime::observed_actor {
public:
  /// @param supervisor starts and stops the service modules.
  edge_controller(caf::actor_config& config, edge_controller_settings settings, caf::actor supervisor,
                  caf::actor store_client, std::shared_ptr<runtime::directory> directory);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  void grant_lease();
  void renew_lease();
  void publish_mappings();
  void tell_lease_regained();

  void watch_catalogue();
  void reconcile();
  void start_module(const std::string& name, const service_binding& binding);
  void stop_module(const std::string& name);
  void bind();

  const edge_controller_settings settings_;
  const caf::actor supervisor_, store_client_;
  const std::shared_ptr<runtime::directory> directory_;
  actor_store store_;

  bool lease_held_ = false, mappings_published_ = false, catalogue_live_ = false;
  /// Times the lease ran out.
  std::uint64_t leases_lost_ = 0;
  std::map<std::string, model::service> services_;
  std::map<std::string, model::vnf_class> classes_;
  /// Services with a module, by name; the cookie is never used again for another binding.
  std::map<std::string, service_binding> bound_;
  std::uint64_t next_cookie_ = 1;
};

} // namespace glocal::actors
