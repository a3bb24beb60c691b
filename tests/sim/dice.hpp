#pragma once
// The one source of chance of a simulated run: the same seed gives the same run on every machine (the distributions of
// <random> do not). Generator: xoshiro256**, Blackman and Vigna, seeded by splitmix64.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace glocal::sim {

using duration = std::chrono::microseconds;

class dice {
public:
  explicit dice(std::uint64_t seed) {
    for (auto& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      auto mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
      word = mixed ^ (mixed >> 31);
    }
  }

  std::uint64_t next() {
    const auto rotate = [](std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); };
    const auto out = rotate(state_[1] * 5, 7) * 9;
    const auto shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return out;
  }
  /// In [0, bound). REQUIRES: bound > 0.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }
  /// In [low, high].
  duration between(duration low, duration high) {
    return low + duration{static_cast<std::int64_t>(next() % static_cast<std::uint64_t>((high - low).count() + 1))};
  }
  double real(double low, double high) { return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53; }

private:
  std::uint64_t state_[4]{};
};

} // namespace glocal::sim
