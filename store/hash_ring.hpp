#pragma once
// Placement of slots on nodes: a consistent-hash ring with virtual nodes, bounded load and failure domains.
//
// Immutable after construction, so thread-safe. The same nodes give the same placement on every machine, whatever
// order they are listed in, so that clients and nodes agree without talking.
// Source: Karger et al., STOC 1997; bounded loads: Mirrokni, Thorup, Zadimoghaddam, SODA 2018.

#include "base/expected.hpp"
#include "store/slots.hpp"
#include "store/types.hpp"

#include <span>
#include <string>
#include <vector>

namespace glocal::store {

/// A node that can hold slots.
struct ring_node {
  node_name name;
  /// What fails together (a rack, a site); empty: the node is its own domain.
  std::string failure_domain{};

  bool operator==(const ring_node&) const = default;
};

enum class placement_error { no_nodes, too_few_nodes, duplicate_node };

class hash_ring {
public:
  /// Points per node: the spread of arc lengths is about 1/sqrt(points), which the load bound then cuts off.
  static constexpr unsigned virtual_nodes = 128;
  /// No node is k-th owner of more than this multiple of the mean, rounded up.
  static constexpr double load_bound = 1.15;

  /// @error no_nodes, duplicate_node. Cost: O(slots x nodes).
  [[nodiscard]] static expected<hash_ring, placement_error> make(std::vector<ring_node> nodes,
                                                                 slot_id slot_count = default_slot_count);

  /// The nodes that should hold `slot`, primary first: exactly `replicas` distinct ones, in distinct failure domains
  /// while there are enough. More replicas only append. REQUIRES: slot < slot_count().
  /// @error too_few_nodes. Cost: O(replicas).
  [[nodiscard]] expected<std::vector<node_name>, placement_error> owners(slot_id slot, std::size_t replicas) const;
  /// Index in nodes() of the first owner. REQUIRES: slot < slot_count().
  [[nodiscard]] std::size_t primary(slot_id slot) const { return owners_[slot * nodes_.size()]; }
  /// Slots of which `node` is the first owner, ascending.
  [[nodiscard]] std::vector<slot_id> primary_slots(const node_name& node) const;

  [[nodiscard]] slot_id slot_count() const noexcept { return slot_count_; }
  /// Sorted by name.
  [[nodiscard]] std::span<const ring_node> nodes() const noexcept { return nodes_; }

private:
  hash_ring(std::vector<ring_node> nodes, slot_id slot_count);

  std::vector<ring_node> nodes_;
  slot_id slot_count_;
  /// Row per slot: indices of all nodes in the order they own it.
  std::vector<std::uint32_t> owners_;
};

} // namespace glocal::store
