#include "actors/store/disk_actor.hpp"

#include "base/log.hpp"

#include <caf/sec.hpp>

#include <utility>

namespace glocal::actors {

namespace messages = store_messages;

disk_actor::disk_actor(caf::actor_config& config, std::shared_ptr<store::engine> engine)
    : runtime::observed_actor{config, "store disk", "store/disk"}, engine_{std::move(engine)} {}

caf::behavior disk_actor::make_behavior() {
  return {
      [this](const messages::load_slots& wanted) -> caf::result<messages::loaded_slots> {
        messages::loaded_slots out;
        for (const auto slot : wanted.slots) {
          auto image = engine_->load(slot);
          if (!image)
            return caf::make_error(caf::sec::runtime_error, image.error().message);
          out.images.push_back(std::move(*image));
        }
        return out;
      },
      [this](messages::persist& request) { add(request); },
      [this](flush_atom) {
        flush_pending_ = false;
        flush();
      },
  };
}

void disk_actor::add(messages::persist& request) {
  auto shard = caf::actor_cast<caf::actor>(current_sender());
  if (!broken_.empty())
    return send(shard, messages::persist_failed{broken_});
  waiters_.push_back({std::move(shard), request.write.index, request.sync});
  group_.push_back(std::move(request.write));
  if (group_.size() >= max_group)
    return flush();
  // Behind everything that is already in the mailbox: that is the group.
  if (!std::exchange(flush_pending_, true))
    send(this, flush_atom_v);
}

void disk_actor::flush() {
  if (group_.empty())
    return;
  bool sync = false;
  for (const auto& waiting : waiters_)
    sync |= waiting.sync;
  const auto begin = std::chrono::steady_clock::now();
  const auto written = engine_->write(group_, sync);
  if (sync)
    sync_time_.record(static_cast<std::uint64_t>((std::chrono::steady_clock::now() - begin).count()));
  ++writes_;
  syncs_ += sync;
  largest_group_ = std::max(largest_group_, group_.size());
  group_.clear();
  const auto waiters = std::exchange(waiters_, {});
  if (!written) {
    broken_ = written.error().message;
    spdlog::critical("{}; this node's store refuses all requests until it is restarted", broken_);
    note_error(broken_);
  }
  for (const auto& waiting : waiters) {
    if (!written)
      send(waiting.shard, messages::persist_failed{broken_});
    else if (waiting.sync)
      send(waiting.shard, messages::persisted{waiting.index});
  }
}

void disk_actor::on_exit() {
  waiters_.clear();
}

runtime::state_entries disk_actor::state_summary() const {
  return {{"writes", std::to_string(writes_)},
          {"syncs", std::to_string(syncs_)},
          {"largest_group", std::to_string(largest_group_)},
          {"sync_p50_us", std::to_string(sync_time_.quantile(0.5) / 1000)},
          {"sync_p99_us", std::to_string(sync_time_.quantile(0.99) / 1000)},
          {"broken", broken_.empty() ? "false" : "true"}};
}

} // namespace glocal::actors
