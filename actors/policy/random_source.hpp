#pragma once
// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): 8 bytes of state, a nanosecond a number, the same numbers for a seed.

#include <cstdint>

namespace glocal::policy {

class random_source {
public:
  explicit random_source(std::uint64_t seed) noexcept : state_{seed} {}

  std::uint64_t next() noexcept { return mix(state_ += 0x9e3779b97f4a7c15); }
  /// Uniform below `bound`, biased by less than bound / 2^32. REQUIRES: bound > 0.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }
  /// In [0, 1).
  float unit() noexcept { return static_cast<float>(next() >> 40) * 0x1p-24f; }

  /// A bijection that scatters close values.
  static std::uint64_t mix(std::uint64_t value) noexcept {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  }

private:
  std::uint64_t state_;
};

} // namespace glocal::policy
