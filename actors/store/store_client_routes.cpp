// Where a store client thinks that slots are: what it believes at first, what nodes answer, and the cluster's
// placement.

#include "actors/store/store_client.hpp"
#include "store/placement.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;

namespace {

/// What others say of a node is not believed for so long after it did not answer: about what it takes to replace it.
constexpr std::chrono::milliseconds distrust{1000};
/// Between reads of the placement.
constexpr std::chrono::milliseconds refresh_pause{500};

} // namespace

std::vector<store_client::route> store_client::first_routes() const {
  const auto nodes = settings_.ring->nodes();
  std::vector<route> out(settings_.ring->slot_count());
  for (store::slot_id slot = 0; slot < out.size(); ++slot) {
    const auto owners = *settings_.ring->owners(slot, std::min(settings_.replicas, nodes.size()));
    for (const auto& owner : owners)
      out[slot].hosts.push_back(*index_of(owner));
  }
  return out;
}

std::optional<std::size_t> store_client::index_of(const store::node_name& name) const {
  const auto nodes = settings_.ring->nodes();
  const auto at = std::ranges::find(nodes, name, &store::ring_node::name);
  return at == nodes.end() ? std::nullopt : std::optional{static_cast<std::size_t>(at - nodes.begin())};
}

/// A hint is worth a try at once, unless it leads to where we just came from in vain: until somebody has taken over,
/// backups name the primary that is gone.
bool store_client::redirect(store::slot_id slot, std::size_t from, const store::node_name& primary) {
  auto& [hosts, in_vain] = routes_[slot];
  const bool known = std::ranges::find(hosts, from) != hosts.end();
  if (known && hosts.front() != from)
    return true; // learnt meanwhile
  ++redirects_;
  const auto hinted = index_of(primary);
  if (!hinted || *hinted == from || has_just_failed(*hinted)) {
    move_on(slot, from);
    return false;
  }
  ++in_vain; // so is this hint, until it has proved right
  if (const auto at = std::ranges::find(hosts, *hinted); at != hosts.end()) {
    std::rotate(hosts.begin(), at, hosts.end());
  } else {
    hosts.insert(hosts.begin(), *hinted);
    refresh_placement();
  }
  return true;
}

bool store_client::has_just_failed(std::size_t node) const {
  return lanes_[node].failed && now() - *lanes_[node].failed <= distrust;
}

std::size_t store_client::node_of(store::slot_id slot) {
  auto& [hosts, in_vain] = routes_[slot];
  for (std::size_t i = 0; i < hosts.size() && has_just_failed(hosts.front()); ++i)
    std::rotate(hosts.begin(), hosts.begin() + 1, hosts.end());
  // All of them were asked, and more than once: any store node can say where the slot is now.
  if (in_vain > 2 * hosts.size() && in_vain % 3 == 0)
    for (std::size_t i = 0; i < lanes_.size(); ++i)
      if (const auto other = (in_vain / 3 + i) % lanes_.size();
          !has_just_failed(other) && std::ranges::find(hosts, other) == hosts.end())
        return other;
  return hosts.front();
}

void store_client::move_on(store::slot_id slot, std::size_t from) {
  auto& [hosts, in_vain] = routes_[slot];
  if (++in_vain > hosts.size())
    refresh_placement();
  if (hosts.front() == from)
    std::rotate(hosts.begin(), hosts.begin() + 1, hosts.end());
}

client_watches::host_lists store_client::hosts() const {
  client_watches::host_lists out;
  for (const auto& route : routes_)
    out.push_back(route.hosts);
  return out;
}

void store_client::refresh_placement() {
  if (refreshing_ || (refreshed_ && now() - *refreshed_ < refresh_pause))
    return;
  refreshing_ = true;
  refreshed_ = now();
  const auto patience = 4 * settings_.attempt_timeout;
  request(caf::actor_cast<caf::actor>(this), caf::infinite,
          messages::execute{{store::get_op{store::table::placement, std::string{store::placement_key}}}, patience})
      .then(
          [this](const messages::executed& answer) {
            refreshing_ = false;
            if (answer.reply && answer.reply->front().found)
              learn_placement(*answer.reply->front().found);
          },
          [this](const caf::error&) { refreshing_ = false; });
}

void store_client::learn_placement(const store::entry& row) {
  if (row.version <= placement_)
    return;
  const auto placed = store::decode_placement({reinterpret_cast<const std::byte*>(row.value.data()), row.value.size()});
  if (!placed || placed->slots.size() != routes_.size())
    return note_error("the cluster's placement can't be read");
  placement_ = row.version;
  for (store::slot_id slot = 0; slot < routes_.size(); ++slot) {
    std::vector<std::size_t> hosts;
    const auto add = [&](const store::copy_list& names) {
      for (const auto& name : names)
        if (const auto node = index_of(name); node && std::ranges::find(hosts, *node) == hosts.end())
          hosts.push_back(*node);
    };
    add(placed->slots[slot]);
    if (const auto* move = placed->move_of(slot))
      add(move->from);
    auto& route = routes_[slot];
    // Who served it last is asked first, whatever should be.
    if (const auto front = std::ranges::find(hosts, route.hosts.front()); front != hosts.end())
      std::rotate(hosts.begin(), front, hosts.end());
    if (!hosts.empty()) // else the cluster file of this node is too old to know them
      route.hosts = std::move(hosts);
  }
  watches_.place(hosts());
}

} // namespace glocal::actors
