#pragma once
// Rule lists to measure classifiers with, and packets for each rule.
//
// A list is a function from position to rule: a hundred million rules are never held as such.

#include "base/expected.hpp"
#include "dataplane/classify/classifier.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace glocal::bench {

using dataplane::packet_fields;
using dataplane::rule;

/// SplitMix64: a random number generator whose state is its seed.
class random_source {
public:
  explicit random_source(std::uint64_t seed) : state_{seed} {}
  std::uint64_t operator()() noexcept {
    auto z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) noexcept {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>((*this)()) * bound) >> 64);
  }

private:
  std::uint64_t state_;
};

class rule_set {
public:
  virtual ~rule_set() = default;
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// REQUIRES: at < size(). The same each time.
  [[nodiscard]] virtual rule at(std::size_t at) const = 0;
  /// A packet that rule `at` matches; what the rule leaves open is random.
  [[nodiscard]] virtual packet_fields packet_of(std::size_t at, random_source& random) const;
};

/// `isp`, `overlap`, `nested` or `classbench:FILE` (plain or gzip). `rules` bounds a file's list too.
[[nodiscard]] expected<std::unique_ptr<rule_set>, std::string> make_rule_set(const std::string& shape,
                                                                             std::size_t rules, std::uint64_t seed);

/// `uniform`, `shuffled`, `zipf`, `miss:PCT` or `random`: `count` packets.
[[nodiscard]] expected<std::vector<packet_fields>, std::string>
make_trace(const rule_set& rules, const std::string& kind, std::size_t count, std::uint64_t seed);

} // namespace glocal::bench
