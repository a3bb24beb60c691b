#include "actors/store/etcd_registers.hpp"

#include "actors/store/messages.hpp"
#include "store/etcd/etcd_register.hpp"

#include <caf/actor_cast.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <utility>

namespace glocal::actors {

register_factory register_in_etcd(std::shared_ptr<store::etcd_client> client, std::string cluster) {
  return [client = std::move(client), cluster = std::move(cluster)](caf::event_based_actor& owner) {
    // Weak: the client's calls outlive an actor that is restarted.
    auto in_owner = [to = caf::actor_cast<caf::actor_addr>(&owner)](std::function<void()> what) {
      if (const auto actor = caf::actor_cast<caf::actor>(to))
        caf::anon_send(actor, store_messages::run{std::move(what)});
    };
    return std::make_unique<store::etcd_register>(client, cluster, std::move(in_owner));
  };
}

} // namespace glocal::actors
