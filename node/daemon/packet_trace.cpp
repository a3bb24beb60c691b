#include "node/daemon/packet_trace.hpp"

#include "node/trace_json.hpp"

#include "dataplane/classify/rule_text.hpp"
#include "dataplane/switch/counters.hpp"
#include "runtime/errors.hpp"

#include <caf/scoped_actor.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <fstream>
#include <limits>

namespace glocal::node {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// A foretelling asks the switch, a module and the store.
constexpr auto ask_timeout = 5s;
/// Steps of one answer: about half a megabyte of JSON.
constexpr std::size_t most_steps = 1000;

std::string text_of(const json& body, const char* key, const std::string& absent = {}) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null())
    return absent;
  if (!found->is_string())
    throw api_refusal{400, std::string{"'"} + key + "' is to be a text"};
  return found->get<std::string>();
}

bool flag_of(const json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null())
    return false;
  if (!found->is_boolean())
    throw api_refusal{400, std::string{"'"} + key + "' is to be true or false"};
  return found->get<bool>();
}

std::uint64_t number_of(const json& body, const char* key, std::uint64_t most, std::uint64_t absent) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null())
    return absent;
  const bool is_negative =
      !found->is_number_integer() || (!found->is_number_unsigned() && found->get<std::int64_t>() < 0);
  if (is_negative || found->get<std::uint64_t>() > most)
    throw api_refusal{400, std::string{"'"} + key + "' is to be a number, 0 to " + std::to_string(most)};
  return found->get<std::uint64_t>();
}

/// Asks the switch agent. @throws api_refusal with what it says.
template <class Answer, class Question>
Answer ask_agent(caf::actor_system& system, const packet_trace_sources& sources, const Question& question) {
  const auto agent = sources.directory->find(actors::edge_names::switch_agent(sources.self.name));
  if (!agent)
    throw api_refusal{503, "the switch agent is being restarted; ask again"};
  Answer answer{};
  caf::error failure;
  caf::scoped_actor self{system};
  self->request(agent, ask_timeout, question)
      .receive([&](Answer& made) { answer = std::move(made); }, [&](const caf::error& error) { failure = error; });
  if (!failure)
    return answer;
  const auto& context = failure.context();
  const auto why = context.match_elements<std::string>() ? context.get_as<std::string>(0) : runtime::describe(failure);
  if (failure == caf::sec::invalid_argument)
    throw api_refusal{400, why};
  if (failure == caf::sec::runtime_error)
    throw api_refusal{409, why};
  throw api_refusal{504, "the switch agent: " + why};
}

std::uint64_t now_ns(auto clock) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds{clock.now().time_since_epoch()}.count());
}

/// The kernel's clocks begin anew with it: nodes with the same boot share CLOCK_MONOTONIC.
std::string boot_id() {
  std::string out;
  std::ifstream{"/proc/sys/kernel/random/boot_id"} >> out;
  return out;
}

json session_json(const actors::trace_book::session& session) {
  return {{"id", session.id}, {"running", session.is_running}, {"ended_because", session.ended_because}};
}

json read_json(const packet_trace_sources& sources, const json& body) {
  const auto id = number_of(body, "session", std::numeric_limits<std::uint64_t>::max(), 0);
  if (id != 0)
    sources.book->note_reader(id, now_ns(std::chrono::steady_clock{}));
  // Before the steps, so that who sees the end has seen all steps before it.
  const auto session = sources.book->last_session();
  const auto after = number_of(body, "after", std::numeric_limits<std::uint64_t>::max(), sources.book->end());
  const auto page = sources.book->read(after, number_of(body, "most", most_steps, most_steps));
  json steps = json::array();
  for (const auto& step : page.entries)
    steps.push_back(step_json(step, sources.config));
  json out{{"node", sources.self.name},
           {"edge", true},
           {"session", session_json(session)},
           {"steps", steps},
           {"next", page.next},
           {"missed", page.missed},
           {"clock",
            {{"monotonic_ns", now_ns(std::chrono::steady_clock{})},
             {"unix_ns", now_ns(std::chrono::system_clock{})},
             {"boot", boot_id()}}}};
  if (sources.counters != nullptr) {
    out["records_lost"] = sources.counters->trace_records_lost.value();
    out["ids_refused"] = sources.counters->trace_ids_refused.value();
  }
  return out;
}

} // namespace

actors::begin_trace parse_begin_trace(const json& body) {
  actors::begin_trace out;
  const auto match = dataplane::parse_rule_match(text_of(body, "match", "any"));
  if (!match)
    throw api_refusal{400, "'match', byte " + std::to_string(match.error().offset) + ": " + match.error().message};
  out.filter.match = *match;
  out.filter.both_directions = flag_of(body, "both_directions");
  if (body.contains("tenant"))
    out.filter.tenant = static_cast<std::uint32_t>(number_of(body, "tenant", 0xff'ffff, 0));
  out.port = text_of(body, "port");
  out.packets = static_cast<std::uint32_t>(number_of(body, "count", dataplane::trace_session::max_packets, 10));
  out.duration = std::chrono::seconds{number_of(body, "seconds", 600, 30)};
  out.drops_only = flag_of(body, "drops");
  out.anywhere = flag_of(body, "anywhere");
  out.replace = flag_of(body, "replace");
  return out;
}

actors::foretell_packet parse_foretell_packet(const json& body) {
  actors::foretell_packet out;
  const auto tuple = parse_five_tuple(text_of(body, "packet"));
  if (!tuple)
    throw api_refusal{400, "'packet' is to be as in 'tcp 10.1.0.7:51514 > 203.0.113.9:80'"};
  out.fields.tuple = *tuple;
  out.fields.vlan = static_cast<std::uint16_t>(number_of(body, "vlan", 4094, 0));
  out.fields.dscp = static_cast<std::uint8_t>(number_of(body, "dscp", 63, 0));
  out.fields.ttl = static_cast<std::uint8_t>(number_of(body, "ttl", 255, 64));
  out.fields.tcp_flags = static_cast<std::uint8_t>(number_of(body, "tcp_flags", 0x3f, dataplane::tcp_flag::syn));
  out.port = text_of(body, "port");
  return out;
}

void add_packet_trace(api_handlers& to, caf::actor_system& system, packet_trace_sources what) {
  const auto sources = std::make_shared<const packet_trace_sources>(std::move(what));
  const auto add = [&](const char* name, std::function<json(const json&)> act) {
    to.post[name] = [sources, act = std::move(act)](const json& body) {
      if (!sources->self.has(role::edge))
        return json{{"node", sources->self.name}, {"edge", false}};
      return act(body);
    };
  };
  add("trace/start", [sources, &system](const json& body) {
    const auto next = sources->book->end();
    const auto id = ask_agent<std::uint64_t>(system, *sources, parse_begin_trace(body));
    return json{{"node", sources->self.name}, {"edge", true}, {"session", id}, {"next", next}};
  });
  add("trace/read", [sources](const json& body) { return read_json(*sources, body); });
  add("trace/stop", [sources](const json& body) {
    const auto id = number_of(body, "session", std::numeric_limits<std::uint64_t>::max(), 0);
    if (const auto agent = sources->directory->find(actors::edge_names::switch_agent(sources->self.name)))
      caf::anon_send(agent, actors::end_trace{id});
    return json{{"node", sources->self.name}, {"edge", true}};
  });
  add("trace/simulate", [sources, &system](const json& body) {
    const auto walk = ask_agent<actors::foretold_walk>(system, *sources, parse_foretell_packet(body));
    json steps = json::array();
    for (const auto& step : walk.entries)
      steps.push_back(step_json(step, sources->config));
    return json{{"node", sources->self.name}, {"edge", true}, {"steps", steps}};
  });
}

} // namespace glocal::node
