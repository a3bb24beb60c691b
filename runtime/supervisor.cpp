#include "runtime/supervisor.hpp"

#include "base/log.hpp"

#include <caf/all.hpp>

CAF_ADD_ATOM(glocal, glocal::runtime, kill_atom, "kill")
CAF_ADD_ATOM(glocal, glocal::runtime, start_failed_atom, "startfail")

namespace glocal::runtime {
namespace {

bool is_failure(const caf::error& reason) {
  return reason && reason != caf::exit_reason::normal && reason != caf::exit_reason::user_shutdown;
}

} // namespace

supervisor::supervisor(caf::actor_config& cfg, std::string name, supervisor_options options,
                       std::vector<child_spec> children, std::shared_ptr<directory> actors)
    : observed_actor{cfg, kind, std::move(name)}, options_{options}, initial_{std::move(children)},
      directory_{std::move(actors)} {}

caf::behavior supervisor::make_behavior() {
  set_down_handler([this](caf::down_msg& down) { on_child_end(down.source, down.reason); });
  set_exit_handler([this](caf::exit_msg& exit) { shut_down(exit.reason); });
  for (auto& spec : std::exchange(initial_, {}))
    children_.push_back({next_place_++, std::move(spec), {}, 0, {}});
  start_missing(0);
  return {
      [this](start_child_atom, child_spec& spec) { return add_child(spec); },
      [this](stop_child_atom, const std::string& name) { return stop_child(name); },
      [this](start_failed_atom, order place, const caf::error& reason) { after_failure(place, reason); },
      [this](kill_atom, const caf::actor_addr& who) {
        // Only those that still run: the address is that of one incarnation.
        for (const auto& one : children_)
          if (one.actor && one.actor.address() == who) {
            spdlog::error("{}: {} does not end, killing it", actor_name(), one.spec.name);
            send_exit(one.actor, caf::exit_reason::kill);
          }
      },
  };
}

void supervisor::on_exit() {
  for (auto& one : children_) {
    if (one.actor)
      send_exit(one.actor, caf::exit_reason::kill);
    if (one.stop_promise.pending())
      one.stop_promise.deliver(make_error(transport_errc::no_such_actor, actor_name() + " ended"));
  }
  children_.clear();
}

state_entries supervisor::state_summary() const {
  state_entries out{{"restarts", std::to_string(restarts_.size()) + " within the window"}};
  for (const auto& one : children_)
    out.emplace_back(one.spec.name,
                     (one.actor ? "runs, " : "does not run, ") + std::to_string(one.restarts) + " restarts");
  return out;
}

// -- starting
// -------------------------------------------------------------------------------------------------------------

caf::error supervisor::start(child& one) {
  try {
    one.actor = one.spec.start(*this);
  } catch (const std::exception& error) {
    return make_error(supervision_errc::child_failed, one.spec.name + " does not start: " + error.what());
  }
  if (!one.actor)
    return make_error(supervision_errc::child_failed, one.spec.name + " does not start");
  monitor(one.actor);
  if (directory_ && !one.spec.registered_as.empty())
    directory_->add(one.spec.registered_as, one.actor);
  return {};
}

void supervisor::start_missing(order from) {
  for (auto& one : children_) {
    if (one.place < from || one.actor)
      continue;
    if (auto failure = start(one)) {
      note_error(describe(failure));
      spdlog::error("{}: {}", actor_name(), describe(failure));
      // As a message, so that a start that always fails meets the restart limit and not the end of the stack.
      // What was to be started after it follows when it has been.
      send(this, start_failed_atom_v, one.place, std::move(failure));
      return;
    }
  }
}

caf::result<caf::actor> supervisor::add_child(child_spec& spec) {
  if (ending_)
    return make_error(transport_errc::refused, actor_name() + " is ending");
  for (const auto& one : children_)
    if (one.spec.name == spec.name)
      return make_error(transport_errc::refused, spec.name + " is there already");
  child one{next_place_++, std::move(spec), {}, 0, {}};
  if (auto failure = start(one)) {
    note_error(describe(failure));
    return failure;
  }
  auto actor = one.actor;
  children_.push_back(std::move(one));
  return actor;
}

// -- ends
// -----------------------------------------------------------------------------------------------------------------

std::vector<supervisor::child>::iterator supervisor::at(order place) {
  return std::find_if(children_.begin(), children_.end(), [&](const child& one) { return one.place == place; });
}

void supervisor::on_child_end(const caf::actor_addr& who, const caf::error& reason) {
  const auto found = std::find_if(children_.begin(), children_.end(),
                                  [&](const child& one) { return one.actor && one.actor.address() == who; });
  if (found == children_.end())
    return;
  found->actor = {};
  if (found->stop_promise.pending()) {
    auto promise = std::move(found->stop_promise);
    children_.erase(found);
    promise.deliver(caf::unit);
    if (stopping_)
      stop_next();
    return;
  }
  if (stopping_ && found->place >= stopping_->from) {
    if (found->spec.restart == restart_policy::temporary)
      children_.erase(found);
    return stop_next();
  }
  const auto policy = found->spec.restart;
  if (policy == restart_policy::temporary || (policy == restart_policy::transient && !is_failure(reason))) {
    children_.erase(found);
    return;
  }
  after_failure(found->place, reason);
}

void supervisor::after_failure(order place, const caf::error& reason) {
  if (ending_)
    return;
  if (stopping_) {
    postponed_.emplace_back(place, reason);
    return;
  }
  const auto failed = at(place);
  if (failed == children_.end() || failed->actor)
    return;
  const auto why = describe(reason);
  if (too_many_restarts()) {
    const auto what = failed->spec.name + " failed again, too often: " + why;
    note_error(what);
    spdlog::error("{}: gives up: {}", actor_name(), what);
    return shut_down(make_error(supervision_errc::restart_intensity, what));
  }
  ++failed->restarts;
  dynamic_cast<const system_config&>(system().config()).observatory().note_restart(failed->spec.name, why);
  spdlog::warn("{}: restarts {}, which ended: {}", actor_name(), failed->spec.name, why);
  if (options_.strategy == restart_strategy::one_for_one)
    // From this place: an initial start that failed held up those after it.
    return start_missing(place);
  stop_back_to(place + 1, [this, place] { start_missing(place); });
}

bool supervisor::too_many_restarts() {
  const auto time = clock().now();
  while (!restarts_.empty() && time - restarts_.front() > options_.window)
    restarts_.pop_front();
  restarts_.push_back(time);
  return restarts_.size() > options_.max_restarts;
}

// -- stopping
// -------------------------------------------------------------------------------------------------------------

void supervisor::ask_to_end(const caf::actor& who) {
  send_exit(who, caf::exit_reason::user_shutdown);
  delayed_send(this, options_.stop_patience, kill_atom_v, who.address());
}

caf::response_promise supervisor::stop_child(const std::string& name) {
  auto promise = make_response_promise();
  const auto found =
      std::find_if(children_.begin(), children_.end(), [&](const child& one) { return one.spec.name == name; });
  if (found == children_.end() || found->stop_promise.pending())
    promise.deliver(make_error(transport_errc::no_such_actor, name));
  else if (!found->actor) {
    children_.erase(found);
    promise.deliver(caf::unit);
  } else {
    found->stop_promise = promise;
    ask_to_end(found->actor);
  }
  return promise;
}

void supervisor::stop_back_to(order from, std::function<void()> next) {
  stopping_ = stop_in_progress{from, std::move(next)};
  stop_next();
}

void supervisor::stop_next() {
  for (auto one = children_.rbegin(); one != children_.rend() && one->place >= stopping_->from; ++one)
    if (one->actor)
      return ask_to_end(one->actor);
  const auto next = std::move(stopping_->next);
  stopping_.reset();
  next();
  for (const auto& [place, reason] : std::exchange(postponed_, {}))
    after_failure(place, reason);
}

void supervisor::shut_down(const caf::error& reason) {
  ending_ = true;
  stop_back_to(0, [this, reason] { quit(reason); });
}

} // namespace glocal::runtime
