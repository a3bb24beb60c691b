#pragma once
// The one actor of a store node that waits for the log: one write and one sync for all slots.
//
// Spawn it detached: a sync blocks its thread. Whatever arrives while a sync runs waits in the mailbox and is the next
// group. A failed write is final: the state of the disk is unknown from then on, so every later write is refused too,
// and the operator is told. It also reads back, at start, what engine and log have of each slot.
// Messages: load_slots, log_append, log_release (messages.hpp).

#include "actors/store/engine_backlog.hpp"
#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "actors/store/storage.hpp"
#include "base/histogram.hpp"
#include "runtime/observed.hpp"
#include "store/segment_log.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace glocal::actors {

class log_actor final : public runtime::observed_actor {
public:
  /// Appended bytes in one group: bounds its memory and the time of a sync.
  static constexpr std::size_t max_group_bytes = std::size_t{4} << 20;

  log_actor(caf::actor_config& config, store_storage storage, std::shared_ptr<const engine_backlog> backlog);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of other actors: handles in a circle would keep all of them, and a detached one's thread, for ever.
  void on_exit() override;

private:
  caf::result<store_messages::loaded_slots> load(const std::vector<store::slot_id>& wanted);
  [[nodiscard]] expected<std::unique_ptr<store::log_disk>, store::log_failure> open_files();
  void append(const store_messages::log_append& request);
  void flush();
  void fail(const std::string& why);

  store_storage storage_;
  std::shared_ptr<const engine_backlog> backlog_;
  std::optional<store::segment_log> log_;
  /// Who waits for the group, and for which of its writes: the last one.
  std::map<store::slot_id, std::pair<caf::actor, std::uint64_t>> waiters_;
  std::vector<store_messages::log_release> releases_;
  bool flush_pending_ = false;
  std::string broken_;
  std::uint64_t records_ = 0, syncs_ = 0, paced_ = 0;
  histogram sync_time_;
};

} // namespace glocal::actors
