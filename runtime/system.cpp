#include "runtime/system.hpp"

#include "runtime/errors.hpp"
#include "runtime/observed.hpp"

#include "base/log.hpp"

#include <caf/exit_reason.hpp>
#include <caf/scoped_actor.hpp>

namespace glocal::runtime {

system_config::system_config(const system_options& options)
    : observatory_{std::make_unique<glocal::runtime::observatory>(options.node)} {
  name_running_actors_by(&running_actor_name);
  // "stealing", CAF's default, polls: it costs an idle node 40 % of a core and doubles the round trip between nodes.
  set("scheduler.policy", options.deterministic ? caf::atom("testing") : caf::atom("sharing"));
  set("scheduler.max-threads", options.worker_threads);
  set("scheduler.max-throughput", options.max_throughput);
  set("logger.console", caf::atom("none"));
  set("logger.file-verbosity", caf::atom("quiet"));
  add_error_category(caf::atom("transport"), [](std::uint8_t code, caf::atom_value, const caf::message&) {
    return std::string{to_string(static_cast<transport_errc>(code))};
  });
  add_error_category(caf::atom("supervise"), [](std::uint8_t code, caf::atom_value, const caf::message&) {
    return std::string{to_string(static_cast<supervision_errc>(code))};
  });
}

std::unique_ptr<caf::error> wait_for_end(caf::actor_system& system, const caf::actor& actor,
                                         std::chrono::milliseconds patience) {
  caf::scoped_actor self{system};
  self->monitor(actor);
  std::unique_ptr<caf::error> reason;
  self->receive([&](caf::down_msg& down) { reason = std::make_unique<caf::error>(std::move(down.reason)); },
                caf::after(patience) >> [] {});
  self->demonitor(actor->address());
  return reason;
}

bool stop_and_wait(caf::actor_system& system, const caf::actor& actor, std::chrono::milliseconds patience) {
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  return wait_for_end(system, actor, patience) != nullptr;
}

} // namespace glocal::runtime
