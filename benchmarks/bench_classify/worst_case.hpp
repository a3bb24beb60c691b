#pragma once
// Packets that cost a classifier the most cache lines: what an attacker who knows the rules would send.

#include "benchmarks/bench_classify/rule_set.hpp"
#include "dataplane/classify/forest_classifier.hpp"

namespace glocal::bench {

/// `count` packets, the worst that some hundred thousand tries found, in random order: packets of rules, with fields of
/// others, and what became of the worst of these by more such exchanges.
[[nodiscard]] std::vector<packet_fields> worst_packets(const rule_set& rules,
                                                       const dataplane::forest_classifier& classifier,
                                                       std::size_t count, std::uint64_t seed);

} // namespace glocal::bench
