#pragma once
// The cheapest chain over layers of instances: one node of each layer, paying for nodes and for the links between
// successive ones. Exact, by dynamic programming over layers (Bellman 1957; a shortest path in a layered graph):
// layers x width^2 additions, no allocation. 5 layers of 64 take about 3 us (benchmarks/policy).
//
// Randomness that cannot cost more than it says: each node carries a factor in [1, 1 + e] on its own cost and on the
// links that lead to it. The chain found is cheapest under these factors, so its true cost is at most 1 + e times the
// optimum: true <= perturbed <= perturbed cost of the true optimum <= (1 + e) x optimum.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace glocal::policy {

/// Candidates a digest holds, and bits in a mask of them.
inline constexpr std::size_t layer_width = 64;
inline constexpr std::size_t max_layers = 16;
/// Cost of a node that may not be chosen.
inline constexpr float not_offered = std::numeric_limits<float>::infinity();

using layer_costs = std::array<float, layer_width>;
/// Costs between two layers. What the solver reads one after the other lies one after the other: 16 targets, for all
/// sources, then the next 16. Of row after row a decision with cold caches waits for memory 4 times as often.
class link_costs {
public:
  static constexpr std::size_t block = 16;

  [[nodiscard]] float& at(std::size_t from, std::size_t to) noexcept { return blocks_[to / block][from][to % block]; }
  [[nodiscard]] float at(std::size_t from, std::size_t to) const noexcept {
    return blocks_[to / block][from][to % block];
  }
  /// To the `block` targets from `to` on. REQUIRES: `to` is a multiple of `block`.
  [[nodiscard]] const float* from(std::size_t from, std::size_t to) const noexcept {
    return blocks_[to / block][from].data();
  }

private:
  std::array<std::array<std::array<float, block>, layer_width>, layer_width / block> blocks_{};
};

/// All costs are >= 0 and finite, but for `not_offered` nodes; nodes from `sizes[layer]` on are `not_offered`.
struct layered_problem {
  std::size_t layers = 0;
  std::array<std::size_t, max_layers> sizes{};
  std::array<const layer_costs*, max_layers> nodes{};
  /// >= 1; null for none.
  std::array<const layer_costs*, max_layers> factors{};
  /// Between a layer and the next. Null where links cost nothing.
  std::array<const link_costs*, max_layers> links{};
  /// To the first layer, and from the last. Null for nothing.
  const layer_costs* ingress = nullptr;
  const layer_costs* egress = nullptr;
};

struct layered_path {
  /// Under the factors; infinite when some layer offers nothing.
  float cost = not_offered;
  std::array<std::uint8_t, max_layers> nodes{};
};

[[nodiscard]] layered_path cheapest_path(const layered_problem& problem) noexcept;
/// What a path truly costs: factors do not count.
[[nodiscard]] float cost_of(const layered_problem& problem, const std::array<std::uint8_t, max_layers>& nodes) noexcept;

} // namespace glocal::policy
