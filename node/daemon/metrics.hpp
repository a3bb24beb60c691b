#pragma once
// Everything a node counts, for Prometheus: the body of GET /metrics. docs/inspection.md lists the families.
//
// Names follow https://prometheus.io/docs/practices/naming: base units, `_total` on counters, everything under
// `glocal_`, and the label `node` on each sample. Nothing is counted here: the numbers are those of /api/v1/status.

#include "node/daemon/status.hpp"

#include <string>
#include <vector>

namespace glocal::node {

struct metrics_sources {
  const status_sources& node;
  /// With their state summaries renewed: what edges, services, instances and the store count is in these.
  std::vector<runtime::actor_record> records;
  runtime::transport_stats peers;
  runtime::letter_counts dead_letters;
};

[[nodiscard]] std::string metrics_text(const metrics_sources& sources);

} // namespace glocal::node
