#include "runtime/observatory.hpp"

#include <algorithm>
#include <thread>

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
  state_in = in.load(std::memory_order_relaxed);
}

bool actor_cell::summary_is_old() const {
  if (depth() > 0)
    return true;
  const std::scoped_lock lock{mutex};
  return state_at == std::chrono::steady_clock::time_point{} || state_in != in.load(std::memory_order_relaxed);
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
    record.mailbox_depth = cell->depth();
    if (record.mailbox_depth > 0)
      record.oldest_wait = std::max(now - cell->waiting_since.load(), std::chrono::steady_clock::duration::zero());
    record.mailbox_peak = cell->peak.load();
    record.messages_in = cell->in.load();
    record.messages_out = cell->out.load();
    record.in_rate = cell->in_rate;
    record.out_rate = cell->out_rate;
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

void observatory::refresh(std::chrono::milliseconds patience) const {
  const auto asked_at = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<actor_cell>> asked;
  {
    const std::scoped_lock lock{mutex_};
    for (const auto& [id, cell] : cells_)
      if (cell->summary_is_old())
        asked.push_back(cell);
  }
  // Outside the lock: asking may release the last reference to an actor, which retires it.
  for (const auto& cell : asked)
    cell->ask(actor_order::summarise);
  const auto answered = [&](const actor_cell& cell) {
    if (cell.ended.load(std::memory_order_relaxed))
      return true;
    const std::scoped_lock lock{cell.mutex};
    return cell.state_at >= asked_at;
  };
  auto first = asked.begin();
  while (first != asked.end() && std::chrono::steady_clock::now() - asked_at < patience)
    if (answered(**first))
      ++first;
    else
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

void observatory::sample() {
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock{mutex_};
  for (const auto& [id, cell] : cells_) {
    const auto in = cell->in.load(std::memory_order_relaxed), out = cell->out.load(std::memory_order_relaxed);
    const std::chrono::duration<double> span = now - cell->sampled_at;
    if (cell->sampled_at != std::chrono::steady_clock::time_point{} && span.count() > 0) {
      cell->in_rate = static_cast<double>(in - cell->sampled_in) / span.count();
      cell->out_rate = static_cast<double>(out - cell->sampled_out) / span.count();
    }
    cell->sampled_in = in;
    cell->sampled_out = out;
    cell->sampled_at = now;
  }
}

expected<observatory::started_trace, trace_refusal> observatory::start_trace(const trace_request& request) {
  const std::scoped_lock lock{mutex_};
  started_trace out;
  const auto means = [&](const actor_cell& cell) {
    return matches_pattern(request.match, cell.name) || matches_pattern(request.match, cell.kind);
  };
  for (const auto& [id, cell] : cells_)
    out.actors += means(*cell) ? 1 : 0;
  if (out.actors == 0)
    return unexpected{trace_refusal::nobody};
  const auto place = traces_.begin(request);
  if (!place)
    return unexpected{place.error()};
  out.id = traces_.id_at(*place);
  const auto bit = static_cast<tracer::mask>(1u << *place);
  for (const auto& [id, cell] : cells_)
    if (means(*cell))
      cell->traced.fetch_or(bit, std::memory_order_relaxed);
  return out;
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
  cell->traced.store(traces_.meant(cell->name, cell->kind), std::memory_order_relaxed);
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
