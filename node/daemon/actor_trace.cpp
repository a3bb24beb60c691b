#include "node/daemon/actor_trace.hpp"

#include "node/daemon/kind_names.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace glocal::node {

using nlohmann::json;
using runtime::tracer;

namespace {

double number_at(const json& body, const char* key, double least, double most, double otherwise) {
  const auto found = body.find(key);
  if (found == body.end())
    return otherwise;
  if (!found->is_number())
    throw api_refusal{400, std::string{"'"} + key + "' is no number"};
  const auto value = found->get<double>();
  if (!(value >= least && value <= most))
    throw api_refusal{400,
                      std::string{"'"} + key + "' is not within " + json(least).dump() + " and " + json(most).dump()};
  return value;
}

std::uint64_t id_at(const json& body) {
  const auto found = body.find("id");
  if (found == body.end() || !found->is_number_unsigned())
    throw api_refusal{400, "the body has no number 'id'"};
  return found->get<std::uint64_t>();
}

json message_json(const runtime::traced_message& message) {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  return {{"time_us", duration_cast<microseconds>(message.time.time_since_epoch()).count()},
          {"actor", message.actor},
          {"actor_kind", message.actor_kind},
          {"from", message.from},
          {"type", message.type},
          {"kind", message.wire_kind ? json(kind_name(*message.wire_kind)) : json()},
          {"bytes", message.wire_kind ? json(message.wire_bytes) : json()},
          {"handling_us", std::chrono::duration<double, std::micro>(message.handling).count()},
          {"outcome", to_string(message.outcome)}};
}

} // namespace

json start_actor_trace(runtime::observatory& actors, const json& body) {
  using seconds = std::chrono::duration<double>;
  const auto match = body.find("match");
  if (match == body.end() || !match->is_string())
    throw api_refusal{400, "the body has no text 'match'"};
  runtime::trace_request wanted;
  wanted.match = match->get<std::string>();
  if (wanted.match.size() > tracer::max_pattern_bytes)
    throw api_refusal{400, "'match' is longer than " + std::to_string(tracer::max_pattern_bytes) + " bytes"};
  wanted.count = static_cast<std::size_t>(
      number_at(body, "count", 1, static_cast<double>(tracer::max_count), static_cast<double>(wanted.count)));
  wanted.duration = std::chrono::ceil<std::chrono::milliseconds>(seconds{
      number_at(body, "seconds", 0.001, seconds{tracer::max_duration}.count(), seconds{wanted.duration}.count())});
  const auto started = actors.start_trace(wanted);
  if (!started) {
    if (started.error() == runtime::trace_refusal::nobody)
      throw api_refusal{404, "no actor has a name or kind '" + wanted.match + "'"};
    throw api_refusal{429, std::to_string(tracer::max_traces) + " traces run already, which is the limit"};
  }
  return {{"id", started->id},
          {"actors", started->actors},
          {"count", wanted.count},
          {"seconds", seconds{wanted.duration}.count()}};
}

json read_actor_trace(runtime::observatory& actors, const json& body) {
  const auto page = actors.traces().read(id_at(body));
  if (!page)
    throw api_refusal{404, "there is no such trace; it is over"};
  auto messages = json::array();
  for (const auto& message : page->messages)
    messages.push_back(message_json(message));
  return {{"messages", std::move(messages)},
          {"dropped", page->dropped},
          {"end", page->end ? json(to_string(*page->end)) : json()}};
}

json stop_actor_trace(runtime::observatory& actors, const json& body) {
  actors.traces().stop(id_at(body));
  return json::object();
}

} // namespace glocal::node
