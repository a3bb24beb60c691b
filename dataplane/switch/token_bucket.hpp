#pragma once
// A rate and a burst in one number: the generic cell rate algorithm (ITU-T I.371), which needs no refill.
//
// Threading: one thread.

#include <algorithm>
#include <cstdint>

namespace glocal::dataplane {

/// What one bucket lets through. All zeros: everything.
struct token_rate {
  /// Between two, on average.
  std::uint64_t interval_ns = 0;
  /// How far ahead of that average it may run.
  std::uint64_t burst_ns = 0;

  /// `per_second` 0: everything.
  [[nodiscard]] static constexpr token_rate of(std::uint64_t per_second, std::uint64_t burst_ns) noexcept {
    return per_second == 0 ? token_rate{} : token_rate{1'000'000'000 / per_second, burst_ns};
  }
};

class token_bucket {
public:
  /// Takes one if it is there.
  [[nodiscard]] bool take(const token_rate& rate, std::uint64_t now_ns) noexcept {
    const auto from = std::max(due_ns_, now_ns);
    if (from - now_ns > rate.burst_ns)
      return false;
    due_ns_ = from + rate.interval_ns;
    return true;
  }

private:
  /// When all that was taken would have come at the average rate.
  std::uint64_t due_ns_ = 0;
};

} // namespace glocal::dataplane
