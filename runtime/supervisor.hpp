#pragma once
// Starts actors and starts them again when they fail, as an OTP supervisor does
// (https://www.erlang.org/doc/design_principles/sup_princ).
//
// A bug throws in one actor; that actor ends; its supervisor starts a new one from the same spec, which rebuilds its
// state from the store. Failing again and again is no bug a restart mends: beyond `max_restarts` within `window` the
// supervisor stops its children, last first, and ends itself with supervision_errc::restart_intensity, which is a
// failure for its own supervisor, and at the top for main().
//
// Messages:
//   (start_child_atom, child_spec) → the new caf::actor; transport_errc::refused when the name is taken
//   (stop_child_atom, std::string name) → an empty message when it ended; transport_errc::no_such_actor
//   an exit message: children are stopped in reverse order of their start, then the supervisor ends with that reason

#include "runtime/directory.hpp"
#include "runtime/errors.hpp"
#include "runtime/observed.hpp"

#include <caf/actor_clock.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/response_promise.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace glocal::runtime {

enum class restart_policy {
  /// Always started again.
  permanent,
  /// Started again when it ended with an error.
  transient,
  /// Never started again.
  temporary
};

enum class restart_strategy {
  /// Only the child that ended.
  one_for_one,
  /// Also those started after it, which may depend on it.
  rest_for_one
};

/// `return parent.spawn<service_module>(name, …);` May throw; null or an exception is a failed start.
using child_factory = std::function<caf::actor(caf::local_actor& parent)>;

struct child_spec {
  /// Unique within the supervisor; the name of the actor.
  std::string name;
  child_factory start;
  restart_policy restart = restart_policy::permanent;
  /// Name in the node's directory, again after each restart; empty: not registered.
  std::string registered_as;
};

struct supervisor_options {
  restart_strategy strategy = restart_strategy::one_for_one;
  /// More restarts than this within `window` end the supervisor.
  std::size_t max_restarts = 5;
  std::chrono::milliseconds window{10'000};
  /// A child that does not end when asked to is killed after this.
  std::chrono::milliseconds stop_patience{5000};
};

class supervisor : public observed_actor {
public:
  /// In the records of all supervisors.
  static constexpr auto kind = "supervisor";

  /// @param actors where children are registered; may be null when no spec asks for it.
  supervisor(caf::actor_config& cfg, std::string name, supervisor_options options, std::vector<child_spec> children,
             std::shared_ptr<directory> actors = nullptr);

  caf::behavior make_behavior() override;
  /// A supervisor that is killed takes its children along.
  void on_exit() override;
  [[nodiscard]] state_entries state_summary() const override;

private:
  /// Place in the order of starting; never reused.
  using order = std::uint64_t;

  struct child {
    order place = 0;
    child_spec spec;
    /// Null while it does not run.
    caf::actor actor;
    std::uint32_t restarts = 0;
    /// Somebody asked for its end and waits for it.
    caf::response_promise stop_promise;
  };

  /// Children are being stopped, last first, down to `from`; then `next` happens.
  struct stop_in_progress {
    order from = 0;
    std::function<void()> next;
  };

  caf::result<caf::actor> add_child(child_spec& spec);
  caf::response_promise stop_child(const std::string& name);
  caf::error start(child& one);
  void on_child_end(const caf::actor_addr& who, const caf::error& reason);
  void after_failure(order place, const caf::error& reason);
  void start_missing(order from);
  void stop_back_to(order from, std::function<void()> next);
  void stop_next();
  void ask_to_end(const caf::actor& who);
  void shut_down(const caf::error& reason);
  [[nodiscard]] bool too_many_restarts();
  [[nodiscard]] std::vector<child>::iterator at(order place);

  const supervisor_options options_;
  std::vector<child_spec> initial_;
  const std::shared_ptr<directory> directory_;
  std::vector<child> children_;
  order next_place_ = 0;
  std::deque<caf::actor_clock::time_point> restarts_;
  std::optional<stop_in_progress> stopping_;
  /// Failures seen while others were being stopped.
  std::vector<std::pair<order, caf::error>> postponed_;
  bool ending_ = false;
};

} // namespace glocal::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::child_spec)
