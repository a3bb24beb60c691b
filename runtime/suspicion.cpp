#include "runtime/suspicion.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace glocal::runtime {
namespace {

/// Below it intervals that were regular by chance would make a small delay look like death.
constexpr double least_deviation = 0.25;
constexpr double certain = 300;

} // namespace

suspicion_meter::suspicion_meter(std::chrono::milliseconds interval) noexcept
    : expected_s_{std::chrono::duration<double>(interval).count()} {}

void suspicion_meter::restart(time_point now) noexcept {
  count_ = 0;
  last_heartbeat_ = last_seen_ = now;
}

void suspicion_meter::heartbeat(time_point now) noexcept {
  intervals_s_[count_++ % window] = std::chrono::duration<double>(now - last_heartbeat_).count();
  last_heartbeat_ = last_seen_ = now;
}

double suspicion_meter::level(time_point now) const noexcept {
  const std::span known{intervals_s_.data(), std::min(count_, window)};
  // Until there are enough, the rest of the window is as expected.
  double sum = expected_s_ * static_cast<double>(window - known.size());
  for (const auto each : known)
    sum += each;
  // A peer that says more than it must is not suspected sooner for it.
  const auto mean = std::max(sum / static_cast<double>(window), expected_s_);
  double squares = 0;
  for (const auto each : known)
    squares += (each - mean) * (each - mean);
  const auto deviation = std::max(std::sqrt(squares / static_cast<double>(window)), least_deviation * expected_s_);
  const auto silent = std::chrono::duration<double>(now - last_seen_).count();
  const auto later = 0.5 * std::erfc((silent - mean) / deviation / std::sqrt(2.0));
  return later > 0 ? std::clamp(-std::log10(later), 0.0, certain) : certain;
}

} // namespace glocal::runtime
