#include "dataplane/classify/rule_order.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <unordered_set>

namespace glocal::dataplane {
namespace {

constexpr std::size_t max_classes = 65534;
constexpr std::size_t sample_size = 1u << 20;

} // namespace

priority_classes::priority_classes(std::span<const rule_outcome> rules) {
  std::unordered_set<std::uint32_t> distinct;
  auto last = rules.empty() ? 0 : ~rules.front().priority;
  for (const auto& rule : rules) {
    if (rule.priority == last)
      continue;
    last = rule.priority;
    distinct.insert(last);
    if (distinct.size() > max_classes)
      break;
  }
  exact_ = distinct.size() <= max_classes;
  if (exact_) {
    floors_.assign(distinct.begin(), distinct.end());
    std::sort(floors_.begin(), floors_.end());
    return;
  }
  std::vector<std::uint32_t> sample;
  const auto step = (rules.size() + sample_size - 1) / sample_size;
  for (std::size_t i = 0; i < rules.size(); i += step)
    sample.push_back(rules[i].priority);
  std::sort(sample.begin(), sample.end());
  for (std::size_t i = 0; i < max_classes; ++i)
    floors_.push_back(sample[i * sample.size() / max_classes]);
  floors_.erase(std::unique(floors_.begin(), floors_.end()), floors_.end());
}

std::uint16_t priority_classes::of(std::uint32_t priority) const noexcept {
  const auto above = std::upper_bound(floors_.begin(), floors_.end(), priority) - floors_.begin();
  return static_cast<std::uint16_t>(above + 1);
}

bool priority_classes::splits(std::uint32_t priority) const noexcept {
  return !std::binary_search(floors_.begin(), floors_.end(), priority);
}

std::vector<std::uint32_t> rank_order(std::span<const std::uint32_t> priorities) {
  std::vector<std::uint32_t> order(priorities.size()), other;
  std::iota(order.begin(), order.end(), 0u);
  // Two stable passes of a radix sort; one is saved when its digit is the same everywhere.
  for (const unsigned shift : {0u, 16u}) {
    std::vector<std::uint32_t> first(65537);
    const auto digit = [&](std::uint32_t at) { return ~priorities[at] >> shift & 0xffff; };
    for (std::uint32_t i = 0; i < priorities.size(); ++i)
      ++first[digit(i) + 1];
    if (std::any_of(first.begin(), first.end(), [&](auto count) { return count == priorities.size(); }))
      continue;
    std::partial_sum(first.begin(), first.end(), first.begin());
    other.resize(order.size());
    for (const auto at : order)
      other[first[digit(at)]++] = at;
    order.swap(other);
  }
  return order;
}

} // namespace glocal::dataplane
