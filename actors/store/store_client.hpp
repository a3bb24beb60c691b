#pragma once
// A node's way to the store: one actor that batches what its callers want per store node, retries until a deadline, and
// keeps their watches. Callers use it through actor_store.
//
// Where slots are it learns: first it believes the ring, then what nodes answer, and when they say that a slot is
// elsewhere, the cluster's placement, which it reads from the store. Where nobody knows who is a slot's primary, it
// asks one of its nodes after the other until the caller's deadline, and now and then one that should not have it:
// slots may all have moved since.
//
// Register it under store_client_name. Bounded: beyond `max_open_operations` callers get overloaded at once.
// Retries: a request that may or may not have happened is repeated; a conditional write that then finds exactly its own
// value reports success, and where entries are changed, timeout if it finds another: it may have been there first. A
// plain put or erase may happen twice so; where that matters, compare and set. Volatile tables are not retried: their
// writers repeat themselves anyway, and an old value must not overtake a newer one. Order is kept per caller and store
// node while nothing is retried.
//
// Files: store_client.cpp; store_client_routes.cpp (where slots are).

#include "actors/store/client_watches.hpp"
#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "base/histogram.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"
#include "store/hash_ring.hpp"

#include <caf/response_promise.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace glocal::actors {

struct store_client_settings {
  /// The same on every node of the cluster.
  std::shared_ptr<const store::hash_ring> ring;
  /// Copies of each slot, as the store nodes have it.
  std::size_t replicas = 3;
  /// Of one attempt; several fit a caller's deadline.
  std::chrono::milliseconds attempt_timeout{600};
  std::chrono::milliseconds retry_pause{50};
  /// Watches of a node that was silent for this long are suspect.
  std::chrono::milliseconds silence_limit{3000};
  /// Requests under way to one store node; what comes meanwhile is the next batch.
  std::size_t max_flights = 8;
  std::size_t max_open_operations = 65536;
};

class store_client final : public runtime::observed_actor {
public:
  store_client(caf::actor_config& config, store_client_settings settings, runtime::transport transport);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  /// A caller's batch until all its operations have an outcome.
  struct call {
    caf::response_promise promise;
    std::vector<store::op_result> results;
    std::size_t open = 0;
    std::optional<store::store_error> fault;
    store::timestamp started, deadline;
  };
  struct item {
    std::shared_ptr<call> owner;
    std::size_t place = 0;
    store::operation op;
    store::slot_id slot = 0;
    /// An earlier attempt may have happened.
    bool repeated = false;
    /// Attempts that only told us of another primary.
    std::uint8_t redirects = 0;
    /// Its lease was granted once more at a node that did not know it.
    bool regranted = false;
  };
  /// Where a slot's primary is thought to be.
  struct route {
    /// The slot's nodes, as indices in the ring; the one in front is asked.
    std::vector<std::size_t> hosts;
    /// Attempts since one last served it.
    std::size_t in_vain = 0;
  };
  struct lane {
    std::deque<item> queue;
    std::size_t flights = 0;
    /// When a request to it last came to nothing.
    std::optional<store::timestamp> failed{};
  };
  using flight = std::shared_ptr<std::vector<item>>;
  struct running_scan;
  struct lease_call;
  struct known_lease {
    std::chrono::milliseconds ttl{};
    /// When the last request that gave it time at every slot was sent.
    std::optional<store::timestamp> renewed;
  };

  caf::response_promise execute(store_messages::execute& request);
  void flush();
  void send_flight(std::size_t node);
  void land(std::size_t node, const flight& items, const runtime::wire_message& reply);
  void crash(std::size_t node, const flight& items, store::store_error why, bool may_have_happened);
  /// Tries an operation again, at once or after a pause, unless its caller's time is over.
  void again(item&& one, store::store_error why, bool at_once);
  /// A node says the slot is elsewhere. Whether that is worth trying at once.
  bool redirect(store::slot_id slot, std::size_t from, const store::node_name& primary);
  void move_on(store::slot_id slot, std::size_t from);
  /// Whom to ask: not one that has just failed, unless all have.
  [[nodiscard]] std::size_t node_of(store::slot_id slot);
  [[nodiscard]] bool has_just_failed(std::size_t node) const;
  [[nodiscard]] std::vector<route> first_routes() const;
  [[nodiscard]] client_watches::host_lists hosts() const;
  [[nodiscard]] std::optional<std::size_t> index_of(const store::node_name& name) const;
  /// Reads where slots are, unless it has just done so.
  void refresh_placement();
  void learn_placement(const store::entry& row);
  [[nodiscard]] bool fresh(store::lease_id lease) const;
  void finish(item&& one, store::op_result result, std::size_t node);
  void fail(item& one, store::store_error why);
  void settle(call& done);
  void wake_flush();

  caf::response_promise scan(store_messages::scan& request);
  void scan_node(const std::shared_ptr<running_scan>& scan);

  caf::response_promise lease(const store_messages::lease& request);
  void lease_round(const std::shared_ptr<lease_call>& lease);
  void land(const std::shared_ptr<lease_call>& lease, const runtime::wire_message& reply);
  void end_round(const std::shared_ptr<lease_call>& lease);
  void settle(lease_call& lease);
  void regrant(item&& one, std::size_t node);

  /// One attempt.
  void ask(std::size_t node, store::frame_kind kind, bytes body, store::timestamp deadline,
           const std::function<void(const runtime::wire_message&)>& then,
           const std::function<void(store::store_error, bool retry)>& otherwise);
  void later(std::function<void()> what);
  [[nodiscard]] store::timestamp now() const;
  [[nodiscard]] std::chrono::milliseconds attempt_time(store::timestamp deadline) const;
  [[nodiscard]] runtime::address address_of(std::size_t node) const;

  const store_client_settings settings_;
  const runtime::transport transport_;
  std::vector<lane> lanes_;   ///< per node of the ring
  std::vector<route> routes_; ///< per slot
  client_watches watches_;
  store::revision placement_ = 0;
  bool refreshing_ = false;
  std::optional<store::timestamp> refreshed_;
  std::map<store::lease_id, known_lease> leases_;
  std::size_t open_operations_ = 0;
  bool flush_pending_ = false, pause_armed_ = false;
  /// Wait for the end of the pause that runs.
  std::vector<item> paused_;
  std::uint64_t calls_ = 0, operations_ = 0, failures_ = 0, retries_ = 0, redirects_ = 0, frames_ = 0;
  histogram latency_;
};

} // namespace glocal::actors
