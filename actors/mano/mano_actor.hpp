#pragma once
// The central MANO: publishes the catalogue and has instances created; all else goes on without it (paper, section on
// roles; ETSI GS NFV-MAN 001).
//
// What the cluster file says is the wish; this actor brings the global state to it: catalogue entries are written,
// those no longer wished are erased, and each instance is asked of its node until it runs, then registered (table
// instances). Asking is idempotent, so a restart of this actor or of an edge needs no memory of what was done.

#include "actors/model/model.hpp"
#include "actors/store/actor_store.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::actors {

struct mano_settings {
  std::vector<model::service> services;
  std::vector<model::vnf_class> classes;
  std::vector<model::vnf_instance> instances;
};

class mano_actor : public runtime::observed_actor {
public:
  mano_actor(caf::actor_config& config, mano_settings settings, runtime::transport transport, caf::actor store_client);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  enum class phase { wanted, asking, running };
  struct wish {
    model::vnf_instance instance;
    mano_actor::phase phase = phase::wanted;
    /// Why the last attempt failed.
    std::string problem;
  };

  void publish_catalogue();
  void erase_unwished();
  void ask_for_all();
  void ask_for(wish& wanted);
  void registered(const std::string& name, bool done, const std::string& problem);

  const mano_settings settings_;
  const runtime::transport transport_;
  actor_store store_;
  bool catalogue_published_ = false;
  std::map<std::string, wish> wishes_;
};

} // namespace glocal::actors
