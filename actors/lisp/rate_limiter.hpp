#pragma once
// Token buckets for more sources than can be remembered: a fixed number of buckets, shared by hash.
//
// Invariants: memory is fixed. Two sources that share a bucket share its rate; the seed keeps others from arranging
// that. Threading: one owner.

#include "base/hash.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

namespace glocal::lisp {

class rate_limiter {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// @param rate a second, and @param burst at once; a rate of 0 lets everything pass.
  rate_limiter(std::uint32_t rate, std::uint32_t burst, std::uint64_t seed) : rate_{rate}, burst_{burst}, seed_{seed} {
    if (rate_ > 0)
      buckets_.resize(bucket_count, {static_cast<float>(burst_), {}});
  }

  /// Whether one more of `who` (a hash) may pass at `now`. Cost: one cache miss.
  [[nodiscard]] bool allow(std::uint64_t who, time_point now) noexcept {
    if (rate_ == 0)
      return true;
    auto& one = buckets_[hash_bytes(&who, sizeof who, seed_) % bucket_count];
    const std::chrono::duration<float> passed = now - one.at;
    one.tokens = std::min(static_cast<float>(burst_), one.tokens + passed.count() * static_cast<float>(rate_));
    one.at = now;
    if (one.tokens < 1)
      return false;
    one.tokens -= 1;
    return true;
  }

private:
  /// 16 B each: 1 MiB.
  static constexpr std::size_t bucket_count = 1u << 16;
  struct bucket {
    float tokens;
    time_point at;
  };
  std::uint32_t rate_, burst_;
  std::uint64_t seed_;
  std::vector<bucket> buckets_;
};

} // namespace glocal::lisp
