#pragma once
// Starts a supervised actor in the place of one that may be left from before its starter was restarted.

#include "runtime/atoms.hpp"
#include "runtime/supervisor.hpp"
#include "runtime/transport.hpp"

#include <utility>

namespace glocal::actors {

/// Stops the child of that name, if any, then starts `spec`; `failed(caf::error)` when it could not be started.
template <class Self, class OnFailure>
void replace_child(Self* self, const caf::actor& supervisor, runtime::child_spec spec, OnFailure failed) {
  const auto start = [self, supervisor, spec, failed] {
    self->request(supervisor, runtime::default_timeout, runtime::start_child_atom_v, spec)
        .then([](const caf::actor&) {}, [failed](const caf::error& error) { failed(error); });
  };
  self->request(supervisor, runtime::default_timeout, runtime::stop_child_atom_v, spec.name)
      .then([start](caf::unit_t) { start(); }, [start](const caf::error&) { start(); });
}

} // namespace glocal::actors
