#include "actors/store/actor_store.hpp"

#include "actors/store/messages.hpp"

#include <caf/sec.hpp>
#include <caf/send.hpp>

#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using glocal::store::store_error;

namespace {

/// The client answers by the deadline; CAF's own time-out is for the case that the client itself is gone or stuck.
constexpr std::chrono::milliseconds grace{1000};

store_error meaning(const caf::error& fault) {
  return fault == caf::sec::request_timeout ? store_error::timeout : store_error::unavailable;
}

} // namespace

actor_store::actor_store(caf::event_based_actor& self, caf::actor client, const options& settings)
    : self_{self}, client_{std::move(client)}, options_{settings} {}

actor_store::~actor_store() {
  // Not sent by self_: it may be on its way out itself.
  for (const auto& [id, callback] : watches_)
    caf::anon_send(client_, messages::watch_close{self_.id(), id});
}

void actor_store::execute(glocal::store::batch operations, batch_callback done) {
  self_.request(client_, options_.deadline + grace, messages::execute{std::move(operations), options_.deadline})
      .then([done](messages::executed& answer) { done(std::move(answer.reply)); },
            [done](const caf::error& fault) { done(unexpected{meaning(fault)}); });
}

void actor_store::scan(glocal::store::table from, std::string prefix, std::size_t limit, std::string continuation,
                       page_callback done) {
  self_
      .request(client_, options_.deadline + grace,
               messages::scan{from, std::move(prefix), std::move(continuation), limit, options_.deadline})
      .then([done](messages::scanned& answer) { done(std::move(answer.reply)); },
            [done](const caf::error& fault) { done(unexpected{meaning(fault)}); });
}

glocal::store::watch_id actor_store::watch(glocal::store::table of, std::string prefix, watch_callback on_event) {
  const auto id = next_watch_++;
  watches_[id] = std::make_shared<watch_callback>(std::move(on_event));
  self_.send(client_, messages::watch_open{id, of, std::move(prefix)});
  return id;
}

void actor_store::unwatch(glocal::store::watch_id id) {
  if (watches_.erase(id) > 0)
    self_.send(client_, messages::watch_close{self_.id(), id});
}

void actor_store::grant_lease(glocal::store::lease_id id, std::chrono::milliseconds ttl, done_callback done) {
  lease(id, ttl, glocal::store::lease_action::grant, done);
}

void actor_store::renew_lease(glocal::store::lease_id id, done_callback done) {
  lease(id, {}, glocal::store::lease_action::renew, done);
}

void actor_store::revoke_lease(glocal::store::lease_id id, done_callback done) {
  lease(id, {}, glocal::store::lease_action::revoke, done);
}

void actor_store::lease(glocal::store::lease_id id, std::chrono::milliseconds ttl, glocal::store::lease_action action,
                        const done_callback& done) {
  self_.request(client_, options_.deadline + grace, messages::lease{id, ttl, action, options_.deadline})
      .then([done](const messages::leased& answer) { done(answer.reply); },
            [done](const caf::error& fault) { done(unexpected{meaning(fault)}); });
}

caf::message_handler actor_store::handler() {
  return {[this](const messages::watch_delivery& delivery) {
    for (const auto& event : delivery.events) {
      const auto at = watches_.find(delivery.id);
      if (at == watches_.end())
        return;
      const auto callback = at->second; // held: it may end its own watch
      (*callback)(event);
    }
  }};
}

} // namespace glocal::actors
