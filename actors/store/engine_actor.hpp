#pragma once
// Brings what is committed to the engine, behind the log: nobody waits for it but who installs a snapshot.
//
// Spawn it detached: the engine's writes and flushes block its thread. What arrives meanwhile is one write. It flushes
// when `flush_bytes` were applied, or `flush_after` the first of them, and tells the shards, whose log may then go.
// Messages: engine_apply, engine_install (messages.hpp).

#include "actors/store/engine_backlog.hpp"
#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "base/histogram.hpp"
#include "runtime/observed.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace glocal::actors {

class engine_actor final : public runtime::observed_actor {
public:
  /// Replayed at a restart, at most, besides what waits; a flush of it takes about 0.2 s.
  static constexpr std::size_t flush_bytes = std::size_t{32} << 20;
  static constexpr std::chrono::seconds flush_after{30};
  /// Slot writes in one write of the engine.
  static constexpr std::size_t max_group = 4096;

  engine_actor(caf::actor_config& config, std::shared_ptr<store::engine> engine,
               std::shared_ptr<engine_backlog> backlog);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  void apply();
  void install(const store_messages::engine_install& request);
  void flush();
  void fail(const std::string& why);
  void wake();

  std::shared_ptr<store::engine> engine_;
  std::shared_ptr<engine_backlog> backlog_;
  std::vector<store::slot_write> group_;
  std::size_t group_bytes_ = 0, unflushed_bytes_ = 0;
  struct applied_slot {
    caf::actor shard;
    store::log_index index = 0;
  };
  /// Since the last flush.
  std::map<store::slot_id, applied_slot> applied_;
  std::vector<std::pair<caf::actor, store_messages::engine_installed>> installed_;
  bool wake_pending_ = false, tick_armed_ = false;
  std::string broken_;
  std::uint64_t writes_ = 0, flushes_ = 0;
  histogram write_time_;
};

} // namespace glocal::actors
