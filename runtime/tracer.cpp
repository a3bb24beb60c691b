#include "runtime/tracer.hpp"

#include <algorithm>

namespace glocal::runtime {

std::string_view to_string(message_outcome what) noexcept {
  switch (what) {
  case message_outcome::handled: return "handled";
  case message_outcome::unhandled: return "unhandled";
  case message_outcome::failed: return "failed";
  }
  return "?";
}

std::string_view to_string(trace_end why) noexcept {
  return why == trace_end::count ? "count" : "time";
}

bool matches_pattern(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0;
  // Where to go on when the text after the last star turns out longer: only that star needs trying again.
  std::size_t star = std::string_view::npos, behind_star = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      behind_star = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++behind_star;
    } else {
      return false;
    }
  }
  return pattern.substr(p).find_first_not_of('*') == std::string_view::npos;
}

tracer::mask tracer::meant(std::string_view name, std::string_view kind) const {
  if (!any_.load(std::memory_order_relaxed))
    return 0;
  mask out = 0;
  const std::scoped_lock lock{mutex_};
  for (std::size_t place = 0; place < max_traces; ++place)
    if (const auto& one = traces_[place])
      if (one->means(name, kind))
        out |= static_cast<mask>(1u << place);
  return out;
}

tracer::mask tracer::record(mask which, const traced_message& message) {
  const auto now = clock::now();
  mask over = 0;
  const std::scoped_lock lock{mutex_};
  for (std::size_t place = 0; place < max_traces; ++place) {
    const auto bit = static_cast<mask>(1u << place);
    if ((which & bit) == 0)
      continue;
    auto& one = traces_[place];
    // The bit may be one that a former trace left.
    if (!one || one->over(now) || !one->means(message.actor, message.actor_kind)) {
      over |= bit;
    } else if (one->waiting.size() >= max_waiting) {
      ++one->dropped;
    } else {
      one->waiting.push_back(message);
      --one->left;
    }
  }
  return over;
}

std::optional<trace_page> tracer::read(std::uint64_t id) {
  const auto now = clock::now();
  const std::scoped_lock lock{mutex_};
  for (auto& one : traces_) {
    if (!one || one->id != id)
      continue;
    if (one->abandoned(now)) {
      one.reset();
      return std::nullopt;
    }
    one->last_read = now;
    trace_page out{std::exchange(one->waiting, {}), one->dropped, std::nullopt};
    if (one->left == 0)
      out.end = trace_end::count;
    else if (now >= one->deadline)
      out.end = trace_end::time;
    if (out.end)
      one.reset();
    return out;
  }
  return std::nullopt;
}

void tracer::stop(std::uint64_t id) {
  const std::scoped_lock lock{mutex_};
  for (auto& one : traces_)
    if (one && one->id == id)
      one.reset();
}

expected<std::size_t, trace_refusal> tracer::begin(const trace_request& request) {
  const auto now = clock::now();
  const std::scoped_lock lock{mutex_};
  const auto free =
      std::find_if(traces_.begin(), traces_.end(), [&](const auto& one) { return !one || one->abandoned(now); });
  if (free == traces_.end())
    return unexpected{trace_refusal::too_many};
  auto& made = free->emplace();
  made.id = (std::uint64_t{random_()} << 21 | random_() >> 11) & ((std::uint64_t{1} << 53) - 1);
  made.match = request.match;
  made.left = std::clamp<std::size_t>(request.count, 1, max_count);
  made.deadline = now + std::clamp(request.duration, std::chrono::milliseconds{1}, max_duration);
  made.last_read = now;
  any_.store(true, std::memory_order_relaxed);
  return static_cast<std::size_t>(free - traces_.begin());
}

std::uint64_t tracer::id_at(std::size_t place) const {
  const std::scoped_lock lock{mutex_};
  return traces_[place] ? traces_[place]->id : 0;
}

} // namespace glocal::runtime
