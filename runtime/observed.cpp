#include "runtime/observed.hpp"

#include "runtime/errors.hpp"
#include "runtime/message.hpp"

#include "base/log.hpp"

#include <caf/local_actor.hpp>
#include <caf/system_messages.hpp>
#include <caf/type_nr.hpp>

#include <cxxabi.h>

#include <cstdlib>

namespace glocal::runtime {
namespace {

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

} // namespace

std::string name_of(const caf::strong_actor_ptr& actor) {
  if (!actor)
    return "-";
  // A strong pointer keeps the actor itself, and what it is called does not change.
  const auto* local = dynamic_cast<const caf::local_actor*>(caf::actor_cast<caf::abstract_actor*>(actor));
  return local != nullptr ? local->name() : "-";
}

namespace detail {

void note_unhandled(actor_cell& cell, const std::string& content) {
  cell.unhandled.fetch_add(1, std::memory_order_relaxed);
  spdlog::warn("{}: nothing handles {}", cell.name, content.substr(0, 200));
}

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

void note_traced(actor_cell& cell, observatory& all, const message_label& label,
                 std::chrono::system_clock::time_point began, std::chrono::nanoseconds handling,
                 message_outcome outcome) {
  const auto over = all.traces().record(
      cell.traced.load(std::memory_order_relaxed),
      {began, cell.name, cell.kind, label.from, label.type, label.wire_kind, label.wire_bytes, handling, outcome});
  cell.traced.fetch_and(static_cast<tracer::mask>(~over), std::memory_order_relaxed);
}

} // namespace detail

} // namespace glocal::runtime
