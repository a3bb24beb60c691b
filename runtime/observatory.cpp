#include "runtime/observatory.hpp"

#include <algorithm>

#include <time.h>

namespace glocal::runtime {

std::chrono::steady_clock::time_point coarse_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::chrono::steady_clock::time_point{std::chrono::seconds{now.tv_sec} +
                                               std::chrono::nanoseconds{now.tv_nsec}};
}

void actor_cell::set_error(std::string what) {
  const std::scoped_lock lock{mutex};
  last_error = std::move(what);
}

void actor_cell::set_state(state_entries entries) {
  const std::scoped_lock lock{mutex};
  state = std::move(entries);
  state_at = std::chrono::steady_clock::now();
}

std::vector<actor_record> observatory::snapshot() const {
  std::vector<actor_record> out;
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock{mutex_};
  out.reserve(cells_.size());
  for (const auto& [id, cell] : cells_) {
    auto& record = out.emplace_back();
    record.id = id;
    record.parent = cell->parent;
    record.node = node_;
    record.kind = cell->kind;
    record.name = cell->name;
    record.mailbox_depth = static_cast<std::uint64_t>(std::max<std::int64_t>(0, cell->depth.load()));
    if (record.mailbox_depth > 0)
      record.oldest_wait = std::max(now - cell->waiting_since.load(), std::chrono::steady_clock::duration::zero());
    record.mailbox_peak = static_cast<std::uint64_t>(cell->peak.load());
    record.messages_in = cell->in.load();
    record.messages_out = cell->out.load();
    record.unhandled = cell->unhandled.load();
    record.handling_p50 = cell->handling.quantile(0.5);
    record.handling_p99 = cell->handling.quantile(0.99);
    record.handling_max = cell->handling.max();
    record.age = now - cell->started;
    if (const auto old = history_.find(cell->name); old != history_.end()) {
      record.restarts = old->second.restarts;
      record.last_error = old->second.last_error;
    }
    const std::scoped_lock cell_lock{cell->mutex};
    if (!cell->last_error.empty())
      record.last_error = cell->last_error;
    record.state = cell->state;
    if (cell->state_at != std::chrono::steady_clock::time_point{})
      record.state_age = now - cell->state_at;
  }
  return out;
}

void observatory::refresh() const {
  std::vector<std::function<void(actor_order)>> all;
  {
    const std::scoped_lock lock{mutex_};
    all.reserve(cells_.size());
    for (const auto& [id, cell] : cells_)
      all.push_back(cell->ask);
  }
  // Outside the lock: asking may release the last reference to an actor, which retires it.
  for (const auto& ask : all)
    ask(actor_order::summarise);
}

bool observatory::kill(std::uint64_t id) const {
  std::function<void(actor_order)> ask;
  {
    const std::scoped_lock lock{mutex_};
    const auto found = cells_.find(id);
    if (found == cells_.end())
      return false;
    ask = found->second->ask;
  }
  ask(actor_order::end);
  return true;
}

void observatory::note_restart(const std::string& name, std::string reason) {
  const std::scoped_lock lock{mutex_};
  auto& past = history_[name];
  ++past.restarts;
  past.last_error = std::move(reason);
}

std::map<std::string, observatory::traffic> observatory::ended() const {
  const std::scoped_lock lock{mutex_};
  return ended_;
}

std::map<std::string, std::uint32_t> observatory::restarts() const {
  std::map<std::string, std::uint32_t> out;
  const std::scoped_lock lock{mutex_};
  for (const auto& [name, past] : history_)
    out[name] = past.restarts;
  return out;
}

void observatory::enroll(const std::shared_ptr<actor_cell>& cell) {
  const std::scoped_lock lock{mutex_};
  cells_[cell->id] = cell;
}

void observatory::retire(std::uint64_t id) {
  const std::scoped_lock lock{mutex_};
  const auto found = cells_.find(id);
  if (found == cells_.end())
    return;
  const auto& cell = *found->second;
  auto& sum = ended_[cell.kind];
  sum.messages_in += cell.in.load();
  sum.messages_out += cell.out.load();
  sum.unhandled += cell.unhandled.load();
  cells_.erase(found);
}

} // namespace glocal::runtime
