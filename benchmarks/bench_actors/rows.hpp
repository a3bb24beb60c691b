#pragma once
// What bench_actors measures, as rows.

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace glocal::bench {

struct row {
  std::string what, unit;
  double value = 0;
  /// What is aimed at; 0: nothing, it is there to compare with.
  double target = 0;
};

[[nodiscard]] double median(std::vector<double> values);

/// A node with `actors` idle actors behind its API, and the command line `glocal` (a path) that lists them, `runs`
/// times each way. Milliseconds of the whole command, from its start to its end.
[[nodiscard]] std::vector<row> measure_listing(std::size_t actors, unsigned runs, const std::string& glocal);

/// Nanoseconds a message: actors of CAF, the same observed, and the same traced, in turns.
[[nodiscard]] std::vector<row> measure_overhead(std::size_t messages, unsigned runs);

} // namespace glocal::bench
