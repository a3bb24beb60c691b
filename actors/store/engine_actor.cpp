#include "actors/store/engine_actor.hpp"

#include "base/log.hpp"

#include <iterator>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;

engine_actor::engine_actor(caf::actor_config& config, std::shared_ptr<store::engine> engine,
                           std::shared_ptr<engine_backlog> backlog)
    : runtime::observed_actor{config, "store engine", "store/engine"}, engine_{std::move(engine)}, backlog_{std::move(
                                                                                                       backlog)} {}

caf::behavior engine_actor::make_behavior() {
  return {
      [this](messages::engine_apply& request) {
        auto shard = caf::actor_cast<caf::actor>(current_sender());
        group_bytes_ += request.size_bytes;
        if (!broken_.empty()) {
          backlog_->remove(std::exchange(group_bytes_, 0));
          return send(shard, messages::disk_failed{broken_});
        }
        if (!request.writes.empty())
          applied_[request.writes.back().slot] = {std::move(shard), request.writes.back().at.index};
        std::ranges::move(request.writes, std::back_inserter(group_));
        if (group_.size() >= max_group)
          apply();
        else
          wake();
      },
      [this](const messages::engine_install& request) { install(request); },
      [this](flush_atom) {
        wake_pending_ = false;
        apply();
        if (!installed_.empty() || unflushed_bytes_ >= flush_bytes)
          flush();
      },
      [this](runtime::tick_atom) {
        tick_armed_ = false;
        apply();
        flush();
      },
  };
}

/// Behind everything that is already in the mailbox: that is the group.
void engine_actor::wake() {
  if (!std::exchange(wake_pending_, true))
    send(this, flush_atom_v);
  if (!std::exchange(tick_armed_, true))
    delayed_send(this, flush_after, runtime::tick_atom_v);
}

void engine_actor::apply() {
  if (group_.empty())
    return backlog_->remove(std::exchange(group_bytes_, 0));
  const auto begin = std::chrono::steady_clock::now();
  const auto written = engine_->apply(group_);
  write_time_.record(static_cast<std::uint64_t>((std::chrono::steady_clock::now() - begin).count()));
  ++writes_;
  group_.clear();
  unflushed_bytes_ += group_bytes_;
  backlog_->remove(std::exchange(group_bytes_, 0));
  if (!written)
    fail(written.error().message);
}

void engine_actor::install(const messages::engine_install& request) {
  auto shard = caf::actor_cast<caf::actor>(current_sender());
  apply(); // what came before it is of the state it replaces
  if (!broken_.empty())
    return send(shard, messages::disk_failed{broken_});
  auto image = request.state->image;
  image.at = request.state->at;
  if (const auto done = engine_->replace(request.slot, image); !done) {
    send(shard, messages::disk_failed{done.error().message});
    return fail(done.error().message);
  }
  applied_[request.slot] = {shard, image.at.index};
  installed_.emplace_back(std::move(shard), messages::engine_installed{request.write, image.at});
  wake();
}

void engine_actor::flush() {
  if (!broken_.empty() || applied_.empty())
    return;
  if (const auto done = engine_->flush(); !done)
    return fail(done.error().message);
  ++flushes_;
  unflushed_bytes_ = 0;
  for (auto& [shard, installed] : std::exchange(installed_, {}))
    send(shard, std::move(installed));
  for (const auto& [slot, applied] : std::exchange(applied_, {}))
    send(applied.shard, messages::engine_flushed{applied.index});
}

void engine_actor::fail(const std::string& why) {
  if (!broken_.empty())
    return;
  broken_ = why;
  spdlog::critical("{}; this node's replicas are out until it is restarted", broken_);
  note_error(broken_);
  for (const auto& [slot, applied] : std::exchange(applied_, {}))
    send(applied.shard, messages::disk_failed{broken_});
  installed_.clear();
}

void engine_actor::on_exit() {
  applied_.clear();
  installed_.clear();
}

runtime::state_entries engine_actor::state_summary() const {
  return {{"writes", std::to_string(writes_)},
          {"flushes", std::to_string(flushes_)},
          {"waiting_bytes", std::to_string(backlog_->bytes())},
          {"unflushed_bytes", std::to_string(unflushed_bytes_)},
          {"write_p50_us", std::to_string(write_time_.quantile(0.5) / 1000)},
          {"write_p99_us", std::to_string(write_time_.quantile(0.99) / 1000)},
          {"broken", broken_.empty() ? "false" : "true"}};
}

} // namespace glocal::actors
