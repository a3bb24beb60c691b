#pragma once
// The MANO of one service at one edge: decides the chain of every new flow that begins here, from global state.
//
// The walk of a first packet (paper, "Global State, Local Decisions"; DESIGN section 2), one step after the other:
//   packet_in_batch → decided before? → choose a chain → the chain's path → one put_if_absent → program
// Decide first, then one round trip: nothing is read before the write. The winner of the write is the truth, also when
// another edge's decision won. A chain used for the first time costs a second round trip, for its path.
//
// When the store does not answer, the service's `on_store_loss` speaks, within the store's time bound; or the flow is
// decided provisionally and published later (service_module_provisional.cpp), if the service's affinity says so.
// For a packet that is traced it also writes down what it saw and did (trace_book.hpp); foretell() answers what it
// would do, by the same choice made on a copy.
//
// State: rebuilt from watches after a restart; what an earlier incarnation decided is found again by put_if_absent.

#include "actors/edge/chain_chooser.hpp"
#include "actors/edge/messages.hpp"
#include "actors/store/actor_store.hpp"
#include "base/histogram.hpp"
#include "runtime/directory.hpp"
#include "runtime/observed.hpp"

#include <caf/typed_response_promise.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

namespace glocal::actors {

/// Flows a module remembers as its own, about 300 bytes each. Beyond it decisions are made and published as ever, but
/// a miss costs a round trip, and the entry goes with the edge's lease instead of with the flow.
inline constexpr std::size_t max_remembered_flows = 1u << 20;

struct service_module_settings {
  model::service service;
  /// Name of the edge, published as the flow's initiator.
  std::string edge;
  std::uint64_t cookie = 0;
  /// The edge's lease: its flows end with it.
  store::lease_id lease = 0;
  std::chrono::nanoseconds idle_timeout{0};
  /// When the store has not answered by then, `on_store_loss` speaks. Shorter than the switch's hold_timeout.
  std::chrono::milliseconds decision_deadline{2000};
  /// Of the random choices.
  std::uint64_t seed = 0;
  std::shared_ptr<trace_book> traces = std::make_shared<trace_book>();
};

class service_module : public runtime::observed_actor {
public:
  service_module(caf::actor_config& config, service_module_settings settings, caf::actor store_client,
                 std::shared_ptr<runtime::directory> directory);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  /// A flow between its choice and its publication.
  struct proposed_flow {
    dataplane::packet_in packet;
    std::string key;
    std::vector<std::string> chain;
    /// Of the chain; known when it is published.
    model::path_id path = 0;
  };
  /// A flow this edge decided: what to install again on a miss, and the version to erase; 0: not published yet.
  struct remembered_flow {
    model::flow_record record;
    store::revision version = 0;
    /// In unpublished_, or on its way to the store from there.
    bool awaits_publication = false;
  };
  /// What is known of one class, and since when.
  struct known_digest {
    std::vector<std::string> candidates;
    store::revision version = 0;
    std::chrono::steady_clock::time_point received;
    bool is_suspect = false;
    /// Of a class that is dealt into hands, this edge's, and whether it has been seen.
    std::uint32_t hand = 0;
    bool has_hand = false;
    store::watch_id hand_watch = 0;
  };
  struct tally {
    std::uint64_t packet_ins = 0, cached = 0, decided = 0, adopted = 0, paths_made = 0;
    std::uint64_t no_candidate = 0, store_failures = 0, ended = 0, provisional = 0, yielded = 0;
  };

  void watch_global_state();
  void follow_digest(const std::string& vnf_class, const store::watch_event& event);
  /// Watches the hand of a class that is this edge's.
  void follow_hand(const std::string& vnf_class, std::uint32_t hands);
  void take(const model::class_digest& digest, store::revision version);
  void follow_link(const store::watch_event& event);
  void decide(const packet_in_batch& batch);
  void make_path(const std::vector<std::string>& chain, model::path_id id, int attempts_left);
  void path_is_known(const std::vector<std::string>& chain, model::path_id id);
  void path_failed(const std::vector<std::string>& chain);
  void publish(std::vector<proposed_flow> flows);
  void adopt(const proposed_flow& flow, const store::op_result& result, program_flows& answers);
  [[nodiscard]] caf::result<foretold_decision> foretell(const dataplane::packet_in& packet);
  /// The service's fallback for a flow that can't be decided.
  [[nodiscard]] dataplane::refuse refusal(const dataplane::packet_in& packet, dataplane::drop_reason reason);
  [[nodiscard]] dataplane::install_flow installation(const model::flow_record& record, dataplane::hold_id hold) const;
  /// False when there is no room.
  bool remember(const std::string& key, const model::flow_record& record, store::revision version);
  void forget(const flows_ended& ended);
  void answer(program_flows answers);
  [[nodiscard]] bool ready() const;

  // service_module_provisional.cpp: flows that are programmed and not published.
  [[nodiscard]] bool decides_alone() const noexcept;
  void decide_provisionally(proposed_flow flow, program_flows& answers);
  [[nodiscard]] const std::pair<const std::vector<std::string>, model::path_id>*
  usable_path(const std::string& key) const;
  void publish_again();
  void await_publication(const std::string& key, remembered_flow& flow);
  void publish_later();
  void publish_waiting();
  void settle(const std::string& key, const expected<store::op_result, store::store_error>& result);
  void yield(const std::string& key, const model::flow_record& winner, store::revision version);

  // service_module_trace.cpp: what is written down of traced packets.
  /// An entry of this module; at_ns is now.
  [[nodiscard]] trace_entry entry(dataplane::trace_id trace, std::string what,
                                  std::vector<trace_field> fields = {}) const;
  void note(const dataplane::packet_in& packet, std::string what, std::vector<trace_field> fields = {});
  void note_choice(const dataplane::packet_in& packet, const std::vector<std::string>& chain,
                   const chain_chooser::explanation& why);
  void note_publication(const proposed_flow& flow, const store::op_result& result, std::chrono::nanoseconds took);
  [[nodiscard]] std::vector<trace_choice> explained(const chain_chooser::explanation& why) const;
  [[nodiscard]] std::optional<model::service_path> path_of(model::path_id id) const;
  void foretell_publication(foretold_decision& decision, const dataplane::packet_in& packet,
                            const std::optional<store::entry>& found) const;

  const service_module_settings settings_;
  const std::shared_ptr<runtime::directory> directory_;
  actor_store store_;
  chain_chooser chooser_;
  /// Paths of this service by their chain, as published.
  std::map<std::vector<std::string>, model::path_id> paths_;
  /// Flows that wait for their chain's path to be published.
  std::map<std::vector<std::string>, std::vector<proposed_flow>> awaiting_path_;
  std::unordered_map<std::string, remembered_flow> flows_;
  /// Per class of the chain, as last seen.
  std::map<std::string, known_digest> digests_;
  bool paths_live_ = false;
  /// Keys of remembered flows to be published, in this order; of those that have ended meanwhile, too.
  std::deque<std::string> unpublished_;
  /// How many more are on their way to the store.
  std::size_t publishing_ = 0;
  bool publishes_later_ = false;
  /// The store did not answer lately: what may be decided without it is not made to wait for it.
  bool is_cut_off_ = false;
  std::chrono::steady_clock::time_point last_failure_;
  tally tally_;
  /// From handing the proposal to the store to its answer.
  histogram publish_latency_;
};

} // namespace glocal::actors
