#pragma once
// Discrete-event simulation of one way to decide: Poisson arrivals at random edges, exponential flow times, every
// decision by a real chain_planner of its edge (or by a centre that knows everything), and what becomes of the load.

#include "benchmarks/bench_policy/digests.hpp"

#include <string>

namespace glocal::bench {

struct figures {
  std::string policy, digest;
  std::uint64_t decisions = 0;
  /// Of the instances' utilisation: greatest and 99th percentile by the mean, of all samples in the measured time.
  double max_by_mean = 0, p99_by_mean = 0;
  /// Flows that the most chosen instance of a period got, by the mean of all instances.
  double herding = 0;
  /// Decisions for an instance that is full.
  double overfull_share = 0;
  /// Links and queues of the chosen chains, by the true load.
  double latency_us = 0;
  /// Time of a decision, measured.
  double decide_us = 0;
};

/// Edges decide by `rule` from digests of `seen`.
[[nodiscard]] figures simulate(const parameters& parameters, const policy::settings& rule, digest_kind seen);

enum class centre_rule {
  least_loaded, ///< the least utilised of all instances of a class
  latency,      ///< cheapest chain over the 64 instances of each class that are nearest, queueing included
};
/// A centre decides that knows every load at every moment.
[[nodiscard]] figures simulate(const parameters& parameters, centre_rule rule);

} // namespace glocal::bench
