#pragma once
// The pipeline of one edge: what DESIGN section 2 calls the fast path, and what happens on a miss.
//
//   receive → parse → (underlay: decapsulate | attachment, arm: local duties) → exact match → step or EID → send
//                                                        └ miss → path table | classifier → hold and packet-in
//
// Packets as most are take a short way through the same stages, and the long one as soon as anything is unusual.
//
// Files follow the packet: edge_switch.cpp (receive, match, miss), edge_switch_simple.cpp (the short way),
// edge_switch_flows.cpp (install, hold, release, end),
// edge_switch_errors.cpp (ICMP errors), edge_switch_output.cpp (steps, EID routing, encapsulation, next hops),
// edge_switch_commands.cpp (the agent's orders), edge_switch_probe.cpp (what would become of a packet).
//
// Invariants: every packet that enters is in exactly one of the tx queue, a hold, or a drop counter; at most one
// packet-in is outstanding per flow and per path; after construction nothing is allocated or freed.
// Threading: one thread, the lcore. Its agent speaks through lcore_channel.

#include "dataplane/switch/flow_table.hpp"
#include "dataplane/switch/hold_buffer.hpp"
#include "dataplane/switch/lcore_channel.hpp"
#include "dataplane/switch/neighbour_table.hpp"
#include "dataplane/switch/path_table.hpp"
#include "dataplane/switch/port_table.hpp"
#include "dataplane/switch/token_bucket.hpp"
#include "dataplane/switch/tracer.hpp"
#include "dataplane/switch/tunnel_table.hpp"
#include "dataplane/switch/tx_queue.hpp"
#include "dataplane/wire/icmp_error.hpp"
#include "dataplane/wire/neighbour.hpp"
#include "dataplane/wire/simple_packet.hpp"

namespace glocal::dataplane {

class edge_switch {
public:
  /// With a flow file, takes over what is in it. @param border outlives the switch. @param now_ns CLOCK_MONOTONIC.
  edge_switch(const switch_config& config, lcore_channel& border, std::uint64_t now_ns = 0);

  /// Why nothing was taken over.
  [[nodiscard]] cold_start cold() const noexcept { return file_.cold(); }

  /// Takes over the packets of `burst`: up to 64 go through parsing, matching and classification together, so that the
  /// memory one stage needs is on its way while the stage before it works. @param now_ns CLOCK_MONOTONIC; never goes
  /// back between calls.
  void process_burst(std::span<const packet> burst, std::uint64_t now_ns, tx_sink& out) noexcept;

  /// Executes what the agent has submitted, up to `max_commands_at_once`. @return whether there was anything.
  bool execute_commands(std::uint64_t now_ns, tx_sink& out) noexcept;

  /// Does what time demands: questions repeated, holds and flows ended. Bounded work; call it when deadline() has come.
  void expire(std::uint64_t now_ns, tx_sink& out) noexcept;
  /// When expire() next has something to do; the end of time when there is nothing to wait for.
  [[nodiscard]] std::uint64_t deadline() const noexcept;

  /// Gives all held buffers back. Nothing else may be called afterwards.
  void shut_down(tx_sink& out) noexcept;

  /// Commands executed between two bursts: about 100 us of installs.
  static constexpr std::size_t max_commands_at_once = 256;

private:
  /// Most packets that go through the stages together.
  static constexpr std::size_t burst_packets = 64;

  /// A packet on its way through, with what is known about it so far.
  struct arrival {
    packet frame;
    parsed_packet parsed;
    place where;
    /// Service-plane hops left; arrivals from ports start with all.
    std::uint8_t nsh_ttl = nsh_initial_ttl;
    std::uint64_t received_ns = 0;

    [[nodiscard]] flow_key key() const noexcept { return {where, parsed.tuple}; }
  };

  /// What the classifier said about a packet whose burst it was asked about at once. A value of one burst and no part
  /// of an arrival: rule ids mean nothing once the rules are others, and a packet that is held may outlive them.
  struct classifier_answer {
    bool is_known = false;
    rule_id matched = no_rule;
  };

  /// A packet on the short way. Its frame is as it came in until it goes out, so that it may take the long way at any
  /// stage.
  struct simple_arrival {
    packet frame;
    simple_packet ip;
    const v4_port* port = nullptr;
  };

  /// What a hold waits for: an answer for a pending flow, or for a pending path.
  struct hold_subject {
    packet_in_reason reason = packet_in_reason::rule;
    /// Flow index, or path slot when reason is path_miss.
    std::uint32_t index = none;
    /// Whose share it is of; `no_port` for none's.
    port_id port = no_port;
  };
  using flow_holds = hold_buffer<arrival, hold_subject>;

  /// Holds whose pending flows gave way to a real one; released once that is in place.
  struct displaced_holds {
    std::array<std::uint32_t, max_flow_entries> slots;
    std::size_t count = 0;
  };

  // edge_switch.cpp: in
  void begin(std::uint64_t now_ns, tx_sink& out) noexcept;
  void finish() noexcept;
  void process_together(std::span<const packet> burst) noexcept;
  [[nodiscard]] bool admit(const packet& frame, arrival& in) noexcept;
  void classify_misses(std::size_t count) noexcept;
  [[nodiscard]] bool admit_from_underlay(const port_config& port, arrival& in) noexcept;
  [[nodiscard]] bool admit_from_host(const port_config& port, arrival& in) noexcept;
  [[nodiscard]] static bool is_our_echo(const port_config& port, const arrival& in) noexcept;
  [[nodiscard]] bool do_local_duty(const port_config& port, arrival& in) noexcept;
  void answer_neighbour(const port_config& port, arrival& in) noexcept;
  [[nodiscard]] drop_verdict refused_station(const port_config& port, const packet& frame) const noexcept;
  [[nodiscard]] drop_verdict refused_host(const port_config& port, const arrival& in) const noexcept;
  [[nodiscard]] bool follow_entry(arrival& in) noexcept;
  [[nodiscard]] bool follow_entry(arrival& in, flow_table::entry entry) noexcept;
  void miss(arrival& in) noexcept { miss(in, classifier_answer{}); }
  void miss(arrival& in, classifier_answer answer) noexcept;
  void miss_on_path(arrival& in) noexcept;
  void miss_on_attachment(arrival& in, classifier_answer answer) noexcept;
  [[nodiscard]] static drop_verdict unforwardable(const arrival& in) noexcept;
  [[nodiscard]] bool is_source_attached(const arrival& in) const noexcept;
  [[nodiscard]] std::optional<rule_outcome> classify(const arrival& in, classifier_answer answer) const noexcept;
  void drop(const packet& gone, drop_reason reason) noexcept;

  // edge_switch_errors.cpp: ICMP errors of others, and ours
  void miss_of_error(arrival& in, const port_config& port) noexcept;
  void drop_with_error(arrival& in, drop_reason reason, icmp_error what, std::size_t mtu,
                       const port_config& at) noexcept;

  // edge_switch_simple.cpp: the short way. What answers false has done nothing.
  [[nodiscard]] bool admit_simple(const packet& frame, simple_arrival& in) const noexcept;
  [[nodiscard]] bool forward_simple(simple_arrival& in, flow_table::entry entry) noexcept;
  [[nodiscard]] bool forward_simple_miss(simple_arrival& in, classifier_answer answer) noexcept;
  [[nodiscard]] bool step_simple(simple_arrival& in, const path_program& path, path_step step,
                                 const eid_route* route) noexcept;
  [[nodiscard]] bool route_simple(simple_arrival& in, const eid_route* route, const overlay_header& header) noexcept;
  [[nodiscard]] bool deliver_simple(simple_arrival& in, port_id port) noexcept;
  [[nodiscard]] bool encapsulate_simple(simple_arrival& in, const ip_address& rloc,
                                        const overlay_header& header) noexcept;

  // edge_switch_flows.cpp: flows and holds
  [[nodiscard]] bool is_fresh(std::uint32_t index, bool may_begin) const noexcept;
  [[nodiscard]] bool is_current(std::uint32_t index, const arrival& in) noexcept;
  void touch(std::uint32_t index, std::uint32_t ip_bytes, std::uint8_t tcp_flags, direction way) noexcept;
  void touch(std::uint32_t index, const arrival& in, direction way) noexcept {
    touch(index, in.parsed.ip_total_length, in.parsed.tcp_flags, way);
  }
  void count_entry(std::uint32_t ip_bytes, std::uint16_t account, direction way) noexcept;
  [[nodiscard]] std::uint32_t install(const install_flow& order, std::uint32_t path_slot,
                                      displaced_holds& displaced) noexcept;
  [[nodiscard]] bool program(std::uint32_t index, displaced_holds& displaced) noexcept;
  void install_by_eid(arrival& in) noexcept;
  void ask_agent(arrival& in, packet_in_reason reason, std::uint64_t rule_cookie) noexcept;
  void ask_agent_for_path(arrival& in, std::uint32_t path) noexcept;
  [[nodiscard]] bool raise(std::uint32_t hold, arrival& in, std::uint64_t rule_cookie) noexcept;
  [[nodiscard]] drop_verdict refused_question(port_id from) noexcept;
  void close_hold(std::uint32_t hold) noexcept;
  void hold_behind(std::uint32_t hold, arrival& in) noexcept;
  void release(std::uint32_t hold) noexcept;
  void release(const displaced_holds& displaced) noexcept;
  void drop_held(std::uint32_t hold, drop_reason reason) noexcept;
  void refuse_flow(const flow_key& key, drop_reason reason) noexcept;
  void note_held() noexcept;
  void end_flow(std::uint32_t index, removal why) noexcept;
  [[nodiscard]] std::uint32_t make_flow(flow::kind what, std::uint32_t tenant, const five_tuple& forward) noexcept;
  [[nodiscard]] bool revive(const arrival& in) noexcept;
  void end_due_flows() noexcept;
  void tell_restored_paths() noexcept;

  // edge_switch_output.cpp: out
  void take_step(arrival& in, const path_program& path, path_step step, const eid_route* route) noexcept;
  void route_by_eid(arrival& in, const eid_route* route, const overlay_header& header) noexcept;
  void deliver(arrival& in, port_id port) noexcept;
  void encapsulate_to(arrival& in, const ip_address& rloc, const overlay_header& header) noexcept;
  [[nodiscard]] drop_verdict encapsulate_traced(arrival& in, const tunnel_table::way& way,
                                                const overlay_header& header) noexcept;
  void send(const port_config& port, const ip_address& hop, packet frame) noexcept;
  void learn(const port_config& port, const ip_address& address, const mac_address& mac, bool create) noexcept;
  void solicit(const neighbour& wanted) noexcept;
  void drop_unresolved(std::uint32_t neighbour) noexcept;

  // edge_switch_commands.cpp
  void execute(std::monostate&) noexcept {}
  void execute(add_port& order) noexcept;
  void execute(remove_port& order) noexcept;
  void execute(set_classifier& order) noexcept;
  void execute(set_mappings& order) noexcept;
  void execute(set_known_rlocs& order) noexcept;
  void execute(set_path& order) noexcept;
  void execute(remove_path& order) noexcept;
  void execute(install_flow& order) noexcept;
  void execute(refuse& order) noexcept;
  void execute(remove_flow& order) noexcept;
  void execute(start_trace& order) noexcept;
  void execute(stop_trace& order) noexcept;
  void execute(probe& order) noexcept;
  template <class Predicate>
  void end_flows_if(Predicate&& ends) noexcept;

  // edge_switch_probe.cpp
  [[nodiscard]] drop_verdict probe_packet(arrival& in) noexcept;
  [[nodiscard]] drop_verdict probe_entry(const arrival& in, flow_table::entry entry) noexcept;
  [[nodiscard]] drop_verdict probe_miss(const arrival& in, const port_config& port) noexcept;
  [[nodiscard]] drop_verdict probe_route(const arrival& in, const overlay_header& header) noexcept;
  [[nodiscard]] drop_verdict probe_delivery(const arrival& in, port_id port) noexcept;
  [[nodiscard]] drop_verdict probe_tunnel(const arrival& in, const ip_address& rloc,
                                          const overlay_header& header) noexcept;

  const switch_config config_;
  lcore_channel& border_;
  counters& counters_;

  port_table ports_;
  flow_file file_;
  path_table paths_;
  flow_table flows_;
  flow_holds holds_;
  neighbour_table neighbours_;
  tunnel_table tunnels_;
  tracer tracer_;
  tx_queues tx_;
  classifier_ptr rules_;
  std::shared_ptr<const eid_table> eids_;
  std::vector<ip_address> known_rlocs_;
  /// By port: what it may ask and be told. By the lowest port of a tenant: what that may ask.
  struct port_budget {
    token_bucket packet_ins, tenant_packet_ins, errors;
    std::uint32_t holds = 0;
    port_id tenant = 0;
  };
  std::vector<port_budget> budgets_{max_ports};
  std::uint32_t rules_generation_ = 0, eid_generation_ = 0;

  /// Of the flow file, those the agent was not told of yet.
  std::vector<std::uint32_t> restored_paths_;
  /// Of the call being executed.
  std::uint64_t now_ns_ = 0;
  /// Of the packets that go through the stages together.
  std::array<arrival, burst_packets> arrivals_;
  std::array<simple_arrival, burst_packets> simple_;
  std::array<bool, burst_packets> is_simple_{};
  std::array<match_table::prepared, burst_packets> keys_;
  std::array<flow_table::entry, burst_packets> entries_;
  std::array<classifier_answer, burst_packets> answers_;
  tx_sink* out_ = nullptr;
};

} // namespace glocal::dataplane
