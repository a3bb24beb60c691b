#pragma once
// A store node's part in deciding where slots are: knows the decision, tells its store_node, and changes it.
//
// The decision (store/placement.hpp) is a row of the store itself, in a table of its own: replicated, durable, watched
// by all, and changed by compare-and-set alone. Of the store nodes that see each other the one with the lowest name
// plans. Two that both think so do no harm: what is under way is part of the row, so one's change makes the other's
// fail. It follows that nobody has to hold a lock, and that nothing waits for one when its holder is gone.
//
// Messages: drain_request, rebalance_request (messages.hpp), from any node's operator: any store node can.
// Timer: one a second; while slots move, and this node plans, five.

#include "actors/store/actor_store.hpp"
#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"
#include "store/placement.hpp"

#include <caf/response_promise.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>

namespace glocal::actors {

struct placement_settings {
  /// The same on every node of the cluster; this node is the transport's.
  std::shared_ptr<const store::hash_ring> ring;
  std::size_t replicas = 3;
  std::chrono::milliseconds pause{1000}, busy_pause{200};
};

/// Register it under placement_name. REQUIRES: the node's store_node is registered in the transport's directory.
class placement_actor final : public runtime::observed_actor {
public:
  placement_actor(caf::actor_config& config, placement_settings settings, runtime::transport transport,
                  caf::actor client);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  void on_exit() override { client_ = {}; }

private:
  using views = std::vector<std::optional<store::register_value>>;

  void read();
  /// @param version of the row; 0: there is none.
  void adopt(store::revision version, const std::string& value);
  void watch_row();
  void on_delivery(const store_messages::watch_delivery& delivery);
  void plan();
  void decide(const views& known);
  /// Writes it over what is known; then, whatever came of it, `then` with whether it was done.
  void propose(const store::placement& next, std::function<void(bool)> then);
  void change(const std::shared_ptr<std::function<void()>>& attempt);
  caf::response_promise drain(const store_messages::drain_request& asked);
  caf::response_promise rebalance(const store_messages::rebalance_request& asked);
  /// Calls `use` with what the register says of all slots; not at all when the node does not answer.
  void ask_views(std::vector<store::slot_id> fresh, std::function<void(const views&)> use);
  [[nodiscard]] store::cluster_sight sight(const views& known) const;
  [[nodiscard]] bool plans() const;
  void arm();

  const placement_settings settings_;
  const runtime::transport transport_;
  caf::actor client_;
  actor_store store_;
  const store::slot_id row_slot_;
  std::set<std::string> peers_;

  /// Known at all; then its version, 0 while there is no row.
  std::optional<store::revision> version_;
  std::shared_ptr<const store::placement> now_;
  /// Slots that have to move yet, as of the last look.
  std::size_t left_ = 0;
  bool reading_ = false, planning_ = false, proposing_ = false, armed_ = false;
  std::string fault_;
  std::uint64_t decisions_ = 0, lost_races_ = 0;
};

} // namespace glocal::actors
