#include "actors/edge/trace_book.hpp"

#include <algorithm>

namespace glocal::actors {

std::string trace_entry::text(std::string_view field) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const trace_field& each) { return each.name == field; });
  if (found == fields.end())
    return {};
  struct {
    std::string operator()(const std::string& value) const { return value; }
    std::string operator()(std::uint64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return std::to_string(value); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
  } printed;
  return std::visit(printed, found->value);
}

void trace_book::add(trace_entry entry) {
  const std::lock_guard lock{mutex_};
  if (entries_.size() == max_entries) {
    entries_.pop_front();
    ++first_;
  }
  entries_.push_back(std::move(entry));
}

trace_book::page trace_book::read(std::uint64_t after, std::size_t most) const {
  const std::lock_guard lock{mutex_};
  page out;
  const auto end = first_ + entries_.size();
  // A reader of an earlier process of this node may be ahead of us.
  const auto from = std::min(std::max(after + 1, first_), end);
  out.missed = after != 0 && after + 1 < first_ ? first_ - after - 1 : 0;
  const auto count = std::min<std::uint64_t>(most, end - from);
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(from - first_);
  out.entries.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  out.next = from + count - 1;
  return out;
}

std::uint64_t trace_book::end() const {
  const std::lock_guard lock{mutex_};
  return first_ + entries_.size() - 1;
}

trace_book::session trace_book::last_session() const {
  const std::lock_guard lock{mutex_};
  return session_;
}

void trace_book::begin_session(const session& begun) {
  const std::lock_guard lock{mutex_};
  session_ = begun;
}

void trace_book::end_session(std::uint64_t id, std::string_view because) {
  const std::lock_guard lock{mutex_};
  if (session_.id != id || !session_.is_running)
    return;
  session_.is_running = false;
  session_.ended_because = because;
}

void trace_book::note_reader(std::uint64_t id, std::uint64_t now_ns) {
  const std::lock_guard lock{mutex_};
  if (session_.id == id)
    session_.read_at_ns = now_ns;
}

} // namespace glocal::actors
