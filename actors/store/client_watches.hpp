#pragma once
// The watches of one store_client: one stream per watch and group of slots, re-opened from the last revision after a
// loss.
//
// Slots that the ring gives to the same nodes, in the same order, are a group; any of these nodes can serve its
// streams, as revisions are the same on all. A stream is lost when its node goes, when a sequence number is missing,
// when the node no longer names it in its progress marks, or when the node was silent for `silence_limit`; then its
// group goes to the next of its nodes. Watchers are told (suspect, then live) and never see a gap. Threading: within
// store_client. One coarse timer, and none without watches.

#include "actors/store/messages.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"
#include "store/hash_ring.hpp"
#include "store/watch_merge.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace glocal::actors {

class client_watches {
public:
  struct counters {
    std::uint64_t events = 0, streams_opened = 0, streams_lost = 0, suspects = 0, resyncs = 0;
  };

  client_watches(runtime::observed_actor& self, runtime::transport transport,
                 std::shared_ptr<const store::hash_ring> ring, std::size_t replicas,
                 std::chrono::milliseconds silence_limit, std::chrono::milliseconds request_timeout);

  void open(const caf::actor& watcher, const store_messages::watch_open& request);
  void close(caf::actor_id watcher, store::watch_id id);
  void close_all(caf::actor_id watcher);
  /// Drops everything without telling anybody.
  void forget_all() { watches_.clear(); }

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
  enum class phase { idle, opening, running };
  struct stream {
    phase state = phase::idle;
    store::subscription_id subscription = 0;
    std::uint64_t sequence = 0; ///< last one received
    std::size_t node = 0;       ///< that it was asked of
  };
  struct open_watch {
    caf::actor watcher;
    store::table of;
    std::string prefix;
    std::optional<store::slot_id> only;
    store::watch_merge merge;
    std::vector<stream> streams; ///< per group
  };
  struct group {
    std::vector<store::slot_id> slots;
    /// Nodes that have them, as indices in the ring; the one in front is asked.
    std::vector<std::size_t> hosts;
  };

  /// Of a group, those that the watch is about.
  [[nodiscard]] std::vector<store::slot_id> slots_of(std::size_t group, std::optional<store::slot_id> only) const;
  void subscribe(const key& name, std::size_t group);
  /// @param elsewhere the group goes to another node.
  void lose(const key& name, open_watch& watch, std::size_t group, bool tell_node, bool elsewhere);
  void move_on(std::size_t group);
  void cancel(std::size_t node, store::subscription_id subscription);
  void deliver(const key& name, open_watch& watch, std::vector<store::watch_event> events);
  void erase(std::map<key, std::unique_ptr<open_watch>>::iterator at);
  void arm_tick();
  [[nodiscard]] std::optional<std::size_t> index_of(const std::string& node) const;
  [[nodiscard]] runtime::address address_of(std::size_t node) const;

  runtime::observed_actor& self_;
  runtime::transport transport_;
  std::shared_ptr<const store::hash_ring> ring_;
  std::chrono::milliseconds silence_limit_, request_timeout_;
  std::vector<group> groups_;
  std::vector<store::timestamp> heard_; ///< per node of the ring
  std::map<key, std::unique_ptr<open_watch>> watches_;
  /// Of streams that open or run.
  std::map<store::subscription_id, std::pair<key, std::size_t>> subscriptions_;
  store::subscription_id next_subscription_;
  bool tick_armed_ = false;
  counters counters_;
};

} // namespace glocal::actors
