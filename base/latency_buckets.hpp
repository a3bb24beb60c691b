#pragma once
// Durations by fixed bounds: 128 bytes where many are kept and only a coarse picture is wanted, in the form Prometheus
// has histograms in. base/histogram.hpp is the fine one.
//
// Threading: one writer, any number of readers; readers see a recent state, torn between buckets.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace glocal {

class latency_buckets {
public:
  /// Upper bounds: of an operation in memory on one machine, behind a disk's sync, across an ocean, and of one that
  /// waited for a fail-over. What is longer goes into one more bucket.
  static constexpr std::array<std::chrono::microseconds, 12> bounds{
      std::chrono::microseconds{50},      std::chrono::microseconds{100},     std::chrono::microseconds{250},
      std::chrono::microseconds{500},     std::chrono::microseconds{1'000},   std::chrono::microseconds{2'500},
      std::chrono::microseconds{5'000},   std::chrono::microseconds{10'000},  std::chrono::microseconds{25'000},
      std::chrono::microseconds{100'000}, std::chrono::microseconds{500'000}, std::chrono::microseconds{2'500'000}};

  /// @param times as often as if it had been recorded so many times. Writer only.
  void record(std::chrono::nanoseconds duration, std::uint64_t times = 1) noexcept {
    std::size_t bucket = 0;
    while (bucket < bounds.size() && duration > bounds[bucket])
      ++bucket;
    add(counts_[bucket], times);
    add(sum_ns_, times * static_cast<std::uint64_t>(duration.count() > 0 ? duration.count() : 0));
  }

  /// Of durations beyond bounds[bucket - 1] and up to bounds[bucket]; the last bucket has no upper bound.
  [[nodiscard]] std::uint64_t count(std::size_t bucket) const noexcept {
    return counts_[bucket].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::chrono::nanoseconds sum() const noexcept {
    return std::chrono::nanoseconds{sum_ns_.load(std::memory_order_relaxed)};
  }

private:
  static void add(std::atomic<std::uint64_t>& to, std::uint64_t amount) noexcept {
    to.store(to.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, bounds.size() + 1> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

} // namespace glocal
