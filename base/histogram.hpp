#pragma once
// Log-linear histogram of durations: 16 sub-buckets per power of two, so a quantile is off by at most 6.25 %.
//
// Threading: one writer, any number of readers; readers see a recent, possibly torn-between-buckets state, which is
// what a monitor wants. No allocation after construction, so lcores may write it.

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace glocal {

class histogram {
public:
  /// @param times as often as if it had been recorded so many times: for one of a sample. Cost: two relaxed adds.
  /// Writer only.
  void record(std::uint64_t nanoseconds, std::uint64_t times = 1) noexcept {
    auto& bucket = buckets_[index(nanoseconds)];
    bucket.store(bucket.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
    count_.store(count_.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
    if (nanoseconds > max_.load(std::memory_order_relaxed))
      max_.store(nanoseconds, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

  /// Upper bound, in nanoseconds, of the bucket that holds the `q`-quantile (0 <= q <= 1); 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
    const auto total = count();
    if (total == 0)
      return 0;
    auto rank = static_cast<std::uint64_t>(q * static_cast<double>(total));
    if (rank >= total)
      rank = total - 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i].load(std::memory_order_relaxed);
      if (seen > rank)
        return upper_bound(i) < max() ? upper_bound(i) : max();
    }
    return max();
  }

private:
  static constexpr std::size_t sub_bits = 4, subs = 1u << sub_bits;

  static std::size_t index(std::uint64_t value) noexcept {
    if (value < subs)
      return static_cast<std::size_t>(value);
    const auto exponent = static_cast<std::size_t>(std::bit_width(value)) - 1 - sub_bits;
    return (exponent + 1) * subs + static_cast<std::size_t>((value >> exponent) - subs);
  }
  static std::uint64_t upper_bound(std::size_t index) noexcept {
    if (index < subs)
      return index;
    const auto exponent = index / subs - 1;
    return ((index % subs + subs + 1) << exponent) - 1;
  }

  // 64-bit values need (64 - 4) exponents of 16 sub-buckets and the linear ones below 16.
  std::array<std::atomic<std::uint64_t>, (64 - sub_bits + 1) * subs> buckets_{};
  std::atomic<std::uint64_t> count_{0}, max_{0};
};

} // namespace glocal
