#include "runtime/errors.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace glocal::runtime {
namespace {

constexpr auto transport_category = caf::atom("transport");
constexpr auto supervision_category = caf::atom("supervise");
constexpr auto system_category = caf::atom("system");

std::string context_of(const caf::error& error) {
  const auto& context = error.context();
  if (context.match_elements<std::string>())
    return context.get_as<std::string>(0);
  return context.empty() ? std::string{} : to_string(context);
}

} // namespace

const char* to_string(transport_errc code) {
  switch (code) {
  case transport_errc::unreachable: return "unreachable";
  case transport_errc::timeout: return "timeout";
  case transport_errc::peer_gone: return "peer_gone";
  case transport_errc::no_such_actor: return "no_such_actor";
  case transport_errc::too_large: return "too_large";
  case transport_errc::refused: return "refused";
  case transport_errc::overloaded: return "overloaded";
  case transport_errc::malformed: return "malformed";
  }
  return "unknown";
}

const char* to_string(supervision_errc code) {
  switch (code) {
  case supervision_errc::restart_intensity: return "restart_intensity";
  case supervision_errc::child_failed: return "child_failed";
  }
  return "unknown";
}

caf::error make_error(transport_errc code) {
  return {static_cast<std::uint8_t>(code), transport_category};
}

caf::error make_error(transport_errc code, std::string context) {
  return {static_cast<std::uint8_t>(code), transport_category, caf::make_message(std::move(context))};
}

caf::error make_error(supervision_errc code, std::string context) {
  return {static_cast<std::uint8_t>(code), supervision_category, caf::make_message(std::move(context))};
}

transport_errc as_transport_error(const caf::error& error) {
  if (error.category() == transport_category)
    return static_cast<transport_errc>(error.code());
  if (error == caf::sec::request_timeout)
    return transport_errc::timeout;
  if (error == caf::sec::request_receiver_down)
    return transport_errc::no_such_actor;
  return transport_errc::refused;
}

std::string describe(const caf::error& error) {
  if (!error)
    return "none";
  std::string out;
  if (error.category() == transport_category)
    out = to_string(static_cast<transport_errc>(error.code()));
  else if (error.category() == supervision_category)
    out = to_string(static_cast<supervision_errc>(error.code()));
  else if (error.category() == system_category)
    out = to_string(static_cast<caf::sec>(error.code()));
  else
    out = caf::actor_system_config::render(error);
  if (const auto context = context_of(error); !context.empty())
    out += ": " + context;
  return out;
}

} // namespace glocal::runtime
