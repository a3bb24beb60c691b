#pragma once
// What a switch wrote down of traced packets, as lines for tests.

#include "dataplane/switch/testing/edge_bench.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

namespace glocal::dataplane::testing {

using steps = std::vector<std::string>;

inline std::string target_of(const trace_record& record) {
  if (record.port != no_port)
    return " port " + std::to_string(record.port);
  return record.address == ip_address{} ? "" : " " + to_string(record.address);
}

inline std::string place_of(const trace_record& record) {
  return " " + std::to_string(record.spi) + "/" + std::to_string(record.si);
}

inline std::string text(const trace_record& record) {
  const char* const kinds[] = {"on_path", "by_eid", "pending", "refused"};
  const char* const carriages[] = {"carried", "no_room", "no_metadata", "not_wanted"};
  const char* const ends[] = {"limit_reached", "time_over", "stopped"};
  switch (record.step) {
  case trace_step::received: return "received" + target_of(record) + " " + to_string(record.tuple);
  case trace_step::decapsulated:
    return "decapsulated " + to_string(record.address) + place_of(record) + (record.value != 0 ? " known" : " new");
  case trace_step::returned: return "returned" + target_of(record) + (record.value != 0 ? " guessed" : "");
  case trace_step::hit:
    return std::string{"hit "} + kinds[record.detail] + (record.spi != 0 ? place_of(record) : "") +
           (record.reverse ? " reverse" : "");
  case trace_step::miss: return "miss";
  case trace_step::rule: return "rule " + std::to_string(record.value) + " action " + std::to_string(record.detail);
  case trace_step::no_rule: return "no_rule";
  case trace_step::installed: return std::string{"installed "} + kinds[record.detail];
  case trace_step::packet_in: return "packet_in " + std::to_string(record.detail);
  case trace_step::held: return "held";
  case trace_step::released: return "released " + std::to_string(record.value);
  case trace_step::passed: return "passed " + std::to_string(record.value);
  case trace_step::path_step:
    return "path_step" + place_of(record) + " of " + std::to_string(record.hops) + target_of(record) +
           (record.reverse ? " reverse" : "");
  case trace_step::eid_route: return "eid_route" + target_of(record);
  case trace_step::encapsulated:
    return "encapsulated " + to_string(record.address) + place_of(record) + " " + carriages[record.value];
  case trace_step::waiting: return "waiting for " + to_string(record.address);
  case trace_step::sent: return "sent" + target_of(record);
  case trace_step::answered: return "answered";
  case trace_step::dropped: return "dropped " + std::string{to_string(record.reason)};
  case trace_step::session_ended: return std::string{"session ended "} + ends[record.detail];
  case trace_step::probe_ended: return "probe ended";
  }
  return "?";
}

inline std::vector<trace_record> records(bench& at) {
  std::vector<trace_record> out(4096);
  out.resize(at.channel.poll_traces(out));
  return out;
}

inline steps texts(bench& at) {
  steps out;
  for (const auto& record : records(at))
    out.push_back(text(record));
  return out;
}

/// The last id seen, so that a case can go on with it.
inline trace_id only_id(const std::vector<trace_record>& of) {
  std::set<trace_id> ids;
  for (const auto& record : of)
    if (record.trace != 0)
      ids.insert(record.trace);
  REQUIRE(ids.size() == 1);
  return *ids.begin();
}

inline trace_session session_of(const bench& at, std::uint32_t packets = 10) {
  trace_session session;
  session.id = 77;
  session.packets = packets;
  session.until_ns = at.now_ns + 60'000'000'000;
  session.id_prefix = 0xabc;
  return session;
}

inline void trace(bench& at, std::uint32_t packets = 10) {
  at.order(start_trace{session_of(at, packets)});
}

inline void trace_drops(bench& at) {
  auto session = session_of(at);
  session.drops_only = true;
  at.order(start_trace{session});
}

/// What an edge behind this one would read of the one frame that was sent.
inline overlay_header sent_header(bench& at) {
  const auto out = at.sent();
  REQUIRE(out.size() == 1);
  packet_buffer buffer{out[0].frame};
  overlay_header header;
  REQUIRE_FALSE(decapsulate(buffer.view, parsed(out[0].frame), header));
  return header;
}

inline overlay_header traced_step(std::uint32_t spi, std::uint8_t si, trace_id id) {
  auto header = at_step(spi, si);
  header.trace = id;
  return header;
}

inline constexpr const char* forward_flow = "tcp 10.1.0.7:51514 > 203.0.113.9:80";

} // namespace glocal::dataplane::testing
