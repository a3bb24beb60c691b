#include "actors/policy/layered_path.hpp"

#include <algorithm>

namespace glocal::policy {
namespace {

// GCC's vector type: SSE registers on every machine we run on, and the compiler's own min instruction.
constexpr std::size_t lanes = 4;
using floats [[gnu::vector_size(lanes * sizeof(float)), gnu::may_alias]] = float;

floats load(const float* from) noexcept {
  floats out;
  __builtin_memcpy(&out, from, sizeof out);
  return out;
}

/// `to[j] = min over i of (from[i] + link[i][j] x factor[j])`. Blocks of 16 nodes stay in registers while i runs.
void relax(const layer_costs& from, std::size_t from_size, const link_costs& link, const layer_costs* factor,
           std::size_t to_size, layer_costs& to) noexcept {
  constexpr std::size_t block = link_costs::block, registers = block / lanes;
  // Few offered nodes are the common case of a sampling policy: the others are not looked at.
  std::array<std::uint8_t, layer_width> offered; // NOLINT(cppcoreguidelines-pro-type-member-init): written below
  std::size_t count = 0;
  for (std::size_t i = 0; i < from_size; ++i)
    if (from[i] < not_offered)
      offered[count++] = static_cast<std::uint8_t>(i);
  to.fill(not_offered);
  for (std::size_t j = 0; j < to_size; j += block) {
    floats best[registers], scale[registers];
    for (std::size_t r = 0; r < registers; ++r) {
      best[r] = floats{} + not_offered;
      scale[r] = factor != nullptr ? load(&(*factor)[j + r * lanes]) : floats{} + 1.0f;
    }
    for (std::size_t k = 0; k < count; ++k) {
      const auto i = offered[k];
      const floats base = floats{} + from[i];
      const auto* row = link.from(i, j);
      for (std::size_t r = 0; r < registers; ++r) {
        const floats through = base + load(row + r * lanes) * scale[r];
        best[r] = through < best[r] ? through : best[r];
      }
    }
    __builtin_memcpy(&to[j], best, sizeof best);
  }
}

std::uint8_t least(const layer_costs& costs, std::size_t size) noexcept {
  return static_cast<std::uint8_t>(std::min_element(costs.begin(), costs.begin() + static_cast<std::ptrdiff_t>(size)) -
                                   costs.begin());
}

float factor_of(const layered_problem& problem, std::size_t layer, std::size_t node) noexcept {
  return problem.factors[layer] != nullptr ? (*problem.factors[layer])[node] : 1.0f;
}

} // namespace

layered_path cheapest_path(const layered_problem& problem) noexcept {
  // Cost of the cheapest way to each node, the node included.
  std::array<layer_costs, max_layers> arrival; // NOLINT(cppcoreguidelines-pro-type-member-init): written before read
  for (std::size_t layer = 0; layer < problem.layers; ++layer) {
    auto& here = arrival[layer];
    const auto size = problem.sizes[layer];
    if (layer == 0) {
      here.fill(0);
      if (problem.ingress != nullptr)
        for (std::size_t j = 0; j < size; ++j)
          here[j] = (*problem.ingress)[j] * factor_of(problem, 0, j);
    } else if (const auto* link = problem.links[layer - 1]) {
      relax(arrival[layer - 1], problem.sizes[layer - 1], *link, problem.factors[layer], size, here);
    } else {
      const auto& before = arrival[layer - 1];
      here.fill(before[least(before, problem.sizes[layer - 1])]);
    }
    for (std::size_t j = 0; j < layer_width; ++j)
      here[j] = j < size ? here[j] + (*problem.nodes[layer])[j] * factor_of(problem, layer, j) : not_offered;
  }

  layered_path out;
  if (problem.layers == 0)
    return out;
  // Back from the cheapest end: who a node was reached from is found again instead of being kept for all of them.
  auto last = arrival[problem.layers - 1];
  if (problem.egress != nullptr)
    for (std::size_t j = 0; j < layer_width; ++j)
      last[j] += (*problem.egress)[j];
  auto node = least(last, problem.sizes[problem.layers - 1]);
  out.cost = last[node];
  out.nodes[problem.layers - 1] = node;
  for (std::size_t layer = problem.layers - 1; layer-- > 0;) {
    auto through = arrival[layer];
    if (const auto* link = problem.links[layer]) {
      const auto factor = factor_of(problem, layer + 1, node);
      for (std::size_t i = 0; i < problem.sizes[layer]; ++i)
        through[i] += link->at(i, node) * factor;
    }
    node = least(through, problem.sizes[layer]);
    out.nodes[layer] = node;
  }
  return out;
}

float cost_of(const layered_problem& problem, const std::array<std::uint8_t, max_layers>& nodes) noexcept {
  float out = 0;
  for (std::size_t layer = 0; layer < problem.layers; ++layer) {
    out += (*problem.nodes[layer])[nodes[layer]];
    if (layer == 0 && problem.ingress != nullptr)
      out += (*problem.ingress)[nodes[0]];
    if (layer > 0 && problem.links[layer - 1] != nullptr)
      out += problem.links[layer - 1]->at(nodes[layer - 1], nodes[layer]);
  }
  if (problem.layers > 0 && problem.egress != nullptr)
    out += (*problem.egress)[nodes[problem.layers - 1]];
  return out;
}

} // namespace glocal::policy
