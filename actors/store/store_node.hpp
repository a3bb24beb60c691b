#pragma once
// A store node's entry point: takes the frames of clients and of other store nodes (docs/formats.md), splits batches
// over its shards and joins the answers, brings their messages to the other replicas, streams watches, and keeps the
// book of leases.
//
// Register it under store_node_name. It spawns its log and engine (detached), its register, and one shard for each slot
// that the ring places here or that its disk has; they live and die with it: when one fails, all end, and the
// supervisor starts the node's store again from disk. What it tells another node goes in one frame for all slots.
// Timers: ticks of `tick`, and one a second while there are streams or leases.
//
// Files: store_node.cpp; store_node_watches.cpp (streams).

#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "actors/store/register_actor.hpp"
#include "actors/store/shard_actor.hpp"
#include "actors/store/slot_meters.hpp"
#include "actors/store/storage.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"
#include "store/hash_ring.hpp"
#include "store/lease_book.hpp"

#include <caf/response_promise.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace glocal::actors {

struct store_node_settings {
  /// The same on every node of the cluster; this node is the transport's.
  std::shared_ptr<const store::hash_ring> ring;
  /// Copies of each slot, as far as there are nodes.
  std::size_t replicas = 3;
  store::replica_options replica = default_replica_options();
  register_factory config_register;
  /// Time passes for replicas in such steps. A node's ticks go to all its shards at once, and their heartbeats travel
  /// together.
  std::chrono::milliseconds tick{25};
  /// Committed and not in the engine yet: the log waits beyond it.
  std::size_t max_backlog_bytes = std::size_t{64} << 20;
  /// Frames under way; beyond it clients are told overloaded.
  std::size_t max_requests = 8192;
  /// Watches one client node may have open here.
  std::size_t max_streams_per_client = 1024;
  /// What is counted of each slot; outlives the actor. Nothing is where it is null.
  std::shared_ptr<slot_meters> meters;

  /// The register is asked less often than a single simulated slot would: a node has hundreds of them.
  [[nodiscard]] static store::replica_options default_replica_options() {
    store::replica_options out;
    out.heartbeat = std::chrono::milliseconds{100};
    out.refresh = std::chrono::milliseconds{2000};
    return out;
  }
};

class store_node final : public runtime::observed_actor {
public:
  store_node(caf::actor_config& config, store_node_settings settings, runtime::transport transport,
             store_storage storage);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  using answer = caf::result<runtime::wire_message>;

  /// The operations of a batch that one slot has.
  struct batch_part {
    std::vector<std::size_t> places;
    slot_meters::tally kinds;
  };
  /// A batch of one client, spread over shards.
  struct joined_batch {
    caf::response_promise promise;
    std::vector<store::op_result> results;
    std::map<store::slot_id, batch_part> parts;
    store::timestamp came{};
    std::size_t open = 0;
    std::vector<store::slot_fault> faults;
  };
  /// A renewal or revocation, at all slots here that hold the lease.
  struct joined_lease {
    caf::response_promise promise;
    /// This node is their primary and has not refused.
    std::set<store::slot_id> slots;
    std::size_t open = 0;
    bool ended = false;
  };
  /// A scan that walks from shard to shard until its page is full.
  struct walking_scan {
    caf::response_promise promise;
    store::scan_request request;
    store::scan_part page;
    std::size_t bytes = 0;
    /// When the slot it is at was asked.
    store::timestamp asked{};
  };
  /// A watch of one client over some slots here.
  struct stream {
    std::string client;
    std::vector<store::slot_id> slots;
    store::subscription_id subscription = 0;
    std::uint64_t sequence = 0;
    std::vector<store::watch_record> waiting;
  };

  void start(store_messages::loaded_slots& loaded);
  /// Who should hold the slot, as far as this node knows.
  [[nodiscard]] store::placement_event placement_of(store::slot_id slot) const;
  void spawn_shard(store::slot_id slot, store::recovered_slot recovered);
  void on_placed(const store_messages::placed& decided);
  caf::response_promise on_views(const store_messages::views_request& asked);
  void learn_view(store::slot_id slot, const store::register_value& value);
  answer on_request(const std::string& from, const runtime::wire_message& message);
  answer on_batch(byte_view body);
  answer on_scan(byte_view body);
  answer on_lease(byte_view body);
  answer on_watch(const std::string& client, byte_view body);
  void on_cast(const std::string& from, const runtime::wire_message& message);
  void on_replica_messages(const std::string& from, byte_view body);
  void on_register_change(store_messages::register_changed& change);
  void on_peer_down(const std::string& node);
  void on_tick();

  caf::response_promise on_snapshot(const store_messages::snapshot_slot& asked);
  void on_output(store_messages::shard_output& output);
  void handle(store::slot_id slot, store::reply_action& action);
  void handle(store::slot_id slot, store::scan_reply_action& action);
  void handle(store::slot_id slot, store::refuse_action& action);
  void handle(store::slot_id slot, store::publish_action& action);
  void handle(store::slot_id slot, store::lease_attached_action& action);
  void handle(store::slot_id slot, store::lease_detached_action& action);
  void handle(store::slot_id slot, store::redirect_action& action);
  void handle(store::slot_id slot, store::send_action& action);
  /// Those that the shard carries out itself.
  template <class Other>
  void handle(store::slot_id, Other&) {}

  void refuse(store::request_id request, store::slot_fault fault);
  void finish_part(store::request_id request, store::slot_id slot, joined_batch& batch);
  void finish_part(store::request_id request, joined_lease& lease);
  [[nodiscard]] store::node_lease_reply lease_answer(const joined_lease& lease) const;
  void send_to_replicas();
  void tick_shards();
  void walk_on(store::request_id request, walking_scan& scan);
  void end_stream(store::subscription_id id);
  void flush_streams();
  void to_shard(store::slot_id slot, store::replica_event event);
  void arm_tick();
  void count(const store::batch& operations);
  [[nodiscard]] store::timestamp now() const;
  [[nodiscard]] bool holds(store::slot_id slot) const noexcept { return slot < shards_.size() && shards_[slot]; }
  [[nodiscard]] bool serves(store::slot_id slot) const noexcept { return holds(slot) && states_[slot].serving; }

  const store_node_settings settings_;
  const runtime::transport transport_;
  const store_storage storage_;
  const std::shared_ptr<engine_backlog> backlog_;
  caf::actor log_, engine_, register_;
  std::uint64_t incarnation_ = 0;
  struct slot_status {
    std::size_t keys = 0;
    bool serving = false, current = false, whole = false;
    std::string failure;
  };
  /// Slots this node holds, ascending, and per slot of the ring its shard, null when it is only at others.
  std::vector<store::slot_id> slots_;
  std::vector<caf::actor> shards_;
  std::vector<slot_status> states_;
  /// What the cluster has decided; null: nothing, as far as is known, which is so for certain when `is_placed_`.
  std::shared_ptr<const store::placement> placement_;
  bool is_placed_ = false;
  /// What the register says of each slot, also of those that are only at others.
  std::vector<std::optional<store::register_value>> views_;
  struct views_question {
    caf::response_promise promise;
    std::set<store::slot_id> open;
  };
  std::vector<views_question> views_asked_;
  /// By node: what its replicas are to be told.
  std::map<std::string, std::vector<store::replica_message>> outgoing_;
  bool ready_ = false, tick_armed_ = false, flush_pending_ = false;

  std::uint64_t next_id_ = 1;
  std::map<store::request_id, joined_batch> batches_;
  std::map<store::request_id, joined_lease> renewals_;
  std::map<store::request_id, walking_scan> scans_;
  std::map<store::request_id, caf::response_promise> snapshots_;
  std::map<store::subscription_id, stream> streams_;
  /// (client, its subscription) → ours.
  std::map<std::pair<std::string, store::subscription_id>, store::subscription_id> stream_ids_;
  std::set<store::subscription_id> dirty_;
  store::lease_book leases_;
  store::store_counters counters_;
};

} // namespace glocal::actors
