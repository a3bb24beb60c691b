#pragma once
// Watches one VNF instance of this node and publishes what it sees (table `status`): liveness and load.
//
// Load is what the switch counted on the instance's arms. Published when it changed, at most once a second, under the
// edge's lease: when the edge dies its instances are candidates no more as soon as the lease ends.

#include "actors/edge/messages.hpp"
#include "actors/edge/vnf_driver.hpp"
#include "actors/store/actor_store.hpp"
#include "dataplane/switch/counters.hpp"
#include "runtime/observed.hpp"

#include <chrono>
#include <memory>
#include <optional>

namespace glocal::actors {

struct vnf_monitor_settings {
  model::vnf_instance instance;
  dataplane::port_id in_arm = dataplane::no_port, out_arm = dataplane::no_port;
  store::lease_id lease = 0;
  std::chrono::milliseconds period{1000};
};

class vnf_monitor : public runtime::observed_actor {
public:
  /// @param counters and @param driver outlive the actor.
  vnf_monitor(caf::actor_config& config, vnf_monitor_settings settings, const dataplane::counters& counters,
              std::shared_ptr<const vnf_driver> driver, caf::actor store_client);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  void observe();
  void publish();

  const vnf_monitor_settings settings_;
  const dataplane::counters& counters_;
  const std::shared_ptr<const vnf_driver> driver_;
  actor_store store_;
  model::instance_status status_;
  /// As last acknowledged by the store; nothing when the store may not have it.
  std::optional<model::instance_status> published_;
  bool publishing_ = false;
};

} // namespace glocal::actors
