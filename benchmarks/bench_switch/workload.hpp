#pragma once
// Rules and packets of one case: N rules of mixed masks, F flows whose headers some rule accepts, as frames in a pcap.

#include "base/bytes.hpp"
#include "dataplane/classify/rule.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace glocal::bench {

struct workload {
  std::vector<dataplane::rule> rules;
  std::vector<five_tuple> flows;
};

/// Sources are of 10.0.0.0/9, destinations of 10.128.0.0/9. With `mixed` prefix lengths and ports vary, else all rules
/// are destination /24s. Every rule lets pass. The same for the same seed.
[[nodiscard]] workload make_workload(std::size_t rules, std::size_t flows, bool mixed, std::uint64_t seed);

/// UDP frames of `frame_bytes`, one per flow, in random order, to the station `dataplane::testing::edge_mac`.
/// False when the file can't be written.
[[nodiscard]] bool write_pcap(const std::string& path, const std::vector<five_tuple>& flows, std::size_t frame_bytes);

} // namespace glocal::bench
