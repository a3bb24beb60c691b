#include "runtime/observed.hpp"

#include "runtime/errors.hpp"
#include "runtime/message.hpp"

#include "base/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/local_actor.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>
#include <caf/type_nr.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

namespace glocal::runtime {
namespace {

using clock = std::chrono::steady_clock;

// Two looks at the clock cost 70 ns here, more than all the counting and as much as a small handler: they are saved
// where it matters. Who has handled little has every message timed, so that its few numbers are exact; who takes
// `long_ns` does not feel it, and a stuck actor is seen; all others are timed by a sample.
constexpr std::uint64_t exact_messages = 1000;
constexpr std::uint64_t long_ns = 8000;
/// Between two of a sample lie at most so many that are not timed, and seven on average.
constexpr std::uint32_t longest_gap = 14;

/// The cell of the actor whose handler runs on this thread: it is the sender of what gets enqueued meanwhile.
thread_local actor_cell* running_cell = nullptr;

struct running {
  explicit running(actor_cell& cell) noexcept : outer{std::exchange(running_cell, &cell)} {}
  ~running() { running_cell = outer; }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  actor_cell* const outer;
};

/// Of a counter with one writer.
void add_one(std::atomic<std::uint64_t>& to) noexcept {
  to.store(to.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

/// `program_flows` for glocal::actors::program_flows.
std::string type_name(const caf::rtti_pair& type) {
  if (type.second == nullptr)
    return caf::numbered_type_names[type.first - 1];
  int failed = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable{
      abi::__cxa_demangle(type.second->name(), nullptr, nullptr, &failed), &std::free};
  std::string out = failed == 0 ? readable.get() : type.second->name();
  if (const auto colon = out.rfind("::"); colon != std::string::npos && out.find('<') == std::string::npos)
    out.erase(0, colon + 2);
  return out;
}

bool is_wire_message(const caf::type_erased_tuple& content) {
  return content.match_elements<wire_request_atom, std::string, wire_message>() ||
         content.match_elements<wire_cast_atom, std::string, wire_message>();
}

/// Logs at warning and counts a message that no handler of the actor matched.
void note_unhandled(actor_cell& cell, const std::string& content) {
  cell.unhandled.fetch_add(1, std::memory_order_relaxed);
  spdlog::warn("{}: nothing handles {}", cell.name, content.substr(0, 200));
}

/// Logs at error and records an exception that left a handler; the actor ends with the returned error.
caf::error note_exception(actor_cell& cell, const std::exception_ptr& thrown) {
  std::string what = "unknown exception";
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  cell.set_error(what);
  spdlog::error("{}: ends by an exception: {}", cell.name, what);
  return caf::make_error(caf::sec::runtime_error, what);
}

/// A message without what it says.
struct message_label {
  std::string from, type;
  std::optional<std::uint16_t> wire_kind;
  std::size_t wire_bytes = 0;
};

/// @param node this one's name.
message_label label_of(const caf::mailbox_element& element, const std::string& node) {
  message_label out;
  out.from = name_of(element.sender);
  const auto& content = element.content();
  if (is_wire_message(content)) {
    if (const auto& from = content.get_as<std::string>(1); from != node)
      out.from = '@' + from;
    const auto& message = content.get_as<wire_message>(2);
    out.wire_kind = message.kind;
    out.wire_bytes = message.view().size();
  }
  for (std::size_t i = 0; i < content.size(); ++i) {
    if (i > 0)
      out.type += ' ';
    // The value of an atom is the name of a message; no other value is shown.
    out.type += content.match_element<caf::atom_value>(i) ? caf::to_string(content.get_as<caf::atom_value>(i))
                                                          : type_name(content.type(i));
  }
  return out;
}

/// Counts a message to an actor that has ended, unless it is one that nobody misses. @param id the actor's.
void note_dead(const actor_cell& cell, const caf::mailbox_element& element, std::uint64_t id, observatory& all) {
  const auto& content = element.content();
  // What is normal at an end: the answer to a question of its own, its own timers, the ends of others, and being asked
  // how it is.
  if (element.mid.is_response() || (element.sender && element.sender->id() == id) ||
      content.match_elements<caf::exit_msg>() || content.match_elements<caf::down_msg>() ||
      content.match_elements<caf::timeout_msg>() || content.match_elements<refresh_atom>())
    return;
  auto label = label_of(element, all.node());
  if (label.wire_kind)
    label.type.clear();
  all.letters().count({std::move(label.from), cell.name, label.wire_kind.value_or(0), std::move(label.type)});
}

/// For the traces that the cell's bits name; clears the bits of those that are over.
void note_traced(actor_cell& cell, observatory& all, const message_label& label,
                 std::chrono::system_clock::time_point began, std::chrono::nanoseconds handling,
                 message_outcome outcome) {
  const auto over = all.traces().record(
      cell.traced.load(std::memory_order_relaxed),
      {began, cell.name, cell.kind, label.from, label.type, label.wire_kind, label.wire_bytes, handling, outcome});
  cell.traced.fetch_and(static_cast<tracer::mask>(~over), std::memory_order_relaxed);
}

} // namespace

std::string name_of(const caf::strong_actor_ptr& actor) {
  if (!actor)
    return "-";
  // A strong pointer keeps the actor itself, and what it is called does not change.
  const auto* local = dynamic_cast<const caf::local_actor*>(caf::actor_cast<caf::abstract_actor*>(actor));
  return local != nullptr ? local->name() : "-";
}

std::string_view running_actor_name() noexcept {
  return running_cell != nullptr ? std::string_view{running_cell->name} : std::string_view{};
}

observed_actor::observed_actor(caf::actor_config& cfg, std::string kind, std::string name)
    : caf::event_based_actor{cfg}, cell_{std::make_shared<actor_cell>()},
      observatory_{dynamic_cast<const system_config&>(system().config()).observatory()} {
  cell_->id = id();
  cell_->parent = cfg.parent != nullptr ? cfg.parent->id() : 0;
  cell_->kind = std::move(kind);
  cell_->name = std::move(name);
  cell_->started = clock::now();
  set_default_handler([cell = cell_.get()](caf::scheduled_actor*, caf::message_view& content) {
    note_unhandled(*cell, caf::to_string(content.move_content_to_message()));
    return caf::result<caf::message>{caf::sec::unexpected_message};
  });
  set_exception_handler([cell = cell_.get()](caf::scheduled_actor*, std::exception_ptr& thrown) {
    return note_exception(*cell, thrown);
  });
}

void observed_actor::launch(caf::execution_unit* unit, bool lazy, bool hide) {
  // The cell keeps this function, so it must not keep the cell.
  cell_->ask = [weak = caf::actor_cast<caf::weak_actor_ptr>(this), cell = cell_.get()](actor_order what) {
    const auto self = caf::actor_cast<caf::actor>(caf::actor_cast<caf::strong_actor_ptr>(weak));
    if (!self)
      return;
    if (what == actor_order::end)
      return caf::anon_send_exit(self, caf::exit_reason::kill);
    cell->asked.fetch_add(1, std::memory_order_relaxed);
    caf::anon_send(self, refresh_atom_v);
  };
  observatory_.enroll(cell_);
  caf::event_based_actor::launch(unit, lazy, hide);
}

void observed_actor::enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) {
  auto& cell = *cell_;
  // Before the count, so that no message is counted with the time of an earlier one.
  const auto done = cell.done();
  if (cell.queued.load(std::memory_order_relaxed) <= done)
    cell.waiting_since.store(coarse_now(), std::memory_order_relaxed);
  const auto queued = cell.queued.fetch_add(1, std::memory_order_relaxed) + 1;
  // A race of two senders may lose a peak by one; the next message of the same burst corrects it.
  if (queued > done + cell.peak.load(std::memory_order_relaxed))
    cell.peak.store(queued - done, std::memory_order_relaxed);
  if (cell.ended.load(std::memory_order_relaxed)) [[unlikely]]
    note_dead(cell, *element, id(), observatory_);
  if (auto* sender = running_cell)
    add_one(sender->out);
  caf::event_based_actor::enqueue(std::move(element), unit);
}

caf::invoke_message_result observed_actor::consume(caf::mailbox_element& element) {
  const auto& cell = *cell_;
  if ((cell.traced.load(std::memory_order_relaxed) | cell.asked.load(std::memory_order_relaxed)) == 0) [[likely]]
    return handle(element);
  // Who asks counts before it sends, so the count is never behind the question.
  if (cell.asked.load(std::memory_order_relaxed) > 0 && element.content().match_elements<refresh_atom>())
    return answer_refresh(element);
  return cell.traced.load(std::memory_order_relaxed) == 0 ? handle(element) : handle_traced(element);
}

caf::invoke_message_result observed_actor::handle(caf::mailbox_element& element) {
  const running here{*cell_};
  if (untimed_ == 0)
    return handle_timed(element);
  const auto outcome = caf::event_based_actor::consume(element);
  // A skipped message stays in the mailbox and is consumed again later: it counts then.
  if (outcome != caf::invoke_message_result::skipped) {
    --untimed_;
    add_one(cell_->in);
    // The next one waits; of an empty mailbox nobody asks for how long.
    if (cell_->depth() > 0)
      cell_->waiting_since.store(coarse_now(), std::memory_order_relaxed);
  }
  return outcome;
}

caf::invoke_message_result observed_actor::handle_timed(caf::mailbox_element& element) {
  const auto begin = clock::now();
  const auto outcome = caf::event_based_actor::consume(element);
  if (outcome != caf::invoke_message_result::skipped) {
    const auto end = clock::now();
    const auto took_ns = static_cast<std::uint64_t>((end - begin).count());
    cell_->handling.record(took_ns, weight_);
    cell_->waiting_since.store(end, std::memory_order_relaxed);
    add_one(cell_->in);
    choose_next_timed(took_ns);
  }
  return outcome;
}

void observed_actor::choose_next_timed(std::uint64_t took_ns) noexcept {
  untimed_ = 0;
  if (took_ns < long_ns && cell_->in.load(std::memory_order_relaxed) >= exact_messages) {
    // At random: what comes in turns of eight would else be seen as one of the turn. Numerical Recipes' generator,
    // whose upper bits are good enough for that.
    random_ = random_ * 1664525 + 1013904223;
    untimed_ = static_cast<std::uint32_t>((std::uint64_t{random_} * (longest_gap + 1)) >> 32);
  }
  weight_ = untimed_ + 1;
}

caf::invoke_message_result observed_actor::handle_traced(caf::mailbox_element& element) {
  // Before it is handled: handlers take messages apart.
  const auto label = label_of(element, observatory_.node());
  const auto unhandled = cell_->unhandled.load(std::memory_order_relaxed);
  const auto began = std::chrono::system_clock::now();
  const auto begin = clock::now();
  const auto note = [&](message_outcome outcome) {
    note_traced(*cell_, observatory_, label, began, clock::now() - begin, outcome);
  };
  try {
    const auto outcome = handle(element);
    if (outcome != caf::invoke_message_result::skipped)
      note(unhandled == cell_->unhandled.load(std::memory_order_relaxed) ? message_outcome::handled
                                                                         : message_outcome::unhandled);
    return outcome;
  } catch (...) {
    note(message_outcome::failed);
    throw;
  }
}

caf::invoke_message_result observed_actor::answer_refresh(caf::mailbox_element& element) {
  cell_->set_state(state_summary());
  current_mailbox_element(&element);
  auto promise = make_response_promise();
  promise.deliver(refresh_atom_v);
  cell_->asked.fetch_sub(1, std::memory_order_relaxed);
  cell_->waiting_since.store(coarse_now(), std::memory_order_relaxed);
  add_one(cell_->summaries);
  return caf::invoke_message_result::consumed;
}

bool observed_actor::cleanup(caf::error&& reason, caf::execution_unit* host) {
  cell_->ended.store(true, std::memory_order_relaxed);
  observatory_.retire(cell_->id);
  return caf::event_based_actor::cleanup(std::move(reason), host);
}

} // namespace glocal::runtime
