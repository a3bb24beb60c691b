#include "dataplane/classify/forest_builder.hpp"

#include "base/hash.hpp"
#include "dataplane/classify/bit_choice.hpp"
#include "dataplane/classify/leaf_marks.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

/// Most rules the bits of one node are chosen by: enough for 24 bits, where a sixteenth of these rules are still
/// together, and 3 s of work.
constexpr std::size_t max_sample = 1u << 20;
/// Deeper trees hold nothing that bits tell apart quickly; what is left is compared.
constexpr unsigned max_depth = 40;
/// Copies of one rule in one table: 2^12.
constexpr unsigned max_open_bits = 12;

} // namespace

template <std::size_t Words>
auto forest_builder<Words>::build(std::span<const packed_words<Words>> rules, std::span<const std::uint32_t> order)
    -> expected<subtree, forest_error> {
  rules_ = rules;
  failure_.reset();
  const auto out = build_split(order);
  if (failure_)
    return unexpected{*failure_};
  if (out.lines > max_lines)
    return unexpected{forest_error::too_many_lines};
  return out;
}

/// The trees hang together by nodes without bits: a table of one entry for the first, the header for the others.
template <std::size_t Words>
auto forest_builder<Words>::build_split(group rules) -> subtree {
  std::array<std::vector<std::uint32_t>, 3> parts;
  if (options_.split_length > 0)
    for (const auto rule : rules) {
      const auto of = bits_at(rule);
      const auto length = options_.split_length;
      parts[prefix_length<Words>(of, false) >= length  ? 0
            : prefix_length<Words>(of, true) >= length ? 1
                                                       : 2]
          .push_back(rule);
    }
  const auto filled = std::count_if(parts.begin(), parts.end(), [](const auto& part) { return !part.empty(); });
  if (filled < 2)
    return build_group(rules, 0, options_.max_copies);
  subtree out;
  std::uint16_t best = 0;
  for (auto part = parts.rbegin(); part != parts.rend() && !failure_; ++part) {
    if (part->empty())
      continue;
    const auto tree = build_group(*part, 0, options_.max_copies);
    if (failure_)
      break;
    if (out.entry == 0) {
      out = tree;
      best = entry::best(tree.entry);
      continue;
    }
    best = std::max(best, entry::best(tree.entry));
    node_shape<Words> shape;
    shape.kept_below = 1;
    shape.split = static_cast<std::uint8_t>(options_.split_length | (part == parts.rend() - 1 ? 0 : shape.by_source));
    const auto id = shapes_.intern(shape);
    if (!id)
      return fail(forest_error::too_many_shapes);
    const auto first = arena_.allocate(3, true);
    if (first == 0)
      return fail(forest_error::out_of_memory);
    const auto base = first + 2;
    std::memset(arena_.slot(base - 1), 0, 2 * Words * 8);
    *arena_.word(base) = tree.entry;
    *arena_.word(base - 1) = out.entry;
    out.lines += 1;
    out.visits += 1;
    out = join(entry::node(base, *id, best), tree, out);
  }
  return out;
}

template <std::size_t Words>
auto forest_builder<Words>::build_group(group rules, unsigned depth, double copies) -> subtree {
  if (failure_ || rules.empty())
    return {};
  plan how;
  if (rules.size() <= options_.leaf_rules || depth == max_depth || !divide(rules, depth, copies, how))
    return make_leaf(rules);
  return make_node(how, rules, depth, copies);
}

template <std::size_t Words>
auto forest_builder<Words>::make_leaf(group rules) -> subtree {
  const auto count = static_cast<std::uint32_t>(rules.size());
  if (count > longest_leaf_) {
    longest_leaf_ = count;
    longest_leaf_rule_ = payload::id(rules_[rules.front()].word[Words - 1]);
  }
  if (count > 2 * max_lines)
    return fail(forest_error::too_many_lines);
  if (options_.marked_rules > 0 && count >= options_.marked_rules && count <= max_marked_rules)
    if (const auto marked = make_marked_leaf(rules))
      return *marked;
  const auto slot = arena_.allocate(count);
  if (slot == 0)
    return fail(forest_error::out_of_memory);
  write_rules(slot, rules);
  const auto lines = Words == 4 ? (count + 1) / 2 : count;
  return {entry::leaf(slot, count, best_of(rules)), lines, 1};
}

template <std::size_t Words>
auto forest_builder<Words>::make_marked_leaf(group rules) -> std::optional<subtree> {
  const auto count = static_cast<std::uint32_t>(rules.size());
  std::array<packed_words<Words>, max_marked_rules> all;
  for (std::uint32_t i = 0; i < count; ++i)
    all[i] = rules_[rules[i]];
  const auto of = std::span<const packed_words<Words>>{all}.first(count);
  const auto shape = choose_marks<Words>(of, templates_.data(), shapes_);
  if (!shape)
    return {};
  const auto slot = arena_.allocate(count + 1, true);
  if (slot == 0)
    return fail(forest_error::out_of_memory);
  const auto marks = make_marks<Words>(of, templates_.data(), shapes_[*shape]);
  std::memcpy(arena_.slot(slot), &marks, sizeof marks);
  std::memcpy(arena_.slot(slot + 1), of.data(), of.size_bytes());
  return subtree{entry::marked(slot, *shape, best_of(rules)), marked_lines<Words>(count), 1};
}

template <std::size_t Words>
void forest_builder<Words>::write_rules(std::uint32_t slot, group rules) {
  for (const auto rule : rules)
    std::memcpy(arena_.slot(slot++), &rules_[rule], sizeof(packed_words<Words>));
}

template <std::size_t Words>
auto forest_builder<Words>::make_node(plan& how, group rules, unsigned depth, double copies) -> subtree {
  auto& shape = how.shape;
  const auto kept_count = static_cast<std::uint32_t>(how.kept.size());
  shape.kept = static_cast<std::uint8_t>(kept_count <= options_.kept_inline ? kept_count : 0);
  shape.kept_below = kept_count > shape.kept ? 1 : 0;
  const auto id = shapes_.intern(shape);
  if (!id)
    return fail(forest_error::too_many_shapes);

  // The kept rules, the header in the last slot before the table, the table at an even slot.
  const std::uint32_t before = (shape.kept + 2u) & ~1u;
  const auto table_slots = static_cast<std::uint32_t>(((std::size_t{8} << shape.width) + Words * 8 - 1) / (Words * 8));
  const auto first = arena_.allocate(before + table_slots, true);
  if (first == 0)
    return fail(forest_error::out_of_memory);
  const auto base = first + before;
  std::memset(arena_.slot(base - 1), 0, (table_slots + 1) * Words * 8);
  write_rules(kept_begin(base, shape.kept), group{how.kept}.first(shape.kept));

  subtree worst;
  std::unordered_map<std::uint64_t, std::uint32_t> seen;
  const group all{how.rules};
  // Rules of neighbouring cells lie anywhere in memory.
  constexpr std::size_t rules_ahead = 64;
  std::size_t asked_for = 0;
  for (std::uint32_t index = 0; index < 1u << shape.width; ++index) {
    const auto begin = how.first[index], count = how.first[index + 1] - begin;
    if (count == 0)
      continue;
    for (; asked_for < std::min(all.size(), begin + count + rules_ahead); ++asked_for)
      __builtin_prefetch(&rules_[all[asked_for]]);
    const auto cell = all.subspan(begin, count);
    auto* at = arena_.word(base) + index;
    // Cells of copies alone are often the same; they share one leaf.
    if (how.copies > 1 && count <= options_.leaf_rules) {
      const auto hash = hash_bytes(cell.data(), cell.size_bytes());
      const auto [found, is_new] = seen.try_emplace(hash, index);
      if (!is_new) {
        const auto other = found->second;
        const auto same = all.subspan(how.first[other], how.first[other + 1] - how.first[other]);
        if (std::equal(cell.begin(), cell.end(), same.begin(), same.end())) {
          *at = arena_.word(base)[other];
          ++shared_->try_emplace(entry::base(*at), 1).first->second;
          continue;
        }
      }
    }
    const auto child = build_group(cell, depth + 1, std::max(1.0, copies / how.copies));
    if (failure_)
      return {};
    *at = child.entry;
    worst.lines = std::max(worst.lines, child.lines);
    worst.visits = std::max(worst.visits, child.visits);
  }
  subtree kept;
  if (shape.kept_below != 0) {
    kept = build_group(how.kept, depth + 1, copies);
    if (failure_)
      return {};
    *arena_.word(base - 1) = kept.entry;
    kept.lines += 1;
    kept.visits += 1;
  } else if (shape.kept > 0)
    kept = {0, Words == 4 ? (shape.kept + 1u) / 2 : shape.kept, 1};
  return join(entry::node(base, *id, best_of(rules)), worst, kept);
}

template <std::size_t Words>
auto forest_builder<Words>::join(std::uint64_t node, const subtree& table, const subtree& kept) -> subtree {
  // Far beyond what a lookup may touch, all bounds are alike.
  const auto bounded = [](std::uint32_t value) { return static_cast<std::uint16_t>(std::min(value, 0x3fffu)); };
  node_bounds::at(arena_.word(entry::base(node) - 1, 1)) = {bounded(table.lines), bounded(table.visits),
                                                            bounded(kept.lines), bounded(kept.visits)};
  return {node, bounded(table.lines + kept.lines + 1), bounded(table.visits + kept.visits + 1)};
}

template <std::size_t Words>
bool forest_builder<Words>::divide(group rules, unsigned depth, double copies, plan& out) {
  const auto step = (rules.size() + max_sample - 1) / max_sample;
  std::vector<bits> sample;
  sample.reserve(rules.size() / step + 1);
  constexpr std::size_t ahead = 16;
  for (std::size_t i = 0; i < rules.size(); i += step) {
    if (i + ahead * step < rules.size())
      __builtin_prefetch(&rules_[rules[i + ahead * step]]);
    sample.push_back(bits_at(rules[i]));
  }
  auto options = options_;
  options.max_copies = copies;
  // What the root keeps can be a long list too, and has one table as well.
  const bool is_large = depth == 0 || rules.size() > std::size_t{4} << options.inner_width;
  const auto chosen =
      choose_bits<Words>(sample, rules.size(), is_large ? options.root_width : options.inner_width, options);
  if (chosen.width == 0)
    return false;
  out.shape.mask = chosen.mask;
  out.shape.width = static_cast<std::uint8_t>(chosen.width);
  unsigned shift = 0;
  for (std::size_t w = 0; w < bits::words; ++w) {
    out.shape.shift[w] = static_cast<std::uint8_t>(shift);
    shift += static_cast<unsigned>(std::popcount(chosen.mask[w]));
  }
  return distribute(rules, copies, out);
}

template <std::size_t Words>
bool forest_builder<Words>::distribute(group rules, double copies_allowed, plan& out) const {
  auto& shape = out.shape;
  const auto place = [&](std::uint32_t rule, std::uint32_t& index, std::uint32_t& open) {
    const auto of = bits_at(rule);
    index = open = 0;
    for (std::size_t w = 0; w < bits::words; ++w) {
      index |= static_cast<std::uint32_t>(extract(of.value[w] & of.care[w], shape.mask[w]) << shape.shift[w]);
      open |= static_cast<std::uint32_t>(extract(~of.care[w], shape.mask[w]) << shape.shift[w]);
    }
  };
  struct spot {
    std::uint32_t index, open;
  };
  std::vector<spot> spots(rules.size());
  std::array<std::size_t, 65> by_open{};
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (i + 16 < rules.size())
      __builtin_prefetch(&rules_[rules[i + 16]]);
    place(rules[i], spots[i].index, spots[i].open);
    ++by_open[static_cast<std::size_t>(std::popcount(spots[i].open))];
  }
  // As many open bits as the budget allows; at least those of the rules that leave the fewest open.
  double copies = 0, alone = 0;
  std::optional<unsigned> max_open;
  for (unsigned open = 0; open <= std::min<unsigned>(max_open_bits, shape.width); ++open) {
    copies += static_cast<double>(by_open[open]) * static_cast<double>(1u << open);
    alone += static_cast<double>(by_open[open]);
    if (alone > 0 && (!max_open || copies <= copies_allowed * alone))
      max_open = open;
  }
  if (!max_open)
    return false;
  shape.max_open = static_cast<std::uint8_t>(*max_open);

  const auto cells = std::size_t{1} << shape.width;
  out.first.assign(cells + 1, 0);
  const auto each_index = [](const spot& at, auto&& visit) {
    // All subsets of the open bits.
    for (std::uint32_t subset = at.open;; subset = (subset - 1) & at.open) {
      visit(at.index | subset);
      if (subset == 0)
        return;
    }
  };
  std::size_t in_table = 0;
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (static_cast<unsigned>(std::popcount(spots[i].open)) <= *max_open) {
      ++in_table;
      each_index(spots[i], [&](std::uint32_t index) { ++out.first[index + 1]; });
    } else
      out.kept.push_back(rules[i]);
  std::size_t largest = 0;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    largest = std::max<std::size_t>(largest, out.first[cell + 1]);
    out.first[cell + 1] += out.first[cell];
  }
  // Without progress the group would be divided for ever.
  if (largest >= rules.size())
    return false;
  out.copies = static_cast<double>(out.first[cells]) / static_cast<double>(in_table);
  out.rules.resize(out.first[cells]);
  std::vector<std::uint32_t> next{out.first.begin(), out.first.end() - 1};
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (static_cast<unsigned>(std::popcount(spots[i].open)) <= *max_open)
      each_index(spots[i], [&](std::uint32_t index) { out.rules[next[index]++] = rules[i]; });
  return true;
}

template class forest_builder<4>;
template class forest_builder<8>;

} // namespace glocal::dataplane
