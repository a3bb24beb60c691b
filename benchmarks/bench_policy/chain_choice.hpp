#pragma once
// One decision by itself: how long it takes and how near to the optimum it is.

#include "benchmarks/bench_policy/digests.hpp"

namespace glocal::bench {

struct choice_figures {
  std::string policy;
  std::uint64_t decisions = 0;
  double p50_us = 0, p99_us = 0;
  /// The same when the decider's memory has left the caches before each decision.
  double cold_p50_us = 0;
  /// Cost by the exact optimum over the same digests (another algorithm, in double precision); of all decisions.
  double mean_ratio = 0, max_ratio = 0;
};

/// `rounds` decisions over digests of `layer_width` candidates a class, at random edges.
[[nodiscard]] choice_figures measure_choice(const parameters& parameters, const policy::settings& rule,
                                            std::size_t rounds);

} // namespace glocal::bench
