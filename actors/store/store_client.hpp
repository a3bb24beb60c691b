#pragma once
// A node's way to the store: one actor that batches what its callers want per store node, retries until a deadline, and
// keeps their watches. Callers use it through actor_store.
//
// Register it under store_client_name. Bounded: beyond `max_open_operations` callers get overloaded at once.
// Retries: a request that may or may not have happened is repeated; a conditional write that then finds exactly its own
// value reports success. Volatile tables are not retried: their writers repeat themselves anyway, and an old value must
// not overtake a newer one. Order is kept per caller and store node while nothing is retried.

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
  /// Of one attempt; several fit a caller's deadline.
  std::chrono::milliseconds attempt_timeout{600};
  std::chrono::milliseconds retry_pause{100};
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
    /// An earlier attempt may have happened.
    bool repeated = false;
  };
  struct lane {
    std::deque<item> queue;
    std::size_t flights = 0;
    store::timestamp not_before{};
  };
  using flight = std::shared_ptr<std::vector<item>>;
  struct running_scan;
  struct lease_call;
  struct known_lease {
    std::chrono::milliseconds ttl{};
    /// Per node: when the last request that gave it time was sent.
    std::vector<std::optional<store::timestamp>> renewed;
  };

  caf::response_promise execute(store_messages::execute& request);
  void flush();
  void send_flight(std::size_t node);
  void land(std::size_t node, const flight& items, const runtime::wire_message& reply);
  void crash(std::size_t node, const flight& items, store::store_error why, bool may_have_happened);
  void finish(item& one, store::op_result result);
  void fail(item& one, store::store_error why);
  void settle(call& done);
  void wake_flush(std::chrono::milliseconds after = {});

  caf::response_promise scan(store_messages::scan& request);
  void scan_node(const std::shared_ptr<running_scan>& scan);
  /// First slot of the first node from `node` on that holds any; a ring has at least one slot.
  [[nodiscard]] std::optional<store::slot_id> first_slot_from(std::size_t node) const;

  caf::response_promise lease(const store_messages::lease& request);
  void lease_node(const std::shared_ptr<lease_call>& lease, std::size_t node, store::lease_action action);
  void settle(lease_call& lease, std::size_t node, std::optional<store::store_error> fault);

  /// One request, repeated until `deadline`.
  void ask(std::size_t node, store::frame_kind kind, const shared_bytes& body, store::timestamp deadline,
           const std::function<void(const runtime::wire_message&)>& then,
           const std::function<void(store::store_error)>& otherwise);
  [[nodiscard]] store::timestamp now() const;
  [[nodiscard]] std::chrono::milliseconds attempt_time(store::timestamp deadline) const;
  [[nodiscard]] runtime::address address_of(std::size_t node) const;

  const store_client_settings settings_;
  const runtime::transport transport_;
  std::vector<lane> lanes_; ///< per node of the ring
  client_watches watches_;
  std::map<store::lease_id, known_lease> leases_;
  std::size_t open_operations_ = 0;
  bool flush_pending_ = false;
  std::uint64_t calls_ = 0, operations_ = 0, failures_ = 0, retries_ = 0, frames_ = 0;
  histogram latency_;
};

} // namespace glocal::actors
