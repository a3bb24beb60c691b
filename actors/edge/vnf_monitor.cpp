#include "actors/edge/vnf_monitor.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "base/log.hpp"

namespace glocal::actors {

vnf_monitor::vnf_monitor(caf::actor_config& config, vnf_monitor_settings settings, const dataplane::counters& counters,
                         std::shared_ptr<const vnf_driver> driver, caf::actor store_client)
    : runtime::observed_actor{config, "vnf monitor",
                              edge_names::vnf_monitor(settings.instance.node, settings.instance.name)},
      settings_{std::move(settings)}, counters_{counters}, driver_{std::move(driver)}, store_{*this,
                                                                                              std::move(store_client)} {
  status_.instance = settings_.instance.name;
  status_.vnf_class = settings_.instance.vnf_class;
  // Orders this monitor's reports after those of every earlier one of the instance, also across restarts of the node.
  status_.incarnation = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

caf::behavior vnf_monitor::make_behavior() {
  observe();
  return caf::message_handler{
      [this](runtime::tick_atom) { observe(); },
      // The lease took the published status with it.
      [this](const lease_regained&) { published_.reset(); },
  }
      .or_else(store_.handler());
}

void vnf_monitor::observe() {
  delayed_send(this, settings_.period, runtime::tick_atom_v);
  const auto& in = counters_.ports[settings_.in_arm];
  const auto& out = counters_.ports[settings_.out_arm];
  // What went into the function, by either arm.
  const auto packets = in.tx_packets.value() + out.tx_packets.value();
  const auto seconds = std::chrono::duration<double>(settings_.period).count();
  status_.rate_pps = static_cast<double>(packets - status_.packets) / seconds;
  status_.packets = packets;
  status_.bytes = in.tx_bytes.value() + out.tx_bytes.value();
  status_.flows = out.flows_now.value();
  const bool was_healthy = std::exchange(status_.healthy, driver_->alive(status_.instance));
  if (was_healthy && !status_.healthy)
    spdlog::warn("instance {} is not alive", status_.instance);
  publish();
}

void vnf_monitor::publish() {
  // The sequence is no news by itself.
  if (published_)
    published_->sequence = status_.sequence;
  if (publishing_ || published_ == status_)
    return;
  publishing_ = true;
  ++status_.sequence;
  store_.put(store::table::status, model::keys::status(status_.vnf_class, status_.instance), model::encode(status_),
             settings_.lease, [this, sent = status_](const expected<store::op_result, store::store_error>& result) {
               publishing_ = false;
               published_.reset();
               if (result && result->ok())
                 published_ = sent;
             });
}

runtime::state_entries vnf_monitor::state_summary() const {
  return {{"instance", status_.instance},
          {"class", status_.vnf_class},
          {"healthy", status_.healthy ? "true" : "false"},
          {"flows", std::to_string(status_.flows)},
          {"packets", std::to_string(status_.packets)},
          {"bytes", std::to_string(status_.bytes)},
          {"rate_pps", std::to_string(status_.rate_pps)},
          {"published", published_ ? "true" : "false"}};
}

} // namespace glocal::actors
