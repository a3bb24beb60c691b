#pragma once
// The store as an actor sees it: store::store bound to one actor and to this node's store_client.
//
// An actor owns one as a member and adds its handler to its behavior, so that watch events reach it:
//
//     return caf::message_handler{...own handlers...}.or_else(store_.handler());
//
// Threading: all calls from within the actor; all callbacks run inside it, as messages it handles. Results need no
// handler. Every request ends within options::deadline.

#include "store/codec.hpp"
#include "store/store.hpp"

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/message_handler.hpp>

#include <chrono>
#include <map>
#include <memory>

namespace glocal::actors {

class actor_store final : public glocal::store::store {
public:
  struct options {
    /// Within it every callback is called; the client retries until then. Long enough for a connection to come back.
    std::chrono::milliseconds deadline{2000};
  };

  /// @param self the actor that owns this. @param client this node's store_client (see store_client.hpp).
  actor_store(caf::event_based_actor& self, caf::actor client, const options& settings);
  actor_store(caf::event_based_actor& self, caf::actor client) : actor_store{self, std::move(client), options{}} {}
  /// Ends its watches.
  ~actor_store() override;
  actor_store(const actor_store&) = delete;
  actor_store& operator=(const actor_store&) = delete;

  void execute(glocal::store::batch operations, batch_callback done) override;
  void scan(glocal::store::table from, std::string prefix, std::size_t limit, std::string continuation,
            page_callback done) override;
  [[nodiscard]] glocal::store::watch_id watch(glocal::store::table of, std::string prefix,
                                              watch_callback on_event) override;
  void unwatch(glocal::store::watch_id id) override;
  void grant_lease(glocal::store::lease_id id, std::chrono::milliseconds ttl, done_callback done) override;
  void renew_lease(glocal::store::lease_id id, done_callback done) override;
  void revoke_lease(glocal::store::lease_id id, done_callback done) override;

  /// Handles what the client sends for watches. Valid as long as this object.
  [[nodiscard]] caf::message_handler handler();

private:
  void lease(glocal::store::lease_id id, std::chrono::milliseconds ttl, glocal::store::lease_action action,
             const done_callback& done);

  caf::event_based_actor& self_;
  caf::actor client_;
  options options_;
  glocal::store::watch_id next_watch_ = 1;
  /// Shared with a running callback, which may end its own watch.
  std::map<glocal::store::watch_id, std::shared_ptr<watch_callback>> watches_;
};

} // namespace glocal::actors
