#include "dataplane/classify/leaf_marks.hpp"

#include "dataplane/classify/bit_choice.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

constexpr unsigned mark_bits = 8;
/// Shapes of marks that a leaf may add to, and those that it tries first: the ones that served last.
constexpr std::size_t max_mark_shapes = 1024, tried_shapes = 24;

/// What tells two rules apart, for each pair that something does.
template <std::size_t Words>
using differences = std::vector<std::array<std::uint64_t, indexed_bits<Words>::words>>;

template <std::size_t Words>
differences<Words> differences_of(std::span<const indexed_bits<Words>> rules) {
  differences<Words> out;
  for (std::size_t i = 0; i < rules.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) {
      typename differences<Words>::value_type one;
      std::uint64_t any = 0;
      for (std::size_t w = 0; w < one.size(); ++w) {
        one[w] = rules[i].care[w] & rules[k].care[w] & (rules[i].value[w] ^ rules[k].value[w]);
        if (w == packed_layout<Words>::ports)
          one[w] &= indexed_port_bits;
        any |= one[w];
      }
      if (any != 0)
        out.push_back(one);
    }
  return out;
}

template <std::size_t Words>
std::size_t told_apart(const differences<Words>& pairs, const node_shape<Words>& shape) noexcept {
  std::size_t out = 0;
  for (const auto& pair : pairs) {
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < pair.size(); ++w)
      any |= pair[w] & shape.mask[w];
    out += any != 0;
  }
  return out;
}

/// Greedy: each bit tells apart the most pairs that those before it did not; of equal ones that which most rules
/// demand.
template <std::size_t Words>
node_shape<Words> best_shape(std::span<const indexed_bits<Words>> rules, differences<Words> pairs) {
  constexpr auto words = indexed_bits<Words>::words;
  std::array<std::array<std::uint32_t, 64>, words> demanded{};
  std::array<std::uint64_t, words> candidates{};
  for (const auto& pair : pairs)
    for (std::size_t w = 0; w < words; ++w)
      candidates[w] |= pair[w];
  for (const auto& rule : rules)
    for (std::size_t w = 0; w < words; ++w)
      for (auto left = rule.care[w] & candidates[w]; left != 0; left &= left - 1)
        ++demanded[w][static_cast<unsigned>(std::countr_zero(left))];
  node_shape<Words> out;
  for (; out.width < mark_bits; ++out.width) {
    std::array<std::array<std::uint32_t, 64>, words> apart{};
    for (const auto& pair : pairs)
      for (std::size_t w = 0; w < words; ++w)
        for (auto left = pair[w]; left != 0; left &= left - 1)
          ++apart[w][static_cast<unsigned>(std::countr_zero(left))];
    std::uint32_t best = 0;
    std::size_t word = words;
    unsigned bit = 0;
    for (std::size_t w = 0; w < words; ++w)
      for (auto left = candidates[w]; left != 0; left &= left - 1) {
        const auto at = static_cast<unsigned>(std::countr_zero(left));
        const auto score = apart[w][at] * 16 + demanded[w][at];
        if (score > best) {
          best = score;
          word = w;
          bit = at;
        }
      }
    if (word == words)
      break;
    const auto chosen = std::uint64_t{1} << bit;
    out.mask[word] |= chosen;
    candidates[word] &= ~chosen;
    std::erase_if(pairs, [&](const auto& pair) { return (pair[word] & chosen) != 0; });
  }
  unsigned shift = 0;
  for (std::size_t w = 0; w < words; ++w) {
    out.shift[w] = static_cast<std::uint8_t>(shift);
    shift += static_cast<unsigned>(std::popcount(out.mask[w]));
  }
  return out;
}

} // namespace

template <std::size_t Words>
leaf_marks make_marks(std::span<const packed_words<Words>> rules, const packed_words<Words>* templates,
                      const node_shape<Words>& shape) noexcept {
  leaf_marks out{};
  out.value.fill(0xff);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto of = bits_of<Words>(rules[i], templates[payload::template_of(rules[i].word[Words - 1])]);
    std::uint64_t value = 0, care = 0;
    for (std::size_t w = 0; w < shape.words; ++w) {
      value |= extract(of.value[w] & of.care[w], shape.mask[w]) << shape.shift[w];
      care |= extract(of.care[w], shape.mask[w]) << shape.shift[w];
    }
    out.value[i] = static_cast<std::uint8_t>(value);
    out.care[i] = static_cast<std::uint8_t>(care);
  }
  const auto class_of = [&](std::size_t at) {
    return at < rules.size() ? static_cast<std::uint16_t>(rules[at].word[Words - 1] >> payload::class_shift)
                             : std::uint16_t{0};
  };
  out.first_classes = {class_of(classed_rules[0]), class_of(classed_rules[1])};
  out.third_class = class_of(classed_rules[2]);
  out.rules = static_cast<std::uint8_t>(rules.size());
  return out;
}

template <std::size_t Words>
std::optional<std::uint32_t> choose_marks(std::span<const packed_words<Words>> slots,
                                          const packed_words<Words>* templates, shape_table<Words>& shapes) {
  std::array<indexed_bits<Words>, max_marked_rules> all;
  for (std::size_t i = 0; i < slots.size(); ++i)
    all[i] = bits_of<Words>(slots[i], templates[payload::template_of(slots[i].word[Words - 1])]);
  const auto rules = std::span<const indexed_bits<Words>>{all}.first(slots.size());
  const auto pairs = differences_of<Words>(rules);
  if (pairs.empty())
    return {};
  auto& known = shapes.of_marks();
  const auto enough = pairs.size() - pairs.size() / 10;
  std::size_t best = 0, best_at = 0;
  for (std::size_t i = 0; i < std::min(known.size(), tried_shapes); ++i) {
    const auto apart = told_apart<Words>(pairs, shapes[known[i]]);
    if (apart > best) {
      best = apart;
      best_at = i;
    }
    if (apart >= enough)
      break;
  }
  if (best < enough && known.size() < max_mark_shapes) {
    const auto shape = best_shape<Words>(rules, pairs);
    if (told_apart<Words>(pairs, shape) > best) {
      const auto id = shapes.intern(shape);
      if (id) {
        known.erase(std::remove(known.begin(), known.end(), *id), known.end());
        known.insert(known.begin(), *id);
        return id;
      }
    }
  }
  if (best == 0)
    return {};
  // What served comes forward.
  std::swap(known[best_at], known[best_at / 2]);
  return known[best_at / 2];
}

template leaf_marks make_marks<4>(std::span<const packed_v4>, const packed_v4*, const node_shape<4>&) noexcept;
template leaf_marks make_marks<8>(std::span<const packed_v6>, const packed_v6*, const node_shape<8>&) noexcept;
template std::optional<std::uint32_t> choose_marks<4>(std::span<const packed_v4>, const packed_v4*, shape_table<4>&);
template std::optional<std::uint32_t> choose_marks<8>(std::span<const packed_v6>, const packed_v6*, shape_table<8>&);

} // namespace glocal::dataplane
