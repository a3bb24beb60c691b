#pragma once
// How likely it is that a peer which is silent is gone: the phi accrual failure detector.
//
// A peer's heartbeats come at intervals with some mean and deviation. Suspicion is -log10 of the probability that the
// next one comes later than now: 1 is wrong once in ten, 8 once in 10^8 times. Unlike a time limit it adapts to how
// regular the network and the peer are. Pure; not thread-safe.
// Source: Hayashibara et al., "The phi accrual failure detector", SRDS 2004.

#include <array>
#include <chrono>
#include <cstddef>

namespace glocal::runtime {

class suspicion_meter {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// @param interval what the peer's heartbeats are expected to keep, until there are enough to know.
  explicit suspicion_meter(std::chrono::milliseconds interval) noexcept;

  /// Forgets the past: a new connection.
  void restart(time_point now) noexcept;
  void heartbeat(time_point now) noexcept;
  /// Anything else that shows that the peer lives.
  void sign_of_life(time_point now) noexcept { last_seen_ = now; }

  /// From 0 to 300. Cost: an erfc and a log10.
  [[nodiscard]] double level(time_point now) const noexcept;

private:
  /// Heartbeats the mean is made of; the oldest is forgotten for each new one.
  static constexpr std::size_t window = 32;

  const double expected_s_;
  std::array<double, window> intervals_s_{};
  std::size_t count_ = 0;
  time_point last_heartbeat_{}, last_seen_{};
};

} // namespace glocal::runtime
