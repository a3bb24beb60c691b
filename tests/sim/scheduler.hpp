#pragma once
// Virtual time: runs what is due, in order of time and, at the same time, in order of scheduling.

#include "tests/sim/dice.hpp"

#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace glocal::sim {

class scheduler {
public:
  [[nodiscard]] duration now() const noexcept { return now_; }
  void after(duration delay, std::function<void()> what) { queue_.push({now_ + delay, next_++, std::move(what)}); }
  /// Runs everything due until `until`, which becomes now.
  void run_until(duration until) {
    while (!queue_.empty() && queue_.top().at <= until) {
      auto due = std::move(const_cast<item&>(queue_.top())); // it is popped before anything can look at it again
      queue_.pop();
      now_ = due.at;
      ++steps_;
      due.what();
    }
    now_ = until;
  }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

private:
  struct item {
    duration at{};
    std::uint64_t order = 0;
    std::function<void()> what;
    bool operator<(const item& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  duration now_{};
  std::uint64_t next_ = 0, steps_ = 0;
  std::priority_queue<item> queue_;
};

} // namespace glocal::sim
