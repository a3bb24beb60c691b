#include "dataplane/classify/forest_editor.hpp"

#include "dataplane/classify/bit_choice.hpp"
#include "dataplane/classify/leaf_marks.hpp"

#include <algorithm>
#include <numeric>

namespace glocal::dataplane {
namespace {

/// A leaf that grows beyond so many rules is divided: four lines, and copying it still costs less than finding it.
constexpr std::size_t longest_leaf = 8;

std::uint16_t class_of(std::uint64_t payload_word) noexcept {
  return static_cast<std::uint16_t>(payload_word >> payload::class_shift);
}

} // namespace

template <std::size_t Words>
std::optional<forest_error> forest_editor<Words>::insert(const slot& rule) {
  failure_.reset();
  (void)edit(&forest_.root, rule, change::add, {});
  return failure_;
}

template <std::size_t Words>
std::optional<forest_error> forest_editor<Words>::erase(const slot& rule) {
  failure_.reset();
  (void)edit(&forest_.root, rule, change::take, {});
  return failure_;
}

template <std::size_t Words>
auto forest_editor<Words>::edit(std::uint64_t* at, const slot& rule, change what, bounds above) -> bounds {
  const auto word = *at;
  if ((word & entry::is_node) == 0)
    return edit_leaf(at, rule, what, above);
  auto& of = node_bounds::at(forest_.arena.word(entry::base(word) - 1, 1));
  const bounds in_table{above.lines + of.kept_lines + 1u, above.visits + of.kept_visits + 1u};
  bounds deepest{of.table_lines, of.table_visits};
  const bool in = each_entry(word, rule, [&](std::uint64_t* child) {
    if (failure_)
      return;
    const auto got = edit(child, rule, what, in_table);
    deepest = {std::max(deepest.lines, got.lines), std::max(deepest.visits, got.visits)};
  });
  if (failure_)
    return {};
  if (in) {
    of.table_lines = static_cast<std::uint16_t>(deepest.lines);
    of.table_visits = static_cast<std::uint16_t>(deepest.visits);
    if (what == change::add && class_of(rule.word[Words - 1]) > entry::best(word))
      entry::store(at, (word & (entry::place_mask | entry::is_node)) | std::uint64_t{class_of(rule.word[Words - 1])}
                                                                           << entry::class_shift);
  } else {
    const auto kept =
        edit_kept(at, rule, what, {above.lines + of.table_lines + 1u, above.visits + of.table_visits + 1u});
    of.kept_lines = static_cast<std::uint16_t>(std::max<std::uint32_t>(of.kept_lines, kept.lines));
    of.kept_visits = static_cast<std::uint16_t>(std::max<std::uint32_t>(of.kept_visits, kept.visits));
  }
  return {of.table_lines + of.kept_lines + 1u, of.table_visits + of.kept_visits + 1u};
}

/// Rules kept inline move below the header, where they can be replaced: the node changes its shape with one store.
template <std::size_t Words>
auto forest_editor<Words>::edit_kept(std::uint64_t* at, const slot& rule, change what, bounds above) -> bounds {
  const auto word = *at;
  const auto base = entry::base(word);
  auto shape = forest_.shapes[entry::info(word)];
  auto* header = forest_.arena.word(base - 1);
  above.lines += 1; // the header's own
  above.visits += 1;
  bounds got;
  auto next = word & (entry::place_mask | entry::is_node);
  if (shape.kept_below != 0)
    got = edit(header, rule, what, above);
  else {
    auto rules = rules_at(kept_begin(base, shape.kept), shape.kept);
    if (what == change::add)
      rules.insert(std::find_if(rules.begin(), rules.end(), [&](const auto& one) { return outranks(rule, one); }),
                   rule);
    else
      std::erase_if(rules, [&](const auto& one) {
        return payload::id(one.word[Words - 1]) == payload::id(rule.word[Words - 1]);
      });
    got = put_leaf(header, rules, above, rules.empty() ? 0 : class_of(rules.front().word[Words - 1]));
    shape.kept = 0;
    shape.kept_below = 1;
    const auto id = failure_ ? std::nullopt : forest_.shapes.intern(shape);
    if (!id) {
      failure_ = failure_.value_or(forest_error::too_many_shapes);
      return {};
    }
    next = entry::node(base, *id, 0);
  }
  if (failure_)
    return {};
  const auto best =
      what == change::add ? std::max(entry::best(word), class_of(rule.word[Words - 1])) : entry::best(word);
  next |= std::uint64_t{best} << entry::class_shift;
  if (next != word)
    entry::store(at, next);
  return {got.lines + 1, got.visits + 1};
}

template <std::size_t Words>
auto forest_editor<Words>::edit_leaf(std::uint64_t* at, const slot& rule, change what, bounds above) -> bounds {
  const auto word = *at;
  const auto [first, count] = rules_of_leaf<Words>(forest_.arena.data(), word);
  const auto* old = reinterpret_cast<const slot*>(forest_.arena.data()) + first;
  std::array<slot, longest_leaf + 1> few;
  std::vector<slot> many;
  auto* rules = few.data();
  if (count + 1 > few.size()) {
    many.resize(count + 1);
    rules = many.data();
  }
  std::size_t kept = 0;
  if (what == change::add) {
    const auto* end = old + count;
    const auto* place = std::find_if(old, end, [&](const auto& one) { return outranks(rule, one); });
    auto* out = std::copy(old, place, rules);
    *out++ = rule;
    std::copy(place, end, out);
    kept = count + 1;
  } else {
    const auto id = payload::id(rule.word[Words - 1]);
    for (std::uint32_t i = 0; i < count; ++i)
      if (payload::id(old[i].word[Words - 1]) != id)
        rules[kept++] = old[i];
    if (kept == count)
      return {std::max(marked_lines<Words>(count), Words == 4 ? (count + 1) / 2 : count), 1};
  }
  const auto got = put_leaf(at, {rules, kept}, above, kept == 0 ? std::uint16_t{0} : class_of(rules[0].word[Words - 1]),
                            (word & entry::is_marked) != 0 ? std::optional{entry::info(word)} : std::nullopt);
  if (!failure_ && count > 0)
    retire_leaf(word);
  return got;
}

/// Writes the rules and makes the entry lead to them. A leaf that has marks keeps their shape.
template <std::size_t Words>
auto forest_editor<Words>::put_leaf(std::uint64_t* at, std::span<const slot> rules, bounds above, std::uint16_t best,
                                    std::optional<std::uint32_t> mark_shape) -> bounds {
  const auto count = static_cast<std::uint32_t>(rules.size());
  if (count == 0) {
    entry::store(at, 0);
    return {0, 1};
  }
  bounds got{Words == 4 ? (count + 1) / 2 : count, 1};
  std::uint64_t word = 0;
  if (mark_shape && count > 1 && count <= max_marked_rules) {
    const auto first = forest_.arena.allocate(count + 1, true);
    if (first == 0) {
      failure_ = forest_error::out_of_memory;
      return {};
    }
    const auto marks = make_marks<Words>(rules, forest_.templates.data(), forest_.shapes[*mark_shape]);
    std::memcpy(forest_.arena.slot(first), &marks, sizeof marks);
    std::memcpy(forest_.arena.slot(first + 1), rules.data(), rules.size_bytes());
    word = entry::marked(first, *mark_shape, best);
    got = {marked_lines<Words>(count), 1};
  } else if (count > longest_leaf) {
    auto options = forest_.options;
    options.max_copies = std::min(options.max_copies, 1.5);
    options.split_length = 0;
    options.root_width = options.inner_width;
    forest_builder<Words> builder{forest_.arena, forest_.templates, forest_.shapes, options, &forest_.shared};
    std::array<std::uint32_t, 2 * max_lines> order;
    if (count > order.size()) {
      failure_ = forest_error::too_many_lines;
      return {};
    }
    std::iota(order.begin(), order.begin() + count, 0u);
    const auto built = builder.build(rules, std::span{order}.first(count));
    if (!built) {
      failure_ = built.error();
      return {};
    }
    word = built->entry;
    got = {built->lines, built->visits};
  } else {
    const auto first = forest_.arena.allocate(count);
    if (first == 0) {
      failure_ = forest_error::out_of_memory;
      return {};
    }
    std::memcpy(forest_.arena.slot(first), rules.data(), rules.size_bytes());
    word = entry::leaf(first, count, best);
  }
  if (above.lines + got.lines > max_lines) {
    failure_ = forest_error::too_many_lines;
    return {};
  }
  if (above.visits + got.visits > forest_.max_visits)
    before_deeper_(above.visits + got.visits);
  entry::store(at, word);
  return got;
}

template <std::size_t Words>
bool forest_editor<Words>::outranks(const slot& left, const slot& right) const noexcept {
  const auto a = left.word[Words - 1], b = right.word[Words - 1];
  if (class_of(a) != class_of(b))
    return class_of(a) > class_of(b);
  const auto of_a = outcomes_[payload::id(a)].priority, of_b = outcomes_[payload::id(b)].priority;
  return of_a != of_b ? of_a > of_b : payload::id(a) < payload::id(b);
}

template <std::size_t Words>
template <class Visit>
bool forest_editor<Words>::each_entry(std::uint64_t node, const slot& rule, Visit&& visit) const {
  const auto& shape = forest_.shapes[entry::info(node)];
  const auto bits = bits_of<Words>(rule, forest_.templates.data()[payload::template_of(rule.word[Words - 1])]);
  std::uint64_t index = 0, open = 0;
  for (std::size_t w = 0; w < shape.words; ++w) {
    index |= extract(bits.value[w] & bits.care[w], shape.mask[w]) << shape.shift[w];
    open |= extract(~bits.care[w], shape.mask[w]) << shape.shift[w];
  }
  if (!in_table<Words>(shape, bits, std::popcount(open)))
    return false;
  auto* table = forest_.arena.word(entry::base(node));
  for (auto subset = open;; subset = (subset - 1) & open) {
    visit(table + (index | subset));
    if (subset == 0)
      return true;
  }
}

template <std::size_t Words>
template <class Visit>
void forest_editor<Words>::each_copy(const std::uint64_t* at, const slot& rule, Visit&& visit) const {
  const auto word = *at;
  const auto scan = [&](std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i)
      visit(*reinterpret_cast<slot*>(forest_.arena.slot(first + i)));
  };
  if ((word & entry::is_node) == 0) {
    const auto run = rules_of_leaf<Words>(forest_.arena.data(), word);
    return scan(run.first, run.count);
  }
  if (each_entry(word, rule, [&](const std::uint64_t* child) { each_copy(child, rule, visit); }))
    return;
  const auto& shape = forest_.shapes[entry::info(word)];
  if (shape.kept_below != 0)
    each_copy(forest_.arena.word(entry::base(word) - 1), rule, visit);
  else
    scan(kept_begin(entry::base(word), shape.kept), shape.kept);
}

template <std::size_t Words>
void forest_editor<Words>::set_live(const slot& rule, unsigned planes) {
  const auto id = payload::id(rule.word[Words - 1]);
  each_copy(&forest_.root, rule, [&](slot& copy) {
    auto& word = copy.word[Words - 1];
    if (payload::id(word) == id)
      __atomic_store_n(&word, (word & ~payload::live_both) | std::uint64_t{planes} << payload::live_shift,
                       __ATOMIC_RELAXED);
  });
}

template <std::size_t Words>
void forest_editor<Words>::settle(const slot& rule, unsigned plane) {
  const auto id = payload::id(rule.word[Words - 1]);
  each_copy(&forest_.root, rule, [&](slot& copy) {
    auto& word = copy.word[Words - 1];
    if (payload::id(word) == id)
      __atomic_store_n(&word,
                       (word >> (payload::live_shift + plane) & 1) != 0 ? word | payload::live_both
                                                                        : word & ~payload::live_both,
                       __ATOMIC_RELAXED);
  });
}

template <std::size_t Words>
std::optional<std::uint64_t> forest_editor<Words>::find(const slot& like, unsigned plane,
                                                        const std::function<bool(rule_id)>& accept) const {
  std::optional<std::uint64_t> found;
  each_copy(&forest_.root, like, [&](const slot& copy) {
    const auto word = copy.word[Words - 1];
    const bool same = std::equal(copy.word.begin(), copy.word.end() - 1, like.word.begin()) &&
                      payload::template_of(word) == payload::template_of(like.word[Words - 1]);
    if (same && (word >> (payload::live_shift + plane) & 1) != 0 && accept(payload::id(word)) &&
        (!found || payload::id(word) < payload::id(*found)))
      found = word;
  });
  return found;
}

template <std::size_t Words>
void each_rule(const forest<Words>& of, std::uint64_t word,
               const std::function<void(const packed_words<Words>&)>& visit) {
  const auto scan = [&](std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i)
      visit(*reinterpret_cast<const packed_words<Words>*>(of.arena.slot(first + i)));
  };
  if ((word & entry::is_node) == 0) {
    const auto run = rules_of_leaf<Words>(of.arena.data(), word);
    return scan(run.first, run.count);
  }
  const auto base = entry::base(word);
  const auto& shape = of.shapes[entry::info(word)];
  scan(kept_begin(base, shape.kept), shape.kept);
  if (shape.kept_below != 0)
    each_rule<Words>(of, *of.arena.word(base - 1), visit);
  for (std::uint64_t index = 0; index < 1ULL << shape.width; ++index)
    each_rule<Words>(of, of.arena.word(base)[index], visit);
}

template <std::size_t Words>
void forest_editor<Words>::prefetch(std::span<const slot> rules) const {
  // The ways are known only as their entries come: a round for each level. Copies beyond this are left to be waited
  // for.
  constexpr std::size_t most = 512;
  struct way {
    std::size_t rule;
    const std::uint64_t* at;
  };
  std::vector<way> now, next;
  for (std::size_t i = 0; i < rules.size(); ++i)
    now.push_back({i, &forest_.root});
  for (; !now.empty(); now.swap(next)) {
    next.clear();
    const auto go_on = [&](std::size_t rule, const std::uint64_t* at) {
      if (next.size() == most)
        return;
      __builtin_prefetch(at);
      next.push_back({rule, at});
    };
    for (const auto& [rule, at] : now) {
      const auto word = *at;
      if ((word & entry::is_node) == 0) {
        // How many a leaf with marks has is not known before its first line is there; most have some seven.
        const auto slots = (word & entry::is_marked) != 0 ? 8 : entry::info(word);
        for (std::uint32_t i = 0; i < slots; i += 64 / (Words * 8))
          __builtin_prefetch(forest_.arena.slot(entry::base(word) + i));
        continue;
      }
      const auto* header = forest_.arena.word(entry::base(word) - 1);
      __builtin_prefetch(header);
      if (!each_entry(word, rules[rule], [&, rule = rule](const std::uint64_t* child) { go_on(rule, child); }) &&
          forest_.shapes[entry::info(word)].kept_below != 0)
        go_on(rule, header);
    }
  }
}

/// A leaf of several entries is given back with the last of them.
template <std::size_t Words>
void forest_editor<Words>::retire_leaf(std::uint64_t leaf) {
  const auto shared = forest_.shared.find(entry::base(leaf));
  if (shared != forest_.shared.end()) {
    if (--shared->second > 0)
      return;
    forest_.shared.erase(shared);
  }
  const auto run = rules_of_leaf<Words>(forest_.arena.data(), leaf);
  retired_.push_back({entry::base(leaf), run.first - entry::base(leaf) + run.count});
}

template <std::size_t Words>
void forest_editor<Words>::reclaim(std::size_t mark) {
  for (std::size_t i = 0; i < mark; ++i)
    forest_.arena.free(retired_[i].first, retired_[i].count);
  retired_.erase(retired_.begin(), retired_.begin() + static_cast<std::ptrdiff_t>(mark));
}

template <std::size_t Words>
std::vector<packed_words<Words>> forest_editor<Words>::rules_at(std::uint32_t first, std::uint32_t count) const {
  const auto* begin = reinterpret_cast<const slot*>(forest_.arena.data()) + first;
  return {begin, begin + count};
}

template void each_rule<4>(const forest<4>&, std::uint64_t, const std::function<void(const packed_v4&)>&);
template void each_rule<8>(const forest<8>&, std::uint64_t, const std::function<void(const packed_v6&)>&);
template class forest_editor<4>;
template class forest_editor<8>;

} // namespace glocal::dataplane
