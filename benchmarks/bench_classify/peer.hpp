#pragma once
// DPDK's rte_acl on the same rules and packets: the peer every run is compared with.

#include "benchmarks/bench_classify/rule_set.hpp"

#include <chrono>
#include <string>

namespace glocal::bench {

struct peer_result {
  double lookups_per_s = 0, build_s = 0;
  /// Empty when it was measured.
  std::string failure;
};

/// In a process of its own, which is killed after `limit`: its build takes memory and time without bound.
[[nodiscard]] peer_result measure_rte_acl(const rule_set& rules, const std::vector<packet_fields>& trace,
                                          std::size_t burst, std::chrono::seconds limit);

} // namespace glocal::bench
