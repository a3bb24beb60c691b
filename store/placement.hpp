#pragma once
// Where the copies of slots should be, as the cluster has decided it, and how it gets from there to where they should
// be next. Pure values and functions: who calls them and where the decision is kept, actors/store/placement_actor.hpp
// says.
//
// The decision is one row of the store, changed by compare-and-set alone. What is under way is part of it, so the
// bounds below hold whoever plans, however many do, and whatever they believe of each other.
//
// Invariants: a slot that is not moving has exactly the configured number of copies, on distinct nodes; a node takes
// part in at most max_moves_a_node moves; a copy goes only when those that replace it are members (replica.hpp); the
// same input gives the same plan on every node.

#include "base/bytes.hpp"
#include "base/expected.hpp"
#include "store/hash_ring.hpp"
#include "store/replica_types.hpp"

#include <optional>
#include <set>
#include <string_view>
#include <vector>

namespace glocal::store {

/// A move takes the disk and the network of who gives and who takes a copy; two at a time leave most of both to
/// clients.
inline constexpr std::size_t max_moves_a_node = 2;

using copy_list = std::vector<node_name>;

/// A slot on its way from these nodes to those that the placement names.
struct slot_move {
  slot_id slot = 0;
  copy_list from;

  bool operator==(const slot_move&) const = default;
};

struct placement {
  /// Nodes that shall hold nothing, ascending.
  copy_list drained;
  /// Until every node has its even share of copies and primaries: a node has joined, or an operator wants it so.
  bool evening = false;
  /// Who should hold each slot, primary first.
  std::vector<copy_list> slots;
  /// Under way, ascending by slot.
  std::vector<slot_move> moves;

  bool operator==(const placement&) const = default;
  [[nodiscard]] bool is_drained(const node_name& node) const;
  [[nodiscard]] const slot_move* move_of(slot_id slot) const;
};

/// What a planner knows of the cluster.
struct cluster_sight {
  /// All store nodes there are, with their failure domains.
  const hash_ring& ring;
  /// Copies of each slot, as configured.
  std::size_t replicas = 3;
  /// Nodes that answer.
  std::set<node_name> alive;
  /// What the register says of each slot; none: not known.
  std::vector<std::optional<slot_view>> views;

  [[nodiscard]] std::size_t copies() const { return std::min(replicas, ring.nodes().size()); }
};

/// Of a cluster that has none: who holds each slot now; slots nobody holds go where the ring wants them.
[[nodiscard]] placement first_placement(const cluster_sight& sight);

/// Where slots should be in the end: copies leave drained nodes and nodes that are no more, each for the first node on
/// the ring that has room, in a failure domain of its own while there are enough; with `now.evening`, shares of copies
/// are made even by as few moves as that takes, and when they are, those of primaries. Slots under way stay as decided;
/// slots for which there is no node, too. Cost: O(slots x nodes) and O(nodes) a move.
[[nodiscard]] std::vector<copy_list> wished_slots(const placement& now, const cluster_sight& sight);

/// The next decision; nothing when there is nothing to decide: moves that have ended go from the list, those whose new
/// node is gone turn back, and as many begin as the bounds allow. REQUIRES: now.slots and sight.views have an entry for
/// each slot of the ring.
[[nodiscard]] std::optional<placement> next_placement(const placement& now, const cluster_sight& sight);

/// A slot, who should hold it now and who in the end.
struct planned_move {
  slot_id slot = 0;
  copy_list from, to;

  bool operator==(const planned_move&) const = default;
};
/// All that has to move until the placement is as wished, ascending by slot: what is under way, too, and primaries that
/// have to go back. Empty: nothing has. Slots may come to end elsewhere when nodes come or go meanwhile.
[[nodiscard]] std::vector<planned_move> outlook(const placement& now, const cluster_sight& sight);

/// Nodes with a part in a move: who gets or loses a copy, who is primary, and who will be.
[[nodiscard]] std::set<node_name> movers(const copy_list& from, const copy_list& to);

enum class drain_refusal : std::uint8_t { unknown_node, too_few_nodes };

/// `now` with the node marked, or with the mark taken off and shares to be made even again.
/// @error unknown_node: no store node of the cluster has that name. too_few_nodes: fewer than the configured copies
/// would be left.
[[nodiscard]] expected<placement, drain_refusal> with_drained(placement now, const cluster_sight& sight,
                                                              const node_name& node, bool drained);

/// The row of table::placement under which it is kept.
inline constexpr std::string_view placement_key = "slots";
[[nodiscard]] bytes encode(const placement& value);
/// @error invalid: malformed; moves or drained nodes out of order; a slot without a copy, or with one twice.
[[nodiscard]] expected<placement, store_error> decode_placement(byte_view in);

} // namespace glocal::store
