#pragma once
// The role `lisp` of a node: a Map-Server between UDP 4342 and the store. It keeps nothing that must outlive it, so any
// number of nodes may have the role and any of them may be asked.
//
// That it is there stands in table `subscriptions` under its lease: when that ends, others tell its subscribers.

#include "actors/lisp/store_driver.hpp"
#include "actors/lisp/udp_endpoint.hpp"
#include "actors/store/actor_store.hpp"
#include "runtime/observed.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <memory>
#include <string>
#include <vector>

namespace glocal::actors {

struct lisp_settings {
  lisp::map_server_settings server;
  store::lease_id lease = 0;
  std::chrono::milliseconds lease_ttl{10'000};
};

/// From the endpoint to the actor.
struct lisp_datagrams {
  lisp::udp_endpoint::batch batch;
};

/// Who asked for what: answered with lisp_requesters.
struct list_lisp_requesters {
  std::size_t limit = 0;
};
struct lisp_requesters {
  struct row {
    std::string eid, rloc, own_eid;
    std::chrono::seconds left{};
  };
  std::vector<row> rows;
  std::size_t total = 0;
};

/// How the actor is called in the node's directory.
[[nodiscard]] inline std::string lisp_actor_name(std::string_view node) {
  return "lisp/" + std::string{node};
}

class lisp_actor : public runtime::observed_actor {
public:
  static constexpr const char* kind = "map server";

  /// @param endpoint sends; what it receives comes as lisp_datagrams.
  lisp_actor(caf::actor_config& config, lisp_settings settings, std::shared_ptr<lisp::udp_endpoint> endpoint,
             caf::actor store_client);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  void on_datagrams(lisp_datagrams& received);
  void keep_lease();
  void announce();
  [[nodiscard]] lisp_requesters requesters(std::size_t limit) const;
  [[nodiscard]] lisp::map_server::time_point now() const;

  const lisp_settings settings_;
  const std::shared_ptr<lisp::udp_endpoint> endpoint_;
  actor_store store_;
  lisp::map_server server_;
  lisp::store_driver driver_;
  bool lease_held_ = false, announced_ = false;
};

} // namespace glocal::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::lisp_datagrams)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::list_lisp_requesters)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::lisp_requesters)
