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
// CAF 0.17 has neither enumeration nor metrics; these four virtual functions are where it lets us in. Cost: about 60 ns
// a message, two thirds of it the clock, and 7 ns more for one that comes to an empty mailbox.
// Threading: as any actor; the counters are atomics because senders count on their own threads.
// The actor system's configuration must be a system_config (system.hpp).

#include "runtime/atoms.hpp"
#include "runtime/observatory.hpp"
#include "runtime/system.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <exception>

namespace glocal::runtime {

/// What an actor is called; `-` when there is none, or none of this process.
[[nodiscard]] std::string name_of(const caf::strong_actor_ptr& actor);

namespace detail {
/// The cell of the actor whose handler runs on this thread: it is the sender of what gets enqueued meanwhile.
inline thread_local actor_cell* running_cell = nullptr;

/// Logs at warning and counts a message that no handler of the actor matched.
void note_unhandled(actor_cell& cell, const std::string& content);
/// Logs at error and records an exception that left a handler; the actor ends with the returned error.
[[nodiscard]] caf::error note_exception(actor_cell& cell, const std::exception_ptr& thrown);

/// A message without what it says.
struct message_label {
  std::string from, type;
  std::optional<std::uint16_t> wire_kind;
  std::size_t wire_bytes = 0;
};
/// @param node this one's name.
[[nodiscard]] message_label label_of(const caf::mailbox_element& element, const std::string& node);
/// Counts a message to an actor that has ended, unless it is one that nobody misses. @param id the actor's.
void note_dead(const actor_cell& cell, const caf::mailbox_element& element, std::uint64_t id, observatory& all);
/// For the traces that the cell's bits name; clears the bits of those that are over.
void note_traced(actor_cell& cell, observatory& all, const message_label& label,
                 std::chrono::system_clock::time_point began, std::chrono::nanoseconds handling,
                 message_outcome outcome);
} // namespace detail

/// @tparam Base caf::event_based_actor or caf::io::broker.
template <class Base>
class observed : public Base {
public:
  /// @param kind what it is ("service module"), the same for all of its class.
  /// @param name who it is, unique within the node and the same after a restart ("edge/e1/service/web").
  observed(caf::actor_config& cfg, std::string kind, std::string name)
      : Base{cfg}, cell_{std::make_shared<actor_cell>()},
        observatory_{dynamic_cast<const system_config&>(this->system().config()).observatory()} {
    cell_->id = this->id();
    cell_->parent = cfg.parent != nullptr ? cfg.parent->id() : 0;
    cell_->kind = std::move(kind);
    cell_->name = std::move(name);
    cell_->started = std::chrono::steady_clock::now();
    this->set_default_handler([cell = cell_.get()](caf::scheduled_actor*, caf::message_view& content) {
      detail::note_unhandled(*cell, caf::to_string(content.move_content_to_message()));
      return caf::result<caf::message>{caf::sec::unexpected_message};
    });
    this->set_exception_handler([cell = cell_.get()](caf::scheduled_actor*, std::exception_ptr& thrown) {
      return detail::note_exception(*cell, thrown);
    });
  }

  [[nodiscard]] const std::string& actor_name() const noexcept { return cell_->name; }

  /// What an operator would want to know of this actor now. Runs in its own context, between two messages.
  [[nodiscard]] virtual state_entries state_summary() const { return {}; }

  // -- what CAF calls -------------------------------------------------------------------------------------------------

  const char* name() const override { return cell_->name.c_str(); }

  void launch(caf::execution_unit* unit, bool lazy, bool hide) override {
    cell_->ask = [weak = caf::actor_cast<caf::weak_actor_ptr>(this)](actor_order what) {
      const auto self = caf::actor_cast<caf::actor>(caf::actor_cast<caf::strong_actor_ptr>(weak));
      if (!self)
        return;
      if (what == actor_order::summarise)
        caf::anon_send(self, refresh_atom_v);
      else
        caf::anon_send_exit(self, caf::exit_reason::kill);
    };
    observatory_.enroll(cell_);
    Base::launch(unit, lazy, hide);
  }

  using Base::enqueue;
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override {
    // Before the count, so that no message is counted with the time of an earlier one.
    if (cell_->depth.load(std::memory_order_relaxed) <= 0)
      cell_->waiting_since.store(coarse_now(), std::memory_order_relaxed);
    const auto depth = cell_->depth.fetch_add(1, std::memory_order_relaxed) + 1;
    // A race of two senders may lose a peak by one; the next message of the same burst corrects it.
    if (depth > cell_->peak.load(std::memory_order_relaxed))
      cell_->peak.store(depth, std::memory_order_relaxed);
    if (cell_->ended.load(std::memory_order_relaxed)) [[unlikely]]
      detail::note_dead(*cell_, *element, this->id(), observatory_);
    if (auto* sender = detail::running_cell)
      sender->out.store(sender->out.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    Base::enqueue(std::move(element), unit);
  }

  using Base::consume;
  caf::invoke_message_result consume(caf::mailbox_element& element) override {
    const auto queued = came_by_mailbox(element);
    if (element.content().template match_elements<refresh_atom>())
      return answer_refresh(element);
    return cell_->traced.load(std::memory_order_relaxed) == 0 ? handle(element, queued)
                                                              : handle_traced(element, queued);
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    cell_->ended.store(true, std::memory_order_relaxed);
    observatory_.retire(cell_->id);
    return Base::cleanup(std::move(reason), host);
  }

protected:
  /// Records a failure the actor survived; shown as its last error.
  void note_error(std::string what) { cell_->set_error(std::move(what)); }
  [[nodiscard]] const std::shared_ptr<actor_cell>& cell() const noexcept { return cell_; }

  /// False for what the runtime hands over without the mailbox (a broker's socket events), so that depth stays true.
  [[nodiscard]] virtual bool came_by_mailbox(caf::mailbox_element&) const { return true; }

private:
  struct restore_on_exit {
    actor_cell* outer;
    ~restore_on_exit() { detail::running_cell = outer; }
  };

  caf::invoke_message_result handle(caf::mailbox_element& element, bool queued) {
    auto* const outer = std::exchange(detail::running_cell, cell_.get());
    const restore_on_exit restore{outer};
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = Base::consume(element);
    // A skipped message stays in the mailbox and is consumed again later: it counts then.
    if (outcome != caf::invoke_message_result::skipped) {
      const auto end = std::chrono::steady_clock::now();
      cell_->handling.record(static_cast<std::uint64_t>((end - begin).count()));
      cell_->waiting_since.store(end, std::memory_order_relaxed);
      note_taken(queued);
    }
    return outcome;
  }

  [[gnu::noinline]] caf::invoke_message_result handle_traced(caf::mailbox_element& element, bool queued) {
    // Before it is handled: handlers take messages apart.
    const auto label = detail::label_of(element, observatory_.node());
    const auto unhandled = cell_->unhandled.load(std::memory_order_relaxed);
    const auto began = std::chrono::system_clock::now();
    const auto begin = std::chrono::steady_clock::now();
    const auto note = [&](message_outcome outcome) {
      detail::note_traced(*cell_, observatory_, label, began, std::chrono::steady_clock::now() - begin, outcome);
    };
    try {
      const auto outcome = handle(element, queued);
      if (outcome != caf::invoke_message_result::skipped)
        note(unhandled == cell_->unhandled.load(std::memory_order_relaxed) ? message_outcome::handled
                                                                           : message_outcome::unhandled);
      return outcome;
    } catch (...) {
      note(message_outcome::failed);
      throw;
    }
  }

  void note_taken(bool queued) noexcept {
    cell_->in.store(cell_->in.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (queued)
      cell_->depth.fetch_sub(1, std::memory_order_relaxed);
  }

  caf::invoke_message_result answer_refresh(caf::mailbox_element& element) {
    cell_->set_state(state_summary());
    this->current_mailbox_element(&element);
    auto promise = this->make_response_promise();
    promise.deliver(refresh_atom_v);
    cell_->waiting_since.store(coarse_now(), std::memory_order_relaxed);
    cell_->depth.fetch_sub(1, std::memory_order_relaxed);
    return caf::invoke_message_result::consumed;
  }

  const std::shared_ptr<actor_cell> cell_;
  glocal::runtime::observatory& observatory_;
};

using observed_actor = observed<caf::event_based_actor>;

} // namespace glocal::runtime
