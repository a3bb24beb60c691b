#include "store/hash_ring.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace glocal::store {
namespace {

struct point {
  std::uint64_t at;
  std::uint32_t node;

  friend bool operator<(const point& a, const point& b) { return std::tie(a.at, a.node) < std::tie(b.at, b.node); }
};

std::vector<point> make_points(std::span<const ring_node> nodes) {
  std::vector<point> points;
  points.reserve(nodes.size() * hash_ring::virtual_nodes);
  for (std::uint32_t node = 0; node < nodes.size(); ++node)
    for (unsigned i = 0; i < hash_ring::virtual_nodes; ++i)
      // The number is hashed as text, not as the seed: for inputs of three bytes XXH3 only XORs the two, and the
      // points of s1 and s2 would be the same.
      points.push_back({hash_text(nodes[node].name + '#' + std::to_string(i)), node});
  std::sort(points.begin(), points.end());
  return points;
}

/// All nodes in the order a walk from the slot's place on the ring meets them.
std::vector<std::uint32_t> walk(std::span<const point> points, slot_id slot, std::size_t node_count) {
  constexpr std::uint64_t slot_seed = 0x736c6f74; // apart from the seeds of the nodes' points
  const auto place = hash_bytes(&slot, sizeof slot, slot_seed);
  std::vector<std::uint32_t> order;
  std::vector<bool> met(node_count);
  auto at = std::lower_bound(points.begin(), points.end(), point{place, 0});
  while (order.size() < node_count) {
    if (at == points.end())
      at = points.begin();
    if (!met[at->node]) {
      met[at->node] = true;
      order.push_back(at->node);
    }
    ++at;
  }
  return order;
}

const std::string& domain_of(const ring_node& node) {
  return node.failure_domain.empty() ? node.name : node.failure_domain;
}

} // namespace

expected<hash_ring, placement_error> hash_ring::make(std::vector<ring_node> nodes, slot_id slot_count) {
  if (nodes.empty() || slot_count == 0)
    return unexpected{placement_error::no_nodes};
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto same_name = [](const auto& a, const auto& b) { return a.name == b.name; };
  if (std::adjacent_find(nodes.begin(), nodes.end(), same_name) != nodes.end())
    return unexpected{placement_error::duplicate_node};
  return hash_ring{std::move(nodes), slot_count};
}

hash_ring::hash_ring(std::vector<ring_node> nodes, slot_id slot_count)
    : nodes_{std::move(nodes)}, slot_count_{slot_count}, owners_(slot_count * nodes_.size()) {
  const auto points = make_points(nodes_);
  const auto width = nodes_.size();
  for (slot_id slot = 0; slot < slot_count_; ++slot)
    std::ranges::copy(walk(points, slot, width), owners_.begin() + static_cast<std::ptrdiff_t>(slot * width));

  // Rank by rank (all primaries, then all second copies, …): the first in walk order that is not full and whose domain
  // does not hold the slot yet; then one whose domain does; then a full one. What stands before a rank is never touched
  // again, which is why asking for more replicas only appends.
  const auto cap = static_cast<std::size_t>(std::ceil(load_bound * slot_count_ / static_cast<double>(width)));
  for (std::size_t rank = 0; rank < width; ++rank) {
    std::vector<std::size_t> load(width);
    for (slot_id slot = 0; slot < slot_count_; ++slot) {
      const auto row = owners_.begin() + static_cast<std::ptrdiff_t>(slot * width);
      const auto mine = row + static_cast<std::ptrdiff_t>(rank), end = row + static_cast<std::ptrdiff_t>(width);
      const auto new_domain = [&](std::uint32_t node) {
        return std::none_of(row, mine,
                            [&](auto holder) { return domain_of(nodes_[holder]) == domain_of(nodes_[node]); });
      };
      auto chosen = std::find_if(mine, end, [&](auto node) { return load[node] < cap && new_domain(node); });
      if (chosen == end)
        chosen = std::find_if(mine, end, new_domain);
      if (chosen == end)
        chosen = std::find_if(mine, end, [&](auto node) { return load[node] < cap; });
      if (chosen == end)
        chosen = mine;
      ++load[*chosen];
      std::rotate(mine, chosen, chosen + 1);
    }
  }
}

expected<std::vector<node_name>, placement_error> hash_ring::owners(slot_id slot, std::size_t replicas) const {
  if (replicas > nodes_.size())
    return unexpected{placement_error::too_few_nodes};
  std::vector<node_name> out;
  out.reserve(replicas);
  for (std::size_t i = 0; i < replicas; ++i)
    out.push_back(nodes_[owners_[slot * nodes_.size() + i]].name);
  return out;
}

std::vector<slot_id> hash_ring::primary_slots(const node_name& node) const {
  std::vector<slot_id> out;
  for (slot_id slot = 0; slot < slot_count_; ++slot)
    if (nodes_[primary(slot)].name == node)
      out.push_back(slot);
  return out;
}

} // namespace glocal::store
