#pragma once
// A store node's entry point: takes the frames of clients (docs/formats.md), splits batches over its shards and joins
// the answers, streams watches, and keeps the book of leases.
//
// Register it under store_node_name. It spawns its disk (detached) and one shard per slot of which the ring makes this
// node the first owner; they live and die with it: when one fails, all end, and the supervisor starts the node's store
// again from disk. Timers: one a second while there are streams or leases, else none.

#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "actors/store/slot_meters.hpp"
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
  store::slot_options slots;
  /// Off for deterministic tests, where the disk is memory.
  bool detached_disk = true;
  /// Frames under way; beyond it clients are told overloaded.
  std::size_t max_requests = 8192;
  /// Watches one client node may have open here.
  std::size_t max_streams_per_client = 1024;
  /// What is counted of each slot; outlives the actor. Nothing is where it is null.
  std::shared_ptr<slot_meters> meters;
};

class store_node final : public runtime::observed_actor {
public:
  /// @param engine opened by the caller, so that what is wrong with its directory is said at start.
  store_node(caf::actor_config& config, store_node_settings settings, runtime::transport transport,
             std::shared_ptr<store::engine> engine);

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
    std::optional<store::store_error> fault;
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
  /// A watch of one client over all slots here.
  struct stream {
    std::string client;
    store::subscription_id subscription = 0;
    std::uint64_t sequence = 0;
    std::vector<store::watch_record> waiting;
  };

  void start(store_messages::loaded_slots& loaded);
  answer on_request(const std::string& from, const runtime::wire_message& message);
  answer on_batch(byte_view body);
  answer on_scan(byte_view body);
  answer on_lease(byte_view body);
  answer on_watch(const std::string& client, byte_view body);
  void on_cast(const std::string& from, const runtime::wire_message& message);
  void on_peer_down(const std::string& node);
  void on_tick();

  void on_output(store_messages::shard_output& output);
  void handle(store::slot_id slot, store::reply_action& action);
  void handle(store::slot_id slot, store::scan_reply_action& action);
  void handle(store::slot_id slot, store::refuse_action& action);
  void handle(store::slot_id slot, store::publish_action& action);
  void handle(store::slot_id slot, store::lease_attached_action& action);
  void handle(store::slot_id slot, store::lease_detached_action& action);
  void handle(store::slot_id, store::persist_action&) {}

  void finish_part(store::request_id request, store::slot_id slot, joined_batch& batch);
  void walk_on(store::request_id request, walking_scan& scan);
  void end_stream(store::subscription_id id);
  void flush_streams();
  void to_shard(store::slot_id slot, store::slot_event event);
  void arm_tick();
  void count(const store::batch& operations);
  [[nodiscard]] store::timestamp now() const;
  [[nodiscard]] bool owns(store::slot_id slot) const noexcept { return slot < shards_.size() && shards_[slot]; }

  const store_node_settings settings_;
  const runtime::transport transport_;
  std::shared_ptr<store::engine> engine_;
  caf::actor disk_;
  /// Slots this node holds, ascending, and per slot of the ring its shard, null when it is another node's.
  std::vector<store::slot_id> slots_;
  std::vector<caf::actor> shards_;
  std::vector<std::size_t> keys_;
  std::vector<bool> failed_;
  bool ready_ = false, tick_armed_ = false, flush_pending_ = false;

  std::uint64_t next_id_ = 1;
  std::map<store::request_id, joined_batch> batches_;
  std::map<store::request_id, walking_scan> scans_;
  std::map<store::subscription_id, stream> streams_;
  /// (client, its subscription) → ours.
  std::map<std::pair<std::string, store::subscription_id>, store::subscription_id> stream_ids_;
  std::set<store::subscription_id> dirty_;
  store::lease_book leases_;
  store::store_counters counters_;
};

} // namespace glocal::actors
