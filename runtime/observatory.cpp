#include "runtime/observatory.hpp"

#include <algorithm>

namespace glocal::runtime {

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
  std::vector<std::function<void()>> pokes;
  {
    const std::scoped_lock lock{mutex_};
    pokes.reserve(cells_.size());
    for (const auto& [id, cell] : cells_)
      pokes.push_back(cell->poke);
  }
  // Outside the lock: a poke may release the last reference to an actor, which retires it.
  for (const auto& poke : pokes)
    poke();
}

void observatory::note_restart(const std::string& name, std::string reason) {
  const std::scoped_lock lock{mutex_};
  auto& past = history_[name];
  ++past.restarts;
  past.last_error = std::move(reason);
}

void observatory::enroll(const std::shared_ptr<actor_cell>& cell) {
  const std::scoped_lock lock{mutex_};
  cells_[cell->id] = cell;
}

void observatory::retire(std::uint64_t id) {
  const std::scoped_lock lock{mutex_};
  cells_.erase(id);
}

} // namespace glocal::runtime
