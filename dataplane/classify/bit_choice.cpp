#include "dataplane/classify/bit_choice.hpp"

#include "dataplane/classify/lookup_kernel.hpp"

#include <algorithm>

#include <immintrin.h>

namespace glocal::dataplane {
namespace {

__attribute__((target("bmi2"))) std::uint64_t extract_by_pext(std::uint64_t value, std::uint64_t mask) noexcept {
  return _pext_u64(value, mask);
}
std::uint64_t extract_by_loop(std::uint64_t value, std::uint64_t mask) noexcept {
  return extract_bits(value, mask);
}

/// Adds up 64 counters at a time: plane p holds bit p of each.
class bit_counters {
public:
  void add(std::uint64_t bits) noexcept {
    for (auto& plane : planes_) {
      const auto carry = plane & bits;
      plane ^= bits;
      bits = carry;
      if (bits == 0)
        return;
    }
  }
  /// The count of one bit when no more than `added` were added: most groups are small, and so few planes matter.
  [[nodiscard]] std::uint64_t count(unsigned bit, std::size_t added) const noexcept {
    std::uint64_t out = 0;
    for (std::size_t p = 0; added >> p != 0; ++p)
      out |= (planes_[p] >> bit & 1) << p;
    return out;
  }

private:
  std::array<std::uint64_t, 24> planes_{};
};

template <std::size_t Words>
class chooser {
public:
  static constexpr std::size_t words = indexed_bits<Words>::words;

  chooser(std::span<const indexed_bits<Words>> sample, std::size_t rules, const forest_options& options)
      : sample_{sample}, scale_{static_cast<double>(rules) / static_cast<double>(sample.size())}, options_{options},
        open_(sample.size()), in_table_{sample.size()} {
    members_.resize(sample.size());
    for (std::uint32_t i = 0; i < members_.size(); ++i)
      members_[i] = i;
    ends_.push_back(static_cast<std::uint32_t>(members_.size()));
    // A bit can tell rules apart only if some want it set and some want it clear.
    std::array<std::uint64_t, words> ones{}, zeros{};
    for (const auto& rule : sample)
      for (std::size_t w = 0; w < words; ++w) {
        ones[w] |= rule.value[w] & rule.care[w];
        zeros[w] |= ~rule.value[w] & rule.care[w];
      }
    for (std::size_t w = 0; w < words; ++w)
      candidates_[w] = ones[w] & zeros[w];
    candidates_[packed_layout<Words>::ports] &= indexed_port_bits;
  }

  chosen_bits<Words> run(std::uint32_t max_width) {
    chosen_bits<Words> out;
    while (out.width < max_width && static_cast<double>(2ULL << out.width) <=
                                        std::max(2.0, options_.table_load * static_cast<double>(in_table_) * scale_)) {
      const auto best = find_best(out.width == 0);
      if (best.word == words)
        break;
      const auto bit = std::uint64_t{1} << best.bit;
      out.mask[best.word] |= bit;
      candidates_[best.word] &= ~bit;
      ++out.width;
      split(best.word, bit);
      keep_within_budget();
    }
    return out;
  }

private:
  struct choice {
    std::size_t word = words;
    unsigned bit = 0;
  };

  choice find_best(bool first) {
    scores_.fill(0);
    separated_.fill(0);
    std::size_t together = 0, begin = 0;
    // Parts this small are leaves; in a sample each rule stands for `scale_`.
    const auto settled = std::max(1.0, static_cast<double>(options_.leaf_rules) / 2 / scale_);
    for (const auto end : ends_) {
      if (static_cast<double>(end - begin) > settled) {
        together += end - begin;
        score(begin, end);
      }
      begin = end;
    }
    choice best;
    if (static_cast<double>(together) < 0.02 * static_cast<double>(members_.size()))
      return best;
    double best_score = 0;
    for (std::size_t w = 0; w < words; ++w)
      for (auto left = candidates_[w]; left != 0; left &= left - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(left));
        const auto at = w * 64 + bit;
        if (separated_[at] == 0 || (scores_[at] <= 0 && !first))
          continue;
        if (best.word == words || scores_[at] > best_score) {
          best = {w, bit};
          best_score = scores_[at];
        }
      }
    return best;
  }

  void score(std::size_t begin, std::size_t end) noexcept {
    const auto size = static_cast<double>(end - begin);
    for (std::size_t w = 0; w < words; ++w) {
      if (candidates_[w] == 0)
        continue;
      bit_counters ones, zeros;
      std::uint64_t seen_ones = 0, seen_zeros = 0;
      for (auto i = begin; i < end; ++i) {
        const auto& rule = sample_[members_[i]];
        const auto one = rule.value[w] & rule.care[w] & candidates_[w],
                   zero = ~rule.value[w] & rule.care[w] & candidates_[w];
        ones.add(one);
        zeros.add(zero);
        seen_ones |= one;
        seen_zeros |= zero;
      }
      for (auto left = candidates_[w]; left != 0; left &= left - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(left));
        const bool both = ((seen_ones & seen_zeros) >> bit & 1) != 0;
        const auto one = static_cast<double>(ones.count(bit, end - begin)),
                   zero = static_cast<double>(zeros.count(bit, end - begin));
        const auto at = w * 64 + bit;
        if (both)
          separated_[at] += one * zero;
        scores_[at] += one * zero - options_.open_penalty * (size - one - zero) * size;
      }
    }
  }

  /// Those that leave the bit open go to both sides.
  void split(std::size_t word, std::uint64_t bit) {
    next_members_.clear();
    next_ends_.clear();
    for (auto& rule : touched_)
      rule = 0;
    touched_.resize(sample_.size());
    std::size_t begin = 0;
    for (const auto end : ends_) {
      for (const bool wanted : {false, true}) {
        for (auto i = begin; i < end; ++i) {
          const auto member = members_[i];
          const bool cares = (sample_[member].care[word] & bit) != 0;
          if (!cares || ((sample_[member].value[word] & bit) != 0) == wanted)
            next_members_.push_back(member);
          if (!cares && touched_[member] == 0) {
            touched_[member] = 1;
            ++open_[member];
          }
        }
        if (next_ends_.empty() || next_ends_.back() != next_members_.size())
          next_ends_.push_back(static_cast<std::uint32_t>(next_members_.size()));
      }
      begin = end;
    }
    members_.swap(next_members_);
    ends_.swap(next_ends_);
  }

  /// The rules that leave the most bits open go, as they will from the table.
  void keep_within_budget() {
    auto limit = max_open_;
    std::array<std::size_t, 256> rules{};
    for (const auto open : open_)
      ++rules[open];
    const auto affordable = [&](unsigned open) {
      double copies = 0, alone = 0;
      for (unsigned i = 0; i <= open; ++i) {
        copies += static_cast<double>(rules[i]) * static_cast<double>(std::uint64_t{1} << i);
        alone += static_cast<double>(rules[i]);
      }
      in_table_ = static_cast<std::size_t>(alone);
      return copies <= options_.max_copies * alone;
    };
    while (limit > 0 && !affordable(limit))
      --limit;
    if (limit == 0)
      (void)affordable(0);
    if (limit == max_open_)
      return;
    max_open_ = limit;
    std::size_t begin = 0, kept = 0;
    std::vector<std::uint32_t> ends;
    for (const auto end : ends_) {
      for (auto i = begin; i < end; ++i)
        if (open_[members_[i]] <= limit)
          members_[kept++] = members_[i];
      if (ends.empty() ? kept > 0 : ends.back() != kept)
        ends.push_back(static_cast<std::uint32_t>(kept));
      begin = end;
    }
    members_.resize(kept);
    ends_ = std::move(ends);
  }

  std::span<const indexed_bits<Words>> sample_;
  double scale_;
  const forest_options& options_;
  std::vector<std::uint8_t> open_, touched_;
  std::size_t in_table_;
  unsigned max_open_ = 12;
  std::array<std::uint64_t, words> candidates_{};
  /// The sample, copies included, divided by the bits chosen so far.
  std::vector<std::uint32_t> members_, ends_, next_members_, next_ends_;
  std::array<double, words * 64> scores_{}, separated_{};
};

} // namespace

std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept {
  static const auto best = __builtin_cpu_supports("bmi2") ? extract_by_pext : extract_by_loop;
  return best(value, mask);
}

template <std::size_t Words>
chosen_bits<Words> choose_bits(std::span<const indexed_bits<Words>> sample, std::size_t rules, std::uint32_t max_width,
                               const forest_options& options) {
  return chooser<Words>{sample, rules, options}.run(max_width);
}

template chosen_bits<4> choose_bits<4>(std::span<const indexed_bits<4>>, std::size_t, std::uint32_t,
                                       const forest_options&);
template chosen_bits<8> choose_bits<8>(std::span<const indexed_bits<8>>, std::size_t, std::uint32_t,
                                       const forest_options&);

} // namespace glocal::dataplane
