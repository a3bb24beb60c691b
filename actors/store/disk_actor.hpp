#pragma once
// The one actor of a store node that waits for the disk: group commit for all slots.
//
// Spawn it detached: a sync blocks its thread. Whatever arrives while a sync runs waits in the mailbox and is the next
// group: one write, one sync. A failed write is final: the state of the disk is unknown from then on, so every later
// write is refused too, and the operator is told.
// Messages: load_slots, persist (messages.hpp).

#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "base/histogram.hpp"
#include "runtime/observed.hpp"

#include <memory>
#include <string>
#include <vector>

namespace glocal::actors {

class disk_actor final : public runtime::observed_actor {
public:
  /// Slot writes in one group: bounds the memory of a group and the time of a sync.
  static constexpr std::size_t max_group = 1024;

  disk_actor(caf::actor_config& config, std::shared_ptr<store::engine> engine);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  struct waiter {
    caf::actor shard;
    store::revision index = 0;
    bool sync = false;
  };

  void add(store_messages::persist& request);
  void flush();

  std::shared_ptr<store::engine> engine_;
  std::vector<store::slot_write> group_;
  std::vector<waiter> waiters_;
  bool flush_pending_ = false;
  std::string broken_;
  std::uint64_t writes_ = 0, syncs_ = 0;
  std::size_t largest_group_ = 0;
  histogram sync_time_;
};

} // namespace glocal::actors
