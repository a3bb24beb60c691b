#pragma once
// Has an observatory compute its actors' message rates once a second, so that one look at a node shows them.
//
// Threading: a thread of its own. Cost: one wake-up a second, and 0.1 us an actor.

#include "runtime/observatory.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace glocal::node {

class rate_sampler {
public:
  static constexpr std::chrono::seconds interval{1};

  /// REQUIRES: `actors` outlives it.
  explicit rate_sampler(runtime::observatory& actors)
      : thread_{[&actors](const std::stop_token& stop) {
          std::mutex mutex;
          std::unique_lock lock{mutex};
          std::condition_variable_any stopped;
          while (!stop.stop_requested()) {
            actors.sample();
            stopped.wait_for(lock, stop, interval, [] { return false; });
          }
        }} {}

private:
  std::jthread thread_;
};

} // namespace glocal::node
