#pragma once
// The load on glocal's own store: an actor with many requests under way, as callers of a node's store client are.

#include "benchmarks/bench_store/load.hpp"
#include "tests/store/store_processes.hpp"

namespace glocal::bench {

/// Loads the keys that `plan` wants there, then does it.
[[nodiscard]] load_result run_store(test::store_processes& cluster, const load_plan& plan);

struct fail_over_result {
  /// The longest any client waited between two answers.
  double longest_gap_ms = 0;
  std::uint64_t acknowledged = 0, lost = 0;
};
/// Puts if absent under way all the time; the node that is primary of most slots is killed. Then every key whose put
/// was acknowledged is read.
[[nodiscard]] fail_over_result fail_over(test::store_processes& cluster, const load_plan& plan);

} // namespace glocal::bench
