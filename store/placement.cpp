#include "store/placement.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace glocal::store {
namespace {

bool contains(const copy_list& list, const node_name& node) {
  return std::ranges::find(list, node) != list.end();
}

copy_list without(const copy_list& list, const copy_list& others) {
  copy_list out;
  std::ranges::copy_if(list, std::back_inserter(out), [&](const auto& node) { return !contains(others, node); });
  return out;
}

bool same_nodes(const copy_list& list, const slot_view& view) {
  return list.size() == view.members.size() &&
         std::ranges::all_of(view.members, [&](const auto& who) { return contains(list, who.node); });
}

bool has_node(const slot_view& view, const node_name& node) {
  return std::ranges::any_of(view.members, [&](const auto& who) { return who.node == node; });
}

/// A plan in the making: who holds what, and how much that is for each node.
class balance {
public:
  balance(const placement& now, const cluster_sight& sight) : sight_{sight}, slots_{now.slots} {
    for (const auto& node : sight.ring.nodes()) {
      domains_[node.name] = node.failure_domain.empty() ? node.name : node.failure_domain;
      if (now.is_drained(node.name))
        continue;
      usable_.push_back(node.name);
      copies_[node.name] = leads_[node.name] = 0;
    }
    std::set<std::string> different;
    for (const auto& node : usable_)
      different.insert(domains_[node]);
    enough_domains_ = different.size() >= sight.copies();
    for (std::size_t slot = 0; slot < slots_.size(); ++slot)
      fixed_.push_back(now.move_of(static_cast<slot_id>(slot)) != nullptr);
    for (const auto& copies : slots_)
      count(copies);
  }

  /// Copies that are nowhere, or where they must not stay, go to the first node on the ring with room.
  void replace_lost() {
    const auto mean = static_cast<double>(slots_.size() * sight_.copies()) / static_cast<double>(usable_.size());
    const auto room = static_cast<std::size_t>(std::ceil(hash_ring::load_bound * mean));
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      if (fixed_[slot])
        continue;
      auto next = slots_[slot];
      std::erase_if(next, [&](const auto& node) { return !contains(usable_, node); });
      next.resize(std::min(next.size(), sight_.copies()));
      while (next.size() < sight_.copies()) {
        const auto* node = best(walk(slot), next, room);
        if (node == nullptr)
          break;
        next.push_back(*node);
      }
      if (next.size() != sight_.copies())
        continue; // nowhere to go yet
      // A primary that must go is followed by the member that leads least.
      if (!contains(next, slots_[slot].front()))
        std::ranges::rotate(next, std::ranges::min_element(next, {}, [&](const auto& node) { return leads_[node]; }));
      put(slot, std::move(next));
    }
  }

  /// Shares of copies differ by one at most, where failure domains allow it. False: they do already.
  bool even_copies() {
    const auto total = slots_.size() * sight_.copies();
    const auto most = (total + usable_.size() - 1) / usable_.size(), least = total / usable_.size();
    bool moved = false;
    // Each step takes from who has most and gives to who has least, so the sum of squares falls: it ends.
    while (move_one(most, least))
      moved = true;
    return moved;
  }
  /// The same of primaries.
  void even_leads() {
    const auto lead_most = (slots_.size() + usable_.size() - 1) / usable_.size();
    const auto lead_least = slots_.size() / usable_.size();
    while (lead_one(lead_most, lead_least)) {
    }
  }

  [[nodiscard]] std::vector<copy_list> take() { return std::move(slots_); }
  [[nodiscard]] bool is_possible() const { return usable_.size() >= sight_.copies(); }

private:
  void count(const copy_list& copies, bool add = true) {
    for (const auto& node : copies)
      if (const auto at = copies_.find(node); at != copies_.end())
        add ? ++at->second : --at->second;
    if (const auto at = copies.empty() ? leads_.end() : leads_.find(copies.front()); at != leads_.end())
      add ? ++at->second : --at->second;
  }
  void put(std::size_t slot, copy_list next) {
    count(slots_[slot], false);
    slots_[slot] = std::move(next);
    count(slots_[slot]);
  }
  [[nodiscard]] bool may_receive(const node_name& node, const copy_list& others) const {
    return contains(usable_, node) && sight_.alive.contains(node) && !contains(others, node);
  }
  [[nodiscard]] bool is_new_domain(const node_name& node, const copy_list& others) const {
    return !enough_domains_ || std::ranges::none_of(others, [&](const auto& other) {
      const auto known = domains_.find(other);
      return known != domains_.end() && known->second == domains_.at(node);
    });
  }
  /// All nodes in the order in which the ring wants them.
  const copy_list& walk(std::size_t slot) {
    auto& out = walks_[slot];
    if (out.empty())
      out = *sight_.ring.owners(static_cast<slot_id>(slot), sight_.ring.nodes().size());
    return out;
  }
  /// In a new domain with room; in a new domain; anywhere.
  const node_name* best(const copy_list& walk, const copy_list& others, std::size_t room) const {
    for (const bool roomy : {true, false})
      for (const auto& node : walk)
        if (may_receive(node, others) && is_new_domain(node, others) && (!roomy || copies_.at(node) < room))
          return &node;
    for (const auto& node : walk)
      if (may_receive(node, others))
        return &node;
    return nullptr;
  }

  /// By load, then by name: the order of the map.
  template <class Loads>
  [[nodiscard]] std::vector<node_name> by_load(const Loads& loads) const {
    copy_list out = usable_;
    std::ranges::stable_sort(out, {}, [&](const auto& node) { return loads.at(node); });
    return out;
  }

  bool move_one(std::size_t most, std::size_t least) {
    const auto order = by_load(copies_);
    for (const auto& to : order) {
      for (auto from = order.rbegin(); from != order.rend(); ++from) {
        const bool uneven = copies_[*from] > most || copies_[to] < least;
        if (!uneven || copies_[*from] < copies_[to] + 2)
          break;
        if (hand_copy(*from, to))
          return true;
      }
    }
    return false;
  }
  /// Of the slots that may go from one to the other, that for which the ring ranks the receiver highest.
  bool hand_copy(const node_name& from, const node_name& to) {
    std::optional<std::size_t> chosen;
    std::size_t chosen_rank = 0;
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      const auto& copies = slots_[slot];
      if (fixed_[slot] || !contains(copies, from) || !may_receive(to, copies) ||
          !is_new_domain(to, without(copies, {from})))
        continue;
      const auto rank = static_cast<std::size_t>(std::ranges::find(walk(slot), to) - walk(slot).begin());
      if (!chosen || rank < chosen_rank) {
        chosen = slot;
        chosen_rank = rank;
      }
    }
    if (!chosen)
      return false;
    auto next = slots_[*chosen];
    std::ranges::replace(next, from, to);
    put(*chosen, std::move(next));
    return true;
  }

  /// Primaries by one step: from who leads most to who leads least.
  bool lead_one(std::size_t most, std::size_t least) {
    const auto order = by_load(leads_);
    for (const auto& to : order)
      for (auto from = order.rbegin(); from != order.rend(); ++from) {
        const bool uneven = leads_[*from] > most || leads_[to] < least;
        if (!uneven || leads_[*from] < leads_[to] + 2)
          break;
        for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
          if (fixed_[slot] || slots_[slot].front() != *from || !contains(slots_[slot], to))
            continue;
          auto next = slots_[slot];
          std::iter_swap(next.begin(), std::ranges::find(next, to));
          put(slot, std::move(next));
          return true;
        }
      }
    return false;
  }

  const cluster_sight& sight_;
  std::vector<copy_list> slots_, walks_{slots_.size()};
  std::vector<bool> fixed_;
  copy_list usable_;
  bool enough_domains_ = false;
  std::map<node_name, std::string> domains_;
  std::map<node_name, std::size_t> copies_, leads_;
};

bool has_ended(const copy_list& to, const std::optional<slot_view>& view) {
  return view && same_nodes(to, *view) && view->primary.node == to.front();
}

/// Everything a move needs is there: its primary to give, its new nodes to take, and those that stay are in sync.
bool may_begin(const copy_list& from, const copy_list& to, const std::optional<slot_view>& view,
               const cluster_sight& sight) {
  if (!view || !sight.alive.contains(view->primary.node))
    return false;
  return std::ranges::all_of(to, [&](const auto& node) {
    return sight.alive.contains(node) && (!contains(from, node) || has_node(*view, node));
  });
}

/// A node that has nothing has just joined.
bool has_newcomer(const placement& now, const cluster_sight& sight) {
  return std::ranges::any_of(sight.ring.nodes(), [&](const auto& node) {
    return !now.is_drained(node.name) && sight.alive.contains(node.name) &&
           std::ranges::none_of(now.slots, [&](const auto& copies) { return contains(copies, node.name); });
  });
}

/// The copies with who leads now in front, where it is another one than should, and that one could.
std::optional<copy_list> lost_lead(const copy_list& copies, const std::optional<slot_view>& view) {
  if (!view || view->primary.node == copies.front() || !has_node(*view, copies.front()))
    return std::nullopt;
  auto out = copies;
  if (const auto leads = std::ranges::find(out, view->primary.node); leads != out.end())
    std::iter_swap(out.begin(), leads);
  return out;
}

} // namespace

bool placement::is_drained(const node_name& node) const {
  return std::ranges::binary_search(drained, node);
}

const slot_move* placement::move_of(slot_id slot) const {
  const auto at = std::ranges::lower_bound(moves, slot, {}, &slot_move::slot);
  return at != moves.end() && at->slot == slot ? &*at : nullptr;
}

placement first_placement(const cluster_sight& sight) {
  placement out;
  for (slot_id slot = 0; slot < sight.ring.slot_count(); ++slot) {
    const auto wish = *sight.ring.owners(slot, sight.ring.nodes().size());
    copy_list copies;
    if (const auto& view = sight.views[slot]; view && !view->members.empty()) {
      copies.push_back(view->primary.node);
      for (const auto& who : view->members)
        if (who != view->primary && copies.size() < sight.copies())
          copies.push_back(who.node);
    }
    for (const auto& node : wish)
      if (copies.size() < sight.copies() && !contains(copies, node))
        copies.push_back(node);
    out.slots.push_back(std::move(copies));
  }
  return out;
}

std::set<node_name> movers(const copy_list& from, const copy_list& to) {
  std::set<node_name> out;
  for (const auto& node : without(from, to))
    out.insert(node);
  for (const auto& node : without(to, from))
    out.insert(node);
  if (!from.empty())
    out.insert(from.front());
  if (!to.empty())
    out.insert(to.front());
  return out;
}

std::vector<copy_list> wished_slots(const placement& now, const cluster_sight& sight) {
  balance plan{now, sight};
  if (!plan.is_possible())
    return now.slots;
  plan.replace_lost();
  // Primaries in the end: who holds what is settled then, and none changes twice.
  if (now.evening && !plan.even_copies() && now.moves.empty())
    plan.even_leads();
  return plan.take();
}

std::optional<placement> next_placement(const placement& now, const cluster_sight& sight) {
  auto next = now;
  std::erase_if(next.moves, [&](const auto& move) { return has_ended(next.slots[move.slot], sight.views[move.slot]); });
  for (auto& move : next.moves) {
    auto& to = next.slots[move.slot];
    const auto joins = without(to, move.from);
    const bool hopeless = std::ranges::any_of(
        joins, [&](const auto& node) { return !sight.alive.contains(node) || next.is_drained(node); });
    const bool can_return =
        std::ranges::all_of(move.from, [&](const auto& node) { return sight.alive.contains(node); });
    if (hopeless && can_return)
      std::swap(to, move.from);
  }

  next.evening |= has_newcomer(next, sight);
  const auto wish = wished_slots(next, sight);
  std::map<node_name, std::size_t> busy;
  for (const auto& move : next.moves)
    for (const auto& node : movers(move.from, next.slots[move.slot]))
      ++busy[node];
  bool more = !next.moves.empty();
  std::vector<slot_move> begun;
  const auto begin = [&](slot_id slot, const copy_list& from, const copy_list& to) {
    more = true;
    const auto nodes = movers(from, to);
    const bool room = std::ranges::all_of(nodes, [&](const auto& node) { return busy[node] < max_moves_a_node; });
    if (!room || !may_begin(from, to, sight.views[slot], sight))
      return;
    for (const auto& node : nodes)
      ++busy[node];
    begun.push_back({slot, from});
    next.slots[slot] = to;
  };
  const auto count = static_cast<slot_id>(next.slots.size());
  const auto must_leave = [&](slot_id slot) {
    return std::ranges::any_of(next.slots[slot], [&](const auto& node) {
      return next.is_drained(node) ||
             std::ranges::find(sight.ring.nodes(), node, &ring_node::name) == sight.ring.nodes().end();
    });
  };
  std::vector<slot_id> order, later;
  for (slot_id slot = 0; slot < count; ++slot)
    if (next.move_of(slot) == nullptr)
      (must_leave(slot) ? order : later).push_back(slot);
  std::ranges::copy(later, std::back_inserter(order));
  for (const auto slot : order) {
    if (wish[slot] != next.slots[slot]) {
      begin(slot, copy_list{next.slots[slot]}, wish[slot]);
      continue;
    }
    if (const auto from = next.evening ? lost_lead(wish[slot], sight.views[slot]) : std::nullopt)
      begin(slot, *from, wish[slot]);
  }
  std::ranges::move(begun, std::back_inserter(next.moves));
  std::ranges::sort(next.moves, {}, &slot_move::slot);
  if (!more)
    next.evening = false;
  return next == now ? std::nullopt : std::optional{std::move(next)};
}

std::vector<planned_move> outlook(const placement& now, const cluster_sight& sight) {
  auto then = now;
  then.evening |= has_newcomer(now, sight);
  then.moves.clear();
  // Copies first, then primaries; a third time to see that nothing is left.
  for (int step = 0; step < 3; ++step) {
    auto next = wished_slots(then, sight);
    if (next == then.slots)
      break;
    then.slots = std::move(next);
  }
  std::vector<planned_move> out;
  for (slot_id slot = 0; slot < now.slots.size(); ++slot) {
    const auto* under_way = now.move_of(slot);
    const auto& to = then.slots[slot];
    auto from = under_way != nullptr ? under_way->from : now.slots[slot];
    if (under_way == nullptr && from == to && then.evening)
      if (const auto back = lost_lead(to, sight.views[slot]))
        from = *back;
    if (under_way != nullptr || from != to)
      out.push_back({slot, std::move(from), to});
  }
  return out;
}

expected<placement, drain_refusal> with_drained(placement now, const cluster_sight& sight, const node_name& node,
                                                bool drained) {
  const auto nodes = sight.ring.nodes();
  if (std::ranges::find(nodes, node, &ring_node::name) == nodes.end()) {
    // A mark of a node that is no more may go.
    if (drained || std::erase(now.drained, node) == 0)
      return unexpected{drain_refusal::unknown_node};
    return now;
  }
  if (!drained) {
    now.evening |= std::erase(now.drained, node) > 0;
    return now;
  }
  if (now.is_drained(node))
    return now;
  const auto left =
      std::ranges::count_if(nodes, [&](const auto& each) { return each.name != node && !now.is_drained(each.name); });
  if (static_cast<std::size_t>(left) < sight.copies())
    return unexpected{drain_refusal::too_few_nodes};
  now.drained.insert(std::ranges::upper_bound(now.drained, node), node);
  return now;
}

} // namespace glocal::store
