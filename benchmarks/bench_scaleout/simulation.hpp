#pragma once
// Discrete-event simulation of flow set-up: the same work, done at the edges or at a centre.
//
// A flow arrives at an edge (Poisson). Somebody spends `decide_us` of a core on it, has the decision written to the
// store (a primary and two backups on distinct nodes, each with its own core, a sync of the log in parallel), spends
// `program_us` on the answer, and the edge has its entries. Local: the edge's own core does it. Central: the packet-in
// travels to the centre, the centre's cores do it, the answer travels back. Nothing else differs: the same store, the
// same costs, the same delays. A flow that was not answered after `hold_ms` is refused, as in the real switch; a queue
// that is a quarter of that long takes no more, so that what it takes is answered in time.

#include <cstdint>

namespace glocal::bench {

struct costs {
  double flows_per_edge_s = 1000;
  double decide_us = 20, program_us = 10;
  double write_us = 20, backup_us = 10, sync_us = 500;
  /// One-way delays are uniform between these, fixed for each pair.
  double near_us = 200, far_us = 2000;
  /// A store node for so many edges, and at least three in all.
  std::uint32_t edges_per_store_node = 10;
  double hold_ms = 2000;
  double warm_up_s = 2, measured_s = 1;
  std::uint64_t seed = 1;
};

struct point {
  std::uint32_t edges = 0;
  double offered_per_s = 0, decided_per_s = 0;
  /// From the packet's arrival to the entries, of decided flows.
  double p50_ms = 0, p99_ms = 0;
  double refused_share = 0;
};

/// @param centre_cores 0: every edge decides for itself with one core.
[[nodiscard]] point simulate(const costs& costs, std::uint32_t edges, std::uint32_t centre_cores);

} // namespace glocal::bench
