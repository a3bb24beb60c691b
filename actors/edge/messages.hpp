#pragma once
// What the actors of one edge say to each other, and how they are named. Local to the process: nothing here crosses a
// node. Actors find each other by name in the node's directory at each send, so a restarted one is found again.

#include "actors/edge/trace_book.hpp"
#include "actors/model/model.hpp"
#include "dataplane/switch/probe_frame.hpp"
#include "dataplane/switch/southbound.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace glocal::actors {

namespace edge_names {
[[nodiscard]] inline std::string switch_agent(const std::string& node) {
  return "edge/" + node + "/switch";
}
[[nodiscard]] inline std::string controller(const std::string& node) {
  return "edge/" + node + "/controller";
}
[[nodiscard]] inline std::string vnf_host(const std::string& node) {
  return "edge/" + node + "/vnfs";
}
[[nodiscard]] inline std::string service_module(const std::string& node, const std::string& service) {
  return "edge/" + node + "/service/" + service;
}
[[nodiscard]] inline std::string vnf_monitor(const std::string& node, const std::string& instance) {
  return "edge/" + node + "/vnf/" + instance;
}
} // namespace edge_names

/// Switch agent → service module: first packets of flows, held by the switch until the module answers.
struct packet_in_batch {
  std::vector<dataplane::packet_in> items;
};

/// Switch agent → service module: flows it owned have ended.
struct flows_ended {
  std::vector<dataplane::flow_removed> items;
};

/// Service module → switch agent: the answers to a packet_in_batch. `paths` are those the switch may not know yet.
struct program_flows {
  std::vector<model::service_path> paths;
  std::vector<dataplane::install_flow> installs;
  std::vector<dataplane::refuse> refusals;
};

/// Edge controller → switch agent: the services of this edge, complete.
struct service_binding {
  /// Of the service's rules; names the service in packet-ins and flow_removed.
  std::uint64_t cookie = 0;
  model::service service;
  /// A reply that nobody knows is dropped when a class of the chain keeps state, and passed otherwise.
  bool stateful = true;

  bool operator==(const service_binding&) const = default;
};
struct bind_services {
  std::vector<service_binding> services;
};

/// VNF host → switch agent: opens the ports of an instance; answered (with nothing) when the switch has them, else with
/// an error that says why.
struct open_instance {
  std::string instance;
  dataplane::port_config in, out;
};
struct close_instance {
  std::string instance;
};

/// Switch agent → edge controller and VNF host: a new agent knows neither services nor local instances; say them again.
struct agent_started {};

/// Switch agent → service module: what would be decided for `packet` if it came now; answered with foretold_decision.
struct foretell_decision {
  dataplane::packet_in packet;
};
struct foretold_decision {
  std::vector<trace_entry> entries;
  /// The flow's path, also when it has yet to be made. Nothing when the flow would be refused.
  std::optional<model::service_path> path;
  /// Then the service's fallback: by destination EID, or drop under `refusal`.
  bool pass = false;
  dataplane::drop_reason refusal = dataplane::drop_reason::decision_refused;
};

/// API → switch agent: traces packets. Answered with the session's id, whose low 24 bits are the upper ones of its
/// packets' trace ids, or an error that says what is wrong: a trace runs already, no such port.
struct begin_trace {
  dataplane::trace_filter filter;
  /// A port's name; empty: any.
  std::string port;
  std::uint32_t packets = 10;
  std::chrono::milliseconds duration{30'000};
  bool drops_only = false, anywhere = false;
  /// Ends a trace that runs already.
  bool replace = false;
};
struct end_trace {
  std::uint64_t session = 0;
};

/// API → switch agent: what would become of a packet. Answered with foretold_walk, or an error.
struct foretell_packet {
  dataplane::probe_fields fields;
  /// A port's name; empty: the attachment the source is of.
  std::string port;
};
struct foretold_walk {
  /// The last is "verdict".
  std::vector<trace_entry> entries;
};

/// Edge controller → service modules: the edge's lease ran out and was granted again; what hung on it must be
/// published again.
struct lease_regained {};

} // namespace glocal::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::packet_in_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::flows_ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::program_flows)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::bind_services)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::open_instance)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::close_instance)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::agent_started)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::foretell_decision)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::foretold_decision)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::begin_trace)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::end_trace)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::foretell_packet)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::foretold_walk)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::lease_regained)
