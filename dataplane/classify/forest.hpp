#pragma once
// The forest: where a packet's bits lead to the few rules that can match it.
//
// One arena of slots (a slot holds one rule: 32 bytes for IPv4, 64 for IPv6) holds everything; references are slot
// numbers. An entry (8 bytes) is a leaf, rules in rank order that lie side by side, a leaf with marks (leaf_marks.hpp),
// whose first slot says which of its rules can match, or a node:
//
//   [rules kept at the node, best first][header slot][table of 2^width entries]
//                                                     ^ what the entry refers to
//
// A node's shape says which bits of a packet make the index of its table (PEXT) and how many rules are kept at the
// node: those that leave too many of these bits open to stand in the table once for each value. More than a few such
// rules are a subtree of their own, whose entry stands in the header. So a packet visits one entry of each node's table
// and what is kept there, and every branch is cut off whose best rule is worse than one found.
//
// A lookup never touches more than `max_lines` cache lines of the arena, whatever the rules: a list that would need
// more is refused. Source of the idea of looking at few distinguishing bits, taken by PEXT: DBTable (Liao et al., TNET
// 2024).
//
// Threading: entries are written as whole words with release order and read with acquire; see forest_editor.hpp for
// what changes while lookups run.

#include "dataplane/classify/huge_memory.hpp"
#include "dataplane/classify/packed.hpp"

#include <optional>
#include <unordered_map>
#include <vector>

namespace glocal::dataplane {

/// Bound on the cache lines one lookup touches. At some 4 ns a line (caches warm) it is 0.5 us.
inline constexpr std::size_t max_lines = 128;

namespace entry {
/// base (32) | leaf: count (14); node, leaf with marks: shape (14) | kind (2) | class of the best rule below (16). 0 is
/// an empty leaf.
inline constexpr unsigned info_shift = 32, kind_shift = 46, class_shift = 48;
inline constexpr std::uint64_t info_mask = 0x3fff, is_node = 1ULL << kind_shift, is_marked = 2ULL << kind_shift,
                               kind_mask = is_node | is_marked, place_mask = is_node - 1;

constexpr std::uint32_t base(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(word);
}
constexpr std::uint32_t info(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(word >> info_shift) & info_mask;
}
constexpr std::uint16_t best(std::uint64_t word) noexcept {
  return static_cast<std::uint16_t>(word >> class_shift);
}
constexpr std::uint64_t leaf(std::uint32_t base, std::uint32_t count, std::uint16_t best) noexcept {
  return base | std::uint64_t{count} << info_shift | std::uint64_t{best} << class_shift;
}
constexpr std::uint64_t node(std::uint32_t base, std::uint32_t shape, std::uint16_t best) noexcept {
  return leaf(base, shape, best) | is_node;
}
constexpr std::uint64_t marked(std::uint32_t base, std::uint32_t shape, std::uint16_t best) noexcept {
  return leaf(base, shape, best) | is_marked;
}
inline std::uint64_t load(const std::uint64_t* at) noexcept {
  return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}
inline void store(std::uint64_t* at, std::uint64_t word) noexcept {
  __atomic_store_n(at, word, __ATOMIC_RELEASE);
}
} // namespace entry

/// How a node looks at packets and what it keeps; shared by all nodes alike.
template <std::size_t Words>
struct alignas(Words * 8) node_shape {
  static constexpr std::size_t words = packed_layout<Words>::indexed;

  std::array<std::uint64_t, words> mask{};
  /// Where in the index the bits of each word begin; the first word's begin at 0.
  std::array<std::uint8_t, words> shift{};
  std::uint8_t width = 0;
  /// Rules kept at the node, inline before the header.
  std::uint8_t kept = 0;
  /// Whether the header holds an entry of more rules kept.
  std::uint8_t kept_below = 0;
  /// A rule stands in the table when it leaves at most this many index bits open, else it is kept.
  std::uint8_t max_open = 0;
  /// Of a node without bits: rules whose destination prefix (with `by_source`: source prefix) is at least this long
  /// stand in its one entry, the others are kept. 0: a node with bits.
  std::uint8_t split = 0;

  static constexpr std::uint8_t by_source = 0x80;

  bool operator==(const node_shape&) const = default;
};

template <std::size_t Words>
[[nodiscard]] inline unsigned prefix_length(const indexed_bits<Words>& bits, bool of_source) noexcept {
  if constexpr (Words == 4)
    return static_cast<unsigned>(std::popcount(of_source ? bits.care[0] >> 32 : bits.care[0] & 0xffff'ffff));
  else
    return static_cast<unsigned>(std::popcount(bits.care[of_source ? 0 : 2]) +
                                 std::popcount(bits.care[of_source ? 1 : 3]));
}

/// Whether a rule that leaves `open` index bits open stands in the node's table.
template <std::size_t Words>
[[nodiscard]] inline bool in_table(const node_shape<Words>& shape, const indexed_bits<Words>& bits, int open) noexcept {
  if (shape.split != 0)
    return prefix_length<Words>(bits, (shape.split & shape.by_source) != 0) >= (shape.split & ~shape.by_source & 0xffu);
  return open <= shape.max_open;
}

/// Where a node's kept rules begin: the last of them shares its line with the header when their number is odd.
constexpr std::uint32_t kept_begin(std::uint32_t base, std::uint32_t kept) noexcept {
  return (base - 1 - kept) & ~1u;
}

/// The second word of a header: the most that one lookup touches and has pending in the table's subtrees and in what is
/// kept. For the writer only.
struct node_bounds {
  std::uint16_t table_lines = 0, table_visits = 0, kept_lines = 0, kept_visits = 0;

  [[nodiscard]] static node_bounds& at(std::uint64_t* word) noexcept { return *reinterpret_cast<node_bounds*>(word); }
};

inline constexpr std::size_t max_shapes = 1u << 14, max_templates = 1u << 14;

/// Everything a lookup reads.
template <std::size_t Words>
struct forest_view {
  const std::byte* arena = nullptr;
  const node_shape<Words>* shapes = nullptr;
  const packed_words<Words>* templates = nullptr;
  const rule_outcome* outcomes = nullptr;
  std::uint64_t root = 0;
  /// Most entries and leaves one packet has pending at a time.
  std::uint32_t max_visits = 1;
  /// The plane whose live bit counts: 0 or 1.
  std::uint32_t plane = 0;
  /// Whether equal classes mean equal priorities; else ties read `outcomes`.
  bool exact_classes = true;
};

/// What the walk of lookups costs.
struct lookup_cost {
  std::uint64_t lookups = 0, lines = 0, worst_lines = 0;
};

/// Masks of rules, each kept once.
template <std::size_t Words>
class template_table {
public:
  /// Nothing when there are `max_templates` others already, or no memory.
  [[nodiscard]] std::optional<std::uint32_t> intern(const packed_words<Words>& mask);
  [[nodiscard]] const packed_words<Words>* data() const noexcept {
    return reinterpret_cast<const packed_words<Words>*>(memory_.data());
  }
  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

private:
  struct hash {
    std::size_t operator()(const packed_words<Words>& mask) const noexcept;
  };
  huge_memory memory_;
  std::unordered_map<packed_words<Words>, std::uint32_t, hash> ids_;
};

/// Shapes of nodes, each kept once.
template <std::size_t Words>
class shape_table {
public:
  [[nodiscard]] std::optional<std::uint32_t> intern(const node_shape<Words>& shape);
  [[nodiscard]] bool holds(const node_shape<Words>& shape) const { return ids_.count(shape) > 0; }
  [[nodiscard]] const node_shape<Words>* data() const noexcept {
    return reinterpret_cast<const node_shape<Words>*>(memory_.data());
  }
  [[nodiscard]] const node_shape<Words>& operator[](std::uint32_t id) const noexcept { return data()[id]; }
  /// The ids of those that leaves' marks have, the ones that serve most leaves near the front: the builder's.
  [[nodiscard]] std::vector<std::uint32_t>& of_marks() noexcept { return of_marks_; }
  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

private:
  struct hash {
    std::size_t operator()(const node_shape<Words>& shape) const noexcept;
  };
  huge_memory memory_;
  std::unordered_map<node_shape<Words>, std::uint32_t, hash> ids_;
  std::vector<std::uint32_t> of_marks_;
};

} // namespace glocal::dataplane
