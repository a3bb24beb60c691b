#include "dataplane/classify/lookup_kernel.hpp"

#include "dataplane/classify/leaf_marks.hpp"

#include <algorithm>
#include <array>

namespace glocal::dataplane {
namespace {

/// AMD before Zen 3 runs PEXT in microcode.
bool has_slow_pext() noexcept {
  return __builtin_cpu_is("amdfam17h") || __builtin_cpu_is("amdfam15h");
}

std::span<const lookup_kernel> find_kernels() noexcept {
  static std::array<lookup_kernel, 4> found;
  std::size_t count = 0;
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2"), bmi2 = __builtin_cpu_supports("bmi2");
  const bool fast_pext = bmi2 && !has_slow_pext();
  if (fast_pext && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    found[count++] = kernels::avx512;
  if (avx2 && fast_pext)
    found[count++] = kernels::avx2;
  // Its file is compiled with BMI2, so that the compiler may use that set anywhere in it.
  if (avx2 && bmi2)
    found[count++] = kernels::avx2_without_pext;
  found[count++] = kernels::baseline;
  return std::span{found}.first(count);
}

/// The lines of the arena one lookup read.
class line_set {
public:
  void add(const std::byte* at, std::size_t bytes) {
    for (auto line = reinterpret_cast<std::uintptr_t>(at) / 64;
         line <= (reinterpret_cast<std::uintptr_t>(at) + bytes - 1) / 64; ++line)
      if (std::find(lines_.begin(), lines_.end(), line) == lines_.end())
        lines_.push_back(line);
  }
  [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

private:
  std::vector<std::uintptr_t> lines_;
};

template <std::size_t Words>
class counted_walk {
public:
  counted_walk(const forest_view<Words>& forest, const packed_words<Words>& key) : forest_{forest}, key_{key} {}

  void run() {
    std::vector<std::uint64_t> at{forest_.root};
    std::vector<std::uint64_t> kept;
    // In the order of the kernels.
    std::vector<pick> picks;
    while (!at.empty() || !kept.empty() || !picks.empty()) {
      std::vector<std::uint64_t> leaves, next_kept, marked;
      std::vector<const std::uint64_t*> entries;
      for (const auto word : at) {
        if (entry::best(word) < best_ >> payload::class_shift)
          continue;
        if ((word & entry::is_node) != 0)
          visit(word, entries, next_kept);
        else if ((word & entry::is_marked) != 0)
          marked.push_back(word);
        else if (entry::info(word) > 0)
          leaves.push_back(word);
      }
      for (const auto leaf : leaves)
        compare(leaf);
      for (const auto leaf : kept)
        compare(leaf);
      kept = std::move(next_kept);
      std::vector<pick> next_picks;
      for (auto& one : picks)
        if (goes_on(one))
          next_picks.push_back(one);
      for (const auto word : marked)
        if (const auto one = pick_from(word); one.can != 0)
          next_picks.push_back(one);
      picks = std::move(next_picks);
      at.clear();
      for (const auto* one : entries) {
        lines_.add(reinterpret_cast<const std::byte*>(one), 8);
        at.push_back(entry::load(one));
      }
    }
  }

  [[nodiscard]] rule_id winner() const noexcept { return best_ == 0 ? no_rule : payload::id(best_); }
  [[nodiscard]] std::size_t lines() const noexcept { return lines_.size(); }

private:
  /// Rules of a leaf with marks that can match: bit i stands for the slot `first` + i.
  struct pick {
    std::uint64_t first = 0;
    std::uint32_t can = 0;
  };

  [[nodiscard]] std::uint64_t index_of(const node_shape<Words>& how) const noexcept {
    std::uint64_t index = 0;
    for (std::size_t i = 0; i < how.words; ++i)
      index |= extract_bits(key_.word[i], how.mask[i]) << how.shift[i];
    return index;
  }

  pick pick_from(std::uint64_t word) {
    const auto* slot = forest_.arena + std::uint64_t{entry::base(word)} * Words * 8;
    const auto& marks = *reinterpret_cast<const leaf_marks*>(slot);
    lines_.add(slot, sizeof marks);
    const auto bits = index_of(forest_.shapes[entry::info(word)]);
    pick out{std::uint64_t{entry::base(word)} + 1, 0};
    for (std::uint32_t i = 0; i < marks.rules; ++i)
      if ((bits & marks.care[i]) == marks.value[i])
        out.can |= 1u << i;
    out.can = static_cast<std::uint32_t>(not_outranked(out.can, marks, best_ >> payload::class_shift));
    return out;
  }

  /// Compares the first; whether others have to be compared too.
  bool goes_on(pick& of) {
    const auto* slot = forest_.arena + (of.first + static_cast<unsigned>(std::countr_zero(of.can))) * Words * 8;
    lines_.add(slot, Words * 8);
    of.can &= of.can - 1;
    const auto rank_class =
        entry::load(reinterpret_cast<const std::uint64_t*>(slot) + Words - 1) >> payload::class_shift;
    return !compare_one(slot) && of.can != 0 && rank_class >= best_ >> payload::class_shift;
  }

  void visit(std::uint64_t word, std::vector<const std::uint64_t*>& entries, std::vector<std::uint64_t>& kept) {
    const auto& how = forest_.shapes[entry::info(word)];
    const auto* words = reinterpret_cast<const std::uint64_t*>(forest_.arena);
    const auto index = index_of(how);
    const auto base = entry::base(word);
    entries.push_back(words + std::uint64_t{base} * Words + index);
    if (how.kept > 0)
      kept.push_back(entry::leaf(kept_begin(base, how.kept), how.kept, 0));
    if (how.kept_below > 0)
      entries.push_back(words + std::uint64_t{base - 1} * Words);
  }

  void compare(std::uint64_t leaf) {
    for (std::uint32_t i = 0; i < entry::info(leaf); ++i) {
      const auto* slot = forest_.arena + (std::uint64_t{entry::base(leaf)} + i) * Words * 8;
      // As the kernels, which look at two rules at a time.
      if (i % 2 == 0)
        lines_.add(slot, Words * 8 * (i + 1 < entry::info(leaf) ? 2 : 1));
      if (compare_one(slot))
        return;
      const auto word = entry::load(reinterpret_cast<const std::uint64_t*>(slot) + Words - 1);
      if (i % 2 == 1 && (word >> payload::class_shift) < (best_ >> payload::class_shift))
        return;
    }
  }

  /// Whether the rule matches, and then it may be the best.
  bool compare_one(const std::byte* slot) {
    packed_words<Words> rule;
    for (std::size_t w = 0; w < Words; ++w)
      rule.word[w] = entry::load(reinterpret_cast<const std::uint64_t*>(slot) + w);
    const auto word = rule.word[Words - 1];
    const auto rank = word & payload::rank_mask;
    if ((word >> (payload::live_shift + forest_.plane) & 1) == 0 ||
        !matches(rule, forest_.templates[payload::template_of(word)]))
      return false;
    const bool tie = !forest_.exact_classes && ((rank ^ best_) >> payload::class_shift) == 0;
    if (tie ? wins_tie(rank) : rank > best_)
      best_ = rank;
    return true;
  }

  [[nodiscard]] bool wins_tie(std::uint64_t rank) const noexcept {
    const auto a = payload::id(rank), b = payload::id(best_);
    const auto of_a = forest_.outcomes[a].priority, of_b = forest_.outcomes[b].priority;
    return of_a != of_b ? of_a > of_b : a < b;
  }

  [[nodiscard]] bool matches(const packed_words<Words>& rule, const packed_words<Words>& mask) const noexcept {
    using layout = packed_layout<Words>;
    for (std::size_t i = 0; i < layout::ports; ++i)
      if ((key_.word[i] & mask.word[i]) != rule.word[i])
        return false;
    for (unsigned shift = 0; shift < 64; shift += 16)
      if ((key_.word[layout::ports] >> shift & 0xffff) < (rule.word[layout::ports] >> shift & 0xffff))
        return false;
    return true;
  }

  const forest_view<Words>& forest_;
  const packed_words<Words>& key_;
  std::uint64_t best_ = 0;
  line_set lines_;
};

} // namespace

std::span<const lookup_kernel> lookup_kernels() noexcept {
  static const auto found = find_kernels();
  return found;
}

template <std::size_t Words>
rule_id counted_lookup(const forest_view<Words>& forest, const packed_words<Words>& key, lookup_cost& cost) {
  counted_walk<Words> walk{forest, key};
  walk.run();
  ++cost.lookups;
  cost.lines += walk.lines();
  cost.worst_lines = std::max<std::uint64_t>(cost.worst_lines, walk.lines());
  return walk.winner();
}

template rule_id counted_lookup<4>(const forest_view<4>&, const packed_v4&, lookup_cost&);
template rule_id counted_lookup<8>(const forest_view<8>&, const packed_v6&, lookup_cost&);

} // namespace glocal::dataplane
