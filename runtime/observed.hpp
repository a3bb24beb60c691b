#pragma once
// The base of every actor: counts what passes and answers what it is, so that the inspector can show any actor of any
// node and nothing goes missing in silence.
//
//   class service_module : public runtime::observed_actor {
//   public:
//     service_module(caf::actor_config& cfg, std::string name) : observed_actor{cfg, "service module", std::move(name)}
//     {} caf::behavior make_behavior() override; runtime::state_entries state_summary() const override;
//   };
//
// CAF 0.17 has neither enumeration nor metrics; four virtual functions are where it lets us in. All that passes is
// counted; how long it takes is looked at for a sample of it, as the clock is what costs (observed.cpp).
// Threading: as any actor; the counters are atomics because senders count on their own threads.
// The actor system's configuration must be a system_config (system.hpp).

#include "runtime/atoms.hpp"
#include "runtime/observatory.hpp"
#include "runtime/system.hpp"

#include <caf/actor_config.hpp>
#include <caf/event_based_actor.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace glocal::runtime {

/// What an actor is called; `-` when there is none, or none of this process.
[[nodiscard]] std::string name_of(const caf::strong_actor_ptr& actor);
/// The actor whose handler runs on this thread; empty when none does.
[[nodiscard]] std::string_view running_actor_name() noexcept;

class observed_actor : public caf::event_based_actor {
public:
  /// @param kind what it is ("service module"), the same for all of its class.
  /// @param name who it is, unique within the node and the same after a restart ("edge/e1/service/web").
  observed_actor(caf::actor_config& cfg, std::string kind, std::string name);

  [[nodiscard]] const std::string& actor_name() const noexcept { return cell_->name; }

  /// What an operator would want to know of this actor now. Runs in its own context, between two messages.
  [[nodiscard]] virtual state_entries state_summary() const { return {}; }

  // -- what CAF calls -------------------------------------------------------------------------------------------------

  const char* name() const override { return cell_->name.c_str(); }
  void launch(caf::execution_unit* unit, bool lazy, bool hide) override;
  using caf::event_based_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override;
  using caf::event_based_actor::consume;
  caf::invoke_message_result consume(caf::mailbox_element& element) override;
  bool cleanup(caf::error&& reason, caf::execution_unit* host) override;

protected:
  /// Records a failure the actor survived; shown as its last error.
  void note_error(std::string what) { cell_->set_error(std::move(what)); }

private:
  caf::invoke_message_result handle(caf::mailbox_element& element);
  caf::invoke_message_result handle_traced(caf::mailbox_element& element);
  caf::invoke_message_result handle_timed(caf::mailbox_element& element);
  caf::invoke_message_result answer_refresh(caf::mailbox_element& element);
  void choose_next_timed(std::uint64_t took_ns) noexcept;

  const std::shared_ptr<actor_cell> cell_;
  glocal::runtime::observatory& observatory_;
  /// Messages to handle before one is timed, and for how many that one stands.
  std::uint32_t untimed_ = 0, weight_ = 1;
  std::uint32_t random_ = 1;
};

} // namespace glocal::runtime
