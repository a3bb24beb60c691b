#include "benchmarks/bench_policy/digests.hpp"

#include "actors/policy/deal.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace glocal::bench {

std::string_view name(digest_kind what) noexcept {
  switch (what) {
  case digest_kind::least: return "least";
  case digest_kind::dealt: return "dealt";
  case digest_kind::near: return "near";
  }
  return "?";
}

digests::digests(digest_kind what, const world& world, const parameters& parameters)
    : kind_{what}, world_{world}, edges_{parameters.edges}, classes_{parameters.classes}, hands_(parameters.classes) {
  if (kind_ != digest_kind::near)
    return;
  std::vector<instance_id> order(world.class_size());
  for (std::uint32_t c = 0; c < classes_; ++c)
    for (std::uint32_t e = 0; e < edges_; ++e) {
      std::iota(order.begin(), order.end(), world.first_of(c));
      const auto kept = std::min<std::size_t>(order.size(), policy::layer_width);
      const auto end = order.begin() + static_cast<std::ptrdiff_t>(kept);
      std::partial_sort(order.begin(), end, order.end(), [&](auto a, auto b) {
        return std::tuple{world.delay_us(e, world.edge_of(a)), a} < std::tuple{world.delay_us(e, world.edge_of(b)), b};
      });
      hands_[c].emplace_back(order.begin(), end);
    }
}

void digests::publish(const std::vector<double>& loads, policy::random_source& random) {
  if (kind_ == digest_kind::near)
    return;
  std::vector<instance_id> order(world_.class_size());
  for (std::uint32_t c = 0; c < classes_; ++c) {
    std::iota(order.begin(), order.end(), world_.first_of(c));
    if (kind_ == digest_kind::least) {
      std::sort(order.begin(), order.end(),
                [&](auto a, auto b) { return std::tie(loads[a], a) < std::tie(loads[b], b); });
      order.resize(std::min<std::size_t>(order.size(), policy::layer_width));
      hands_[c] = {order};
      continue;
    }
    std::sort(order.begin(), order.end(), [&](auto a, auto b) {
      return std::tuple{loads[a] / world_.capacity(a), a} < std::tuple{loads[b] / world_.capacity(b), b};
    });
    hands_[c].clear();
    for (const auto& hand : policy::deal(order.size(), random)) {
      auto& dealt = hands_[c].emplace_back();
      for (const auto place : hand)
        dealt.push_back(order[place]);
    }
  }
}

const std::vector<instance_id>& digests::seen(std::uint32_t edge, std::uint32_t vnf_class) const noexcept {
  const auto& hands = hands_[vnf_class];
  return hands[edge % hands.size()];
}

} // namespace glocal::bench
