#pragma once
// A switch's trace records in words: ports by name, rules by service and number, paths by id. Pure.

#include "actors/edge/messages.hpp"
#include "actors/edge/trace_book.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::actors {

/// What a switch calls by number.
struct switch_names {
  std::string node;
  std::map<dataplane::port_id, std::string> ports;
  std::vector<service_binding> services;
};

/// Not for session_ended and probe_ended, which are of no packet.
[[nodiscard]] trace_entry describe(const dataplane::trace_record& record, const switch_names& names);

/// Which of the service's matches made the switch say `rule`: its number, or nothing if the service changed since.
[[nodiscard]] std::optional<std::size_t> matched_rule(const dataplane::trace_record& record,
                                                      const model::service& service);

/// "limit reached"
[[nodiscard]] std::string_view to_string(dataplane::trace_end end) noexcept;
/// "syn,ack"
[[nodiscard]] std::string tcp_flags_text(std::uint8_t flags);

} // namespace glocal::actors
