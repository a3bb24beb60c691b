#pragma once
// Makes and destroys this node's VNF instances when the central MANO asks for it (schema/mano.capnp).
//
// instantiate: driver starts the function → the switch opens its arms → a monitor watches it → the answer says where it
// is. Asking again for what runs is answered at once, so the MANO may repeat itself. Steps that block (the driver's)
// run in a detached actor; requests wait for each other there.

#include "actors/edge/messages.hpp"
#include "actors/edge/vnf_driver.hpp"
#include "actors/edge/vnf_monitor.hpp"
#include "actors/model/codec.hpp"
#include "runtime/directory.hpp"
#include "runtime/message.hpp"
#include "runtime/observed.hpp"

#include <caf/typed_response_promise.hpp>

#include <map>
#include <memory>
#include <string>

namespace glocal::actors {

/// Kinds of wire messages between MANO and VNF hosts.
namespace mano_kind {
inline constexpr std::uint16_t instantiate = runtime::kind_ranges::mano + 1;
inline constexpr std::uint16_t terminate = runtime::kind_ranges::mano + 2;
inline constexpr std::uint16_t lifecycle_reply = runtime::kind_ranges::mano + 3;
} // namespace mano_kind

/// A driver's start may run several set-up commands of 20 s each.
inline constexpr std::chrono::milliseconds instantiate_timeout{60'000};

struct vnf_host_settings {
  std::string node;
  ip_address rloc;
  store::lease_id lease = 0;
  /// First of the port ids this actor gives to arms.
  dataplane::port_id first_port = 0;
  /// Off where the driver does not block and time is virtual.
  bool detached_driver = true;
};

class vnf_host : public runtime::observed_actor {
public:
  /// @param supervisor starts the monitors. @param counters outlives the actor.
  vnf_host(caf::actor_config& config, vnf_host_settings settings, std::shared_ptr<vnf_driver> driver,
           const dataplane::counters& counters, caf::actor supervisor, caf::actor store_client,
           std::shared_ptr<runtime::directory> directory);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  using reply_promise = caf::typed_response_promise<runtime::wire_message>;
  struct hosted {
    model::vnf_instance instance;
    dataplane::port_config in, out;
    bool running = false;
  };

  caf::result<runtime::wire_message> on_request(const runtime::wire_message& message);
  void instantiate(const model::instantiate_request& wanted, reply_promise promise);
  void open_arms(const model::instantiate_request& wanted, started_vnf started, reply_promise promise);
  /// Tells a new switch agent of the arms the switch already has.
  void open_again();
  void watch_instance(const hosted& instance);
  void terminate(const std::string& name, reply_promise promise);
  void fail(const std::string& name, const std::string& why, reply_promise promise);
  [[nodiscard]] dataplane::port_id free_port() const;

  const vnf_host_settings settings_;
  const std::shared_ptr<vnf_driver> driver_;
  const dataplane::counters& counters_;
  const caf::actor supervisor_, store_client_;
  const std::shared_ptr<runtime::directory> directory_;
  caf::actor driver_actor_;
  std::map<std::string, hosted> hosted_;
};

} // namespace glocal::actors
