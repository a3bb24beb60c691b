#pragma once
// The lookup kernels: one piece of code (lookup_kernel.ipp), compiled once for each instruction set and chosen at run
// time.
//
// All kernels give the same answers. Threading: pure functions over a view.

#include "dataplane/classify/forest.hpp"

#include <span>

namespace glocal::dataplane {

struct lookup_kernel {
  const char* name = "";
  /// out[i] becomes the winner for keys[i], or no_rule. `count` <= max_classify_burst.
  void (*v4)(const forest_view<4>&, const packed_v4* keys, rule_id* out, std::size_t count) noexcept = nullptr;
  void (*v6)(const forest_view<8>&, const packed_v6* keys, rule_id* out, std::size_t count) noexcept = nullptr;
};

/// What this machine can run, the fastest first; the last one runs everywhere.
[[nodiscard]] std::span<const lookup_kernel> lookup_kernels() noexcept;

/// The bits of `value` that `mask` selects, side by side: what the instruction PEXT does, on any machine.
[[nodiscard]] constexpr std::uint64_t extract_bits(std::uint64_t value, std::uint64_t mask) noexcept {
  std::uint64_t out = 0;
  for (unsigned at = 0; mask != 0; mask &= mask - 1, ++at)
    out |= (value >> std::countr_zero(mask) & 1) << at;
  return out;
}

/// One packet's way, counted; for tuning and for measuring. Slow.
template <std::size_t Words>
rule_id counted_lookup(const forest_view<Words>& forest, const packed_words<Words>& key, lookup_cost& cost);

namespace kernels {
extern const lookup_kernel baseline, avx2, avx2_without_pext, avx512;
}

} // namespace glocal::dataplane
