#pragma once
// Which bits of packets tell a group of rules apart best: the heart of the forest's builder.

#include "dataplane/classify/forest_builder.hpp"

namespace glocal::dataplane {

template <std::size_t Words>
struct chosen_bits {
  std::array<std::uint64_t, indexed_bits<Words>::words> mask{};
  std::uint32_t width = 0;
};

/// Greedy, on a sample of the group: each bit separates the most pairs of rules that are still together. `rules` is how
/// many rules the sample stands for. No bits when none separates any two rules.
/// Cost: O(sample x width) steps of some 20 ns.
template <std::size_t Words>
[[nodiscard]] chosen_bits<Words> choose_bits(std::span<const indexed_bits<Words>> sample, std::size_t rules,
                                             std::uint32_t max_width, const forest_options& options);

/// PEXT where the processor has it.
[[nodiscard]] std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept;

} // namespace glocal::dataplane
