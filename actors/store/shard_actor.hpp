#pragma once
// One replica of one slot: feeds a store::replica, sends what is to be durable to the disks, asks the register, and
// gives everything else to the node.
//
// What goes to the log keeps its order: while a snapshot is being installed in the engine, the log waits for it.
// Messages: shard_input and snapshot_slot from the node; what disks and register answer (messages.hpp).

#include "actors/store/engine_backlog.hpp"
#include "actors/store/messages.hpp"
#include "runtime/observed.hpp"
#include "store/replica.hpp"

#include <deque>
#include <memory>
#include <string>

namespace glocal::actors {

/// Whom a shard answers, writes to and asks.
struct shard_surroundings {
  caf::actor node, log, engine, config;
  std::shared_ptr<engine_backlog> backlog;
};

class shard_actor final : public runtime::observed_actor {
public:
  /// @param placed who should hold the slot.
  shard_actor(caf::actor_config& config, store::slot_id slot, store::replica replica,
              const store::placement_event& placed, shard_surroundings around);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  void step(store::replica_event event);
  void place(const store::placement_event& where);
  void finish();
  void carry_out(store::replica_action& action);
  void append(store_messages::log_append record);
  void on_installed(const store_messages::engine_installed& done);
  [[nodiscard]] bool is_whole() const;

  const store::slot_id slot_;
  store::replica replica_;
  std::vector<store::node_name> desired_;
  shard_surroundings around_;
  store_messages::shard_output output_;
  store_messages::engine_apply applied_;
  /// Installs the engine has not confirmed; what follows them in the log waits.
  std::size_t installing_ = 0;
  std::deque<store_messages::log_append> held_;
  std::string failure_;
  /// What the node was told last.
  bool serving_ = false, current_ = false, whole_ = false;
  std::uint64_t view_ = 0;
};

} // namespace glocal::actors
