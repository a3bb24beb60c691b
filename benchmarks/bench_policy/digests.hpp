#pragma once
// Ways to make 64 candidates of 2,000 instances: what an edge gets to see of a class, from published loads.

#include "benchmarks/bench_policy/world.hpp"

#include <string_view>

namespace glocal::bench {

enum class digest_kind {
  least, ///< the 64 with the fewest flows, the same for all edges
  dealt, ///< sorted by utilisation and dealt into hands of 64 like cards, anew every period; an edge sees one hand
  near,  ///< the 64 nearest to the edge
};
[[nodiscard]] std::string_view name(digest_kind what) noexcept;

class digests {
public:
  digests(digest_kind what, const world& world, const parameters& parameters);

  /// A new period begins, with loads as they were published.
  void publish(const std::vector<double>& loads, policy::random_source& random);
  /// What an edge sees of a class, as positions in the chain planner's layer.
  [[nodiscard]] const std::vector<instance_id>& seen(std::uint32_t edge, std::uint32_t vnf_class) const noexcept;

private:
  const digest_kind kind_;
  const world& world_;
  const std::uint32_t edges_, classes_;
  /// Per class its hands; of `near` one per edge.
  std::vector<std::vector<std::vector<instance_id>>> hands_;
};

} // namespace glocal::bench
