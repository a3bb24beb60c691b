#pragma once
// How much is committed and not in the engine yet: what the log waits for when the engine falls behind, so that memory
// and the time of a recovery stay bounded. Since nothing commits before every member's log has it, the slowest engine
// slows the slot.
//
// Threading: any thread.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>

namespace glocal::actors {

class engine_backlog {
public:
  explicit engine_backlog(std::size_t limit_bytes) : limit_{limit_bytes} {}

  void add(std::size_t bytes) noexcept { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove(std::size_t bytes) noexcept { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool full() const noexcept { return bytes() > limit_; }
  /// Returns when it is no longer full, or after `patience`: an engine that is gone must not hold the log for ever.
  void wait(std::chrono::milliseconds patience) const {
    for (auto waited = std::chrono::milliseconds{0}; full() && waited < patience; waited += step)
      std::this_thread::sleep_for(step);
  }

private:
  static constexpr std::chrono::milliseconds step{1};
  const std::size_t limit_;
  std::atomic<std::size_t> bytes_{0};
};

} // namespace glocal::actors
