#pragma once
// Marks: what each rule of a leaf demands of eight bits of the packet, side by side in the leaf's first slot.
//
// One vector step compares all marks, and a lookup reads only the rules that can still match: of seven rules for one
// subscriber it mostly reads one. A rule that leaves a bit open leaves it open in its mark, so marks copy nothing.
// Which eight bits is the leaf's shape; few shapes serve all leaves of a list, as its rules are made alike.

#include "dataplane/classify/forest.hpp"

#include <span>

namespace glocal::dataplane {

/// Most rules of a leaf with marks.
inline constexpr std::uint32_t max_marked_rules = 12;
/// Rules whose classes stand beside the marks: with a better rule found elsewhere, these and all behind are not read.
inline constexpr std::array<std::uint32_t, 3> classed_rules{1, 3, 6};

/// A rule can match when (bits of the packet & care) == value. Behind the last rule nothing matches.
struct alignas(16) leaf_marks {
  std::array<std::uint8_t, max_marked_rules> value;
  std::array<std::uint16_t, 2> first_classes;
  std::array<std::uint8_t, max_marked_rules> care;
  std::uint16_t third_class;
  std::uint8_t rules, unused;
};
static_assert(sizeof(leaf_marks) == 32 && offsetof(leaf_marks, care) == 16);

/// Of the rules that can match (a bit each), those whose class does not say that they rank below `best`.
inline std::uint64_t not_outranked(std::uint64_t can, const leaf_marks& marks, std::uint64_t best_class) noexcept {
  const auto keep = [&](std::uint64_t rank_class, std::uint32_t from) {
    return ((std::uint64_t{rank_class < best_class} << from) - 1) | (std::uint64_t{rank_class >= best_class} * ~0ULL);
  };
  return can & keep(marks.first_classes[0], classed_rules[0]) & keep(marks.first_classes[1], classed_rules[1]) &
         keep(marks.third_class, classed_rules[2]);
}

/// The rules an entry's leaf holds: `count` slots from `first`.
struct leaf_run {
  std::uint32_t first = 0, count = 0;
};

template <std::size_t Words>
[[nodiscard]] inline leaf_run rules_of_leaf(const std::byte* arena, std::uint64_t word) noexcept {
  const auto base = entry::base(word);
  if ((word & entry::is_marked) == 0)
    return {base, entry::info(word)};
  return {base + 1, reinterpret_cast<const leaf_marks*>(arena + std::uint64_t{base} * Words * 8)->rules};
}

/// What a visit of a leaf with marks costs at most.
template <std::size_t Words>
[[nodiscard]] constexpr std::uint32_t marked_lines(std::uint32_t count) noexcept {
  return Words == 4 ? count / 2 + 1 : count + 1;
}

/// REQUIRES: rules.size() <= max_marked_rules; templates hold theirs.
template <std::size_t Words>
[[nodiscard]] leaf_marks make_marks(std::span<const packed_words<Words>> rules, const packed_words<Words>* templates,
                                    const node_shape<Words>& shape) noexcept;

/// Eight bits that tell these rules apart, of a shape there is already if one is nearly as good as any. Nothing when no
/// bits tell any two apart, or there is no room for a shape. Cost: 0.2 us with a shape there is, else some 10 us.
template <std::size_t Words>
[[nodiscard]] std::optional<std::uint32_t> choose_marks(std::span<const packed_words<Words>> rules,
                                                        const packed_words<Words>* templates,
                                                        shape_table<Words>& shapes);

} // namespace glocal::dataplane
