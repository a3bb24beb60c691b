#pragma once
// One slot of a store node: feeds a slot_state, sends its writes to the disk and everything else to the node.
// Messages: shard_input from the node, persisted and persist_failed from the disk.

#include "actors/store/messages.hpp"
#include "runtime/observed.hpp"
#include "store/slot_state.hpp"

namespace glocal::actors {

class shard_actor final : public runtime::observed_actor {
public:
  /// @param node, disk the actors this one answers and writes to.
  shard_actor(caf::actor_config& config, store::slot_id slot, store::slot_state state, caf::actor node,
              caf::actor disk);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  void step(store::slot_event event);

  const store::slot_id slot_;
  store::slot_state state_;
  caf::actor node_, disk_;
};

} // namespace glocal::actors
