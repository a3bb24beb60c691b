#pragma once
// The controller's hand on one edge's switch: the only actor that programs it and the only one that hears it.
//
// Up: drains the switch's events, hands first packets to the service modules, and answers by itself what needs no
// decision: a path that is not in the switch yet (path_miss) and flows somebody else decided (reply_rule, vnf_miss).
// Down: keeps rules, EID routes, known RLOCs and paths of the switch equal to the watched global state.
// A path is programmed when a flow first needs it and followed by watch from then on.
// Traces: starts and ends them, puts the switch's records into the trace book in words, and says what would become of a
// packet (switch_agent_trace.cpp).
//
// State: all of it is rebuilt after a restart, from watches and from what the controller and the VNF host say again;
// the switch keeps forwarding meanwhile.

#include "actors/edge/edge_view.hpp"
#include "actors/edge/messages.hpp"
#include "actors/edge/path_accounts.hpp"
#include "actors/edge/trace_steps.hpp"
#include "actors/store/actor_store.hpp"
#include "runtime/directory.hpp"
#include "runtime/observed.hpp"

#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace glocal::actors {

/// Commands waiting for a switch that is behind. Beyond it answers are dropped, and their holds time out in the switch.
inline constexpr std::size_t max_waiting_commands = 65'536;
/// Flows waiting for one path to be resolved; beyond it their holds time out in the switch.
inline constexpr std::size_t max_waiting_per_path = 4096;

struct switch_agent_settings {
  std::string node;
  /// Underlay and attachments, opened at start, with their ids.
  std::vector<dataplane::port_config> ports;
  std::vector<attachment_view> attachments;
  /// RLOCs of the cluster's edges: who may send over the overlay before anything is published.
  std::vector<ip_address> trusted_rlocs;
  /// Of reading flows and paths that others published. Shorter than the switch's hold_timeout.
  std::chrono::milliseconds decision_deadline{2000};
  std::shared_ptr<trace_book> traces = std::make_shared<trace_book>();
  /// Outlives the agent: a restarted one goes on counting where this one did.
  std::shared_ptr<path_accounts> accounts = std::make_shared<path_accounts>();
};

/// A trace that nobody has read for so long is ended: its reader was killed.
inline constexpr std::chrono::seconds trace_reader_patience{5};
/// Longest a trace may run.
inline constexpr std::chrono::minutes max_trace_duration{10};
/// Packets foretold at once.
inline constexpr std::size_t max_foretold_at_once = 16;

class switch_agent : public runtime::observed_actor {
public:
  /// @param southbound outlives the actor; its wake function sends wake_atom to this actor's name.
  switch_agent(caf::actor_config& config, switch_agent_settings settings, dataplane::southbound& southbound,
               caf::actor store_client, std::shared_ptr<runtime::directory> directory);

  caf::behavior make_behavior() override;
  /// Who waits for an answer may hold this actor.
  void on_exit() override { foretold_.clear(); }
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  /// What waits for a path to be resolved and programmed.
  struct path_wait {
    std::vector<dataplane::packet_in> misses;
    std::vector<dataplane::install_flow> installs;
    bool fetching = false;
  };
  struct tally {
    std::uint64_t packet_ins = 0, path_misses = 0, paths_resolved = 0, flows_looked_up = 0, flows_found = 0;
    std::uint64_t commands = 0, commands_dropped = 0, unclaimed = 0;
  };

  // Up: what the switch reports.
  void drain();
  void handle(std::span<const dataplane::event> events);
  void look_up_flows(std::vector<dataplane::packet_in> packets);
  void refuse_unknown(const dataplane::packet_in& packet);

  // Paths: from an id to a program in the switch.
  [[nodiscard]] path_wait* wait_for_path(model::path_id id);
  void install(const dataplane::install_flow& order);
  void advance(model::path_id id);
  void fetch_path(model::path_id id);
  void fetch_instances(model::path_id id, const std::vector<std::string>& names);
  void give_up(model::path_id id, dataplane::drop_reason reason);
  [[nodiscard]] bool program(const model::service_path& path);

  // Down: the switch follows the global state.
  void watch_global_state();
  void bind(const bind_services& bindings);
  /// @param routes whether EID routes and known RLOCs are concerned too.
  void mark_stale(bool routes);
  void refresh();
  void refresh_routes();
  caf::result<void> open(const open_instance& instance);
  void close(const close_instance& instance);
  void submit(dataplane::command order);
  void submit_waiting();

  [[nodiscard]] const service_binding* binding_of(std::uint64_t cookie) const;

  // switch_agent_trace.cpp
  using walk_promise = caf::typed_response_promise<foretold_walk>;
  /// A packet whose way is being foretold.
  struct foretelling {
    walk_promise promise;
    dataplane::packet_in packet;
    std::vector<dataplane::trace_record> records;
    std::vector<trace_entry> entries;
    std::chrono::steady_clock::time_point asked;
  };
  [[nodiscard]] caf::result<std::uint64_t> begin(const begin_trace& wanted);
  void await_trace_tick();
  void look_after_trace();
  void drain_traces();
  void file(const dataplane::trace_record& record);
  [[nodiscard]] trace_entry entry(dataplane::trace_id trace, std::string what,
                                  std::vector<trace_field> fields = {}) const;
  void note(dataplane::trace_id trace, std::string what, std::vector<trace_field> fields = {});
  /// Remembers that the answer to this packet-in concerns a traced packet.
  void expect_answer(const dataplane::packet_in& packet);
  /// The trace id of what the hold holds first, once; 0 when nobody traces it.
  [[nodiscard]] dataplane::trace_id traced(dataplane::hold_id hold);
  void note_answer(const dataplane::install_flow& order);
  void note_answer(const dataplane::refuse& order);
  [[nodiscard]] std::string where_of(const model::service_path& path) const;
  [[nodiscard]] dataplane::port_id port_named(const std::string& name) const;
  [[nodiscard]] caf::result<foretold_walk> foretell(const foretell_packet& question);
  void conclude(const std::shared_ptr<foretelling>& about);
  void foretell_decision_of(const std::shared_ptr<foretelling>& about);
  void foretell_lookup(const std::shared_ptr<foretelling>& about);
  void foretell_path(const std::shared_ptr<foretelling>& about, model::service_path path, dataplane::direction way,
                     std::size_t position);
  void walk(foretelling& about, const model::service_path& path, dataplane::direction way, std::size_t position);
  void route(foretelling& about, const std::string& from);
  void verdict(foretelling& about, const std::string& result, const std::string& node, const std::string& reason = {});
  [[nodiscard]] const model::eid_mapping* mapping_of(model::tenant_id tenant, const ip_address& address) const;

  const switch_agent_settings settings_;
  dataplane::southbound& southbound_;
  const std::shared_ptr<runtime::directory> directory_;
  actor_store store_;
  std::vector<dataplane::event> scratch_;
  std::vector<dataplane::trace_record> trace_scratch_;

  // The watched global state.
  std::map<model::path_id, model::service_path> paths_;
  std::map<std::string, model::vnf_instance> instances_;
  std::map<std::string, model::eid_mapping> mappings_;
  std::vector<service_binding> bindings_;
  bool mappings_live_ = false;

  /// Running instances of this node.
  std::map<std::string, arm_ports> local_;
  /// What the switch has, so that nothing is sent twice.
  std::map<model::path_id, dataplane::set_path> programmed_;
  std::map<model::path_id, path_wait> awaited_;
  bool stale_ = false, routes_stale_ = false;
  std::deque<dataplane::command> waiting_;
  switch_names names_;
  /// Holds of traced packets whose answers are outstanding; the oldest give way.
  std::map<dataplane::hold_id, dataplane::trace_id> traced_holds_;
  std::map<dataplane::trace_id, std::shared_ptr<foretelling>> foretold_;
  bool trace_tick_awaited_ = false;
  tally tally_;
};

} // namespace glocal::actors
