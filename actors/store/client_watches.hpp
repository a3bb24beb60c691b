#pragma once
// The watches of one store_client: streams, each of some slots of one watch at one node that has them, re-opened from
// the last revision after a loss.
//
// Any node that has a slot can serve it, as revisions are the same on all. A stream is lost when its node goes, when a
// sequence number is missing, when the node no longer names it in its progress marks, or when the node was silent for
// `silence_limit`; then its slots go to the next of their nodes. A node that can't serve some of the slots says which;
// only those go elsewhere. Watchers are told (suspect, then live) and never see a gap. Threading: within store_client.
// One coarse timer, and none without watches.

#include "actors/store/messages.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"
#include "store/hash_ring.hpp"
#include "store/watch_merge.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace glocal::actors {

class client_watches {
public:
  struct counters {
    std::uint64_t events = 0, streams_opened = 0, streams_lost = 0, suspects = 0, resyncs = 0;
  };
  /// Of each slot its nodes, as indices in the ring; the one in front is asked.
  using host_lists = std::vector<std::vector<std::size_t>>;

  /// @param elsewhere called when a node did not have what it should: slots may have moved.
  client_watches(runtime::observed_actor& self, runtime::transport transport,
                 std::shared_ptr<const store::hash_ring> ring, host_lists hosts, std::function<void()> elsewhere,
                 std::chrono::milliseconds silence_limit, std::chrono::milliseconds request_timeout);

  void open(const caf::actor& watcher, const store_messages::watch_open& request);
  void close(caf::actor_id watcher, store::watch_id id);
  void close_all(caf::actor_id watcher);
  /// Drops everything without telling anybody.
  void forget_all() { watches_.clear(); }
  /// Slots are there now. Streams that run stay where they are as long as they do.
  void place(host_lists hosts);

  void on_events(const std::string& from, store::watch_events&& events);
  void on_progress(const std::string& from, const store::watch_progress& progress);
  void on_peer_up(const std::string& node);
  void on_peer_down(const std::string& node);
  void on_tick();

  [[nodiscard]] std::size_t size() const noexcept { return watches_.size(); }
  [[nodiscard]] std::size_t suspect_count() const;
  [[nodiscard]] const counters& count() const noexcept { return counters_; }

private:
  using key = std::pair<caf::actor_id, store::watch_id>;
  struct stream {
    bool running = false;
    std::size_t node = 0;
    std::uint64_t sequence = 0; ///< last one received
    std::vector<store::slot_id> slots;
  };
  struct open_watch {
    caf::actor watcher;
    store::table of;
    std::string prefix;
    store::watch_merge merge;
    std::map<store::subscription_id, stream> streams;
    /// Slots that no stream carries.
    std::set<store::slot_id> loose;
  };

  /// Opens streams for all loose slots.
  void subscribe(const key& name);
  void subscribe_all();
  void open_stream(const key& name, std::size_t node, std::vector<store::slot_id> slots);
  void on_reply(const key& name, store::subscription_id id, const store::node_watch_reply& reply);
  /// Its slots are loose. @param elsewhere they go to other nodes.
  void lose(const key& name, open_watch& watch, store::subscription_id id, bool tell_node, bool elsewhere);
  /// Many small streams at one node become one.
  void join_streams(const key& name, open_watch& watch);
  void move_on(store::slot_id slot, std::size_t from);
  void cancel(std::size_t node, store::subscription_id subscription);
  void deliver(const key& name, open_watch& watch, std::vector<store::watch_event> events);
  void erase(std::map<key, std::unique_ptr<open_watch>>::iterator at);
  void arm_tick();
  [[nodiscard]] std::optional<std::size_t> index_of(const std::string& node) const;
  [[nodiscard]] runtime::address address_of(std::size_t node) const;

  runtime::observed_actor& self_;
  runtime::transport transport_;
  std::shared_ptr<const store::hash_ring> ring_;
  host_lists hosts_;
  std::function<void()> elsewhere_;
  std::chrono::milliseconds silence_limit_, request_timeout_;
  std::vector<store::timestamp> heard_; ///< per node of the ring
  std::map<key, std::unique_ptr<open_watch>> watches_;
  /// Whose each stream is.
  std::map<store::subscription_id, key> subscriptions_;
  store::subscription_id next_subscription_;
  bool tick_armed_ = false;
  counters counters_;
};

} // namespace glocal::actors
