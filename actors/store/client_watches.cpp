#include "actors/store/client_watches.hpp"

#include "actors/store/names.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::frame_kind;

namespace {

constexpr std::chrono::seconds tick_period{1};
/// Streams of one watch at one node; slots that move one by one would make it hundreds.
constexpr std::size_t most_streams_a_node = 4;

} // namespace

client_watches::client_watches(runtime::observed_actor& self, runtime::transport transport,
                               std::shared_ptr<const store::hash_ring> ring, host_lists hosts,
                               std::function<void()> elsewhere, std::chrono::milliseconds silence_limit,
                               std::chrono::milliseconds request_timeout)
    : self_{self}, transport_{std::move(transport)}, ring_{std::move(ring)}, hosts_{std::move(hosts)},
      elsewhere_{std::move(elsewhere)}, silence_limit_{silence_limit}, request_timeout_{request_timeout},
      heard_(ring_->nodes().size()),
      // A restarted client has another actor id: what an old stream still sends can't be taken for a new one's.
      next_subscription_{(self.id() << 32) + 1} {}

void client_watches::open(const caf::actor& watcher, const messages::watch_open& request) {
  const key name{watcher->id(), request.id};
  std::vector<store::slot_id> slots;
  for (store::slot_id slot = 0; slot < ring_->slot_count(); ++slot)
    if (!request.only || slot == *request.only)
      slots.push_back(slot);
  auto watch = std::make_unique<open_watch>(open_watch{watcher,
                                                       request.of,
                                                       request.prefix,
                                                       store::watch_merge{request.of, {slots}, request.from},
                                                       {},
                                                       {slots.begin(), slots.end()}});
  if (!watches_.emplace(name, std::move(watch)).second)
    return;
  self_.monitor(watcher);
  subscribe(name);
  arm_tick();
}

void client_watches::close(caf::actor_id watcher, store::watch_id id) {
  if (const auto at = watches_.find({watcher, id}); at != watches_.end())
    erase(at);
}

void client_watches::close_all(caf::actor_id watcher) {
  for (auto at = watches_.lower_bound({watcher, 0}); at != watches_.end() && at->first.first == watcher;)
    erase(at++);
}

void client_watches::erase(std::map<key, std::unique_ptr<open_watch>>::iterator at) {
  auto& watch = *at->second;
  for (const auto& [id, each] : watch.streams)
    cancel(each.node, id);
  self_.demonitor(watch.watcher);
  watches_.erase(at);
}

void client_watches::place(host_lists hosts) {
  hosts_ = std::move(hosts);
}

void client_watches::subscribe(const key& name) {
  auto& watch = *watches_.at(name);
  std::map<std::size_t, std::vector<store::slot_id>> by_node;
  for (const auto slot : std::exchange(watch.loose, {}))
    by_node[hosts_[slot].front()].push_back(slot);
  for (auto& [node, slots] : by_node)
    open_stream(name, node, std::move(slots));
}

void client_watches::subscribe_all() {
  for (const auto& [name, watch] : watches_)
    subscribe(name);
}

void client_watches::open_stream(const key& name, std::size_t node, std::vector<store::slot_id> slots) {
  auto& watch = *watches_.at(name);
  const auto id = next_subscription_++;
  subscriptions_[id] = name;
  ++counters_.streams_opened;
  watch.merge.connected(id, slots);
  const store::watch_request request{id, watch.of, watch.prefix, watch.merge.resume_points(slots), slots};
  watch.streams.emplace(id, stream{false, node, 0, std::move(slots)});
  runtime::request(&self_, transport_, address_of(node),
                   runtime::make_message(static_cast<std::uint16_t>(frame_kind::watch_request), store::encode(request)),
                   request_timeout_)
      .then(
          [this, name, id](const runtime::wire_message& reply) {
            const auto opened = store::decode_watch_reply(reply.view());
            on_reply(name, id, opened ? *opened : store::node_watch_reply{unexpected{opened.error()}, {}});
          },
          [this, name, id](const caf::error&) {
            const auto at = watches_.find(name);
            if (at == watches_.end() || !at->second->streams.contains(id) || at->second->streams.at(id).running)
              return;
            // It may run all the same, when only the answer was lost.
            lose(name, *at->second, id, true, true);
          });
}

void client_watches::on_reply(const key& name, store::subscription_id id, const store::node_watch_reply& reply) {
  const auto at = watches_.find(name);
  // Unless it has been given up meanwhile.
  if (at == watches_.end() || !at->second->streams.contains(id))
    return;
  auto& watch = *at->second;
  auto& opened = watch.streams.at(id);
  if (opened.running)
    return;
  if (reply.reply) {
    opened.running = true;
    heard_[opened.node] = self_.system().clock().now();
    return;
  }
  const auto asked = opened.slots.size();
  const auto node = opened.node;
  lose(name, watch, id, false, reply.refused.empty());
  for (const auto slot : reply.refused)
    if (slot < hosts_.size())
      move_on(slot, node);
  elsewhere_();
  // What it did not refuse it serves; where it refused all, the next node may have no more: that waits for the timer.
  if (!reply.refused.empty() && reply.refused.size() < asked)
    subscribe(name);
}

void client_watches::lose(const key& name, open_watch& watch, store::subscription_id id, bool tell_node,
                          bool elsewhere) {
  const auto gone = watch.streams.extract(id);
  if (!gone)
    return;
  const auto& lost = gone.mapped();
  if (tell_node)
    cancel(lost.node, id);
  subscriptions_.erase(id);
  ++counters_.streams_lost;
  for (const auto slot : lost.slots) {
    watch.loose.insert(slot);
    if (elsewhere)
      move_on(slot, lost.node);
  }
  std::vector<store::watch_event> events;
  watch.merge.lost(id, [&](const store::watch_event& event) { events.push_back(event); });
  deliver(name, watch, std::move(events));
}

/// Once, however many watches it costs a stream.
void client_watches::move_on(store::slot_id slot, std::size_t from) {
  auto& hosts = hosts_[slot];
  if (hosts.front() == from)
    std::rotate(hosts.begin(), hosts.begin() + 1, hosts.end());
}

void client_watches::cancel(std::size_t node, store::subscription_id subscription) {
  subscriptions_.erase(subscription);
  runtime::cast(&self_, transport_, address_of(node),
                runtime::make_message(static_cast<std::uint16_t>(frame_kind::watch_cancel),
                                      store::encode(store::watch_cancel{subscription})));
}

void client_watches::on_events(const std::string& from, store::watch_events&& events) {
  const auto node = index_of(from);
  if (!node)
    return;
  heard_[*node] = self_.system().clock().now();
  const auto known = subscriptions_.find(events.subscription);
  if (known == subscriptions_.end())
    return cancel(*node, events.subscription);
  const auto name = known->second;
  auto& watch = *watches_.at(name);
  auto& fed = watch.streams.at(events.subscription);
  if (fed.node != *node)
    return;
  if (events.sequence != fed.sequence + 1) {
    lose(name, watch, events.subscription, true, false);
    return subscribe(name);
  }
  ++fed.sequence;
  std::vector<store::watch_event> out;
  watch.merge.deliver(events.subscription, std::move(events.records),
                      [&](const store::watch_event& event) { out.push_back(event); });
  deliver(name, watch, std::move(out));
}

void client_watches::on_progress(const std::string& from, const store::watch_progress& progress) {
  const auto node = index_of(from);
  if (!node)
    return;
  heard_[*node] = self_.system().clock().now();
  std::map<store::subscription_id, std::uint64_t> named;
  for (const auto& each : progress.streams) {
    named[each.subscription] = each.sequence;
    if (!subscriptions_.contains(each.subscription))
      cancel(*node, each.subscription);
  }
  for (auto& [name, watch] : watches_) {
    std::map<store::subscription_id, bool> lost; // and whether the node has ended it
    for (const auto& [id, checked] : watch->streams) {
      if (!checked.running || checked.node != *node)
        continue;
      const auto mark = named.find(id);
      if (mark == named.end() || mark->second != checked.sequence)
        lost[id] = mark == named.end();
    }
    // Which of the slots a node can't serve any more, it says when it is asked again.
    for (const auto& [id, ended] : lost)
      lose(name, *watch, id, !ended, false);
    if (!lost.empty())
      subscribe(name);
  }
}

void client_watches::on_peer_up(const std::string&) {
  subscribe_all();
}

void client_watches::on_peer_down(const std::string& node) {
  const auto index = index_of(node);
  if (!index)
    return;
  for (auto& [name, watch] : watches_) {
    std::vector<store::subscription_id> gone;
    for (const auto& [id, each] : watch->streams)
      if (each.node == *index)
        gone.push_back(id);
    for (const auto id : gone)
      lose(name, *watch, id, false, true);
    if (!gone.empty())
      subscribe(name);
  }
}

void client_watches::on_tick() {
  tick_armed_ = false;
  const auto now = self_.system().clock().now();
  for (auto& [name, watch] : watches_) {
    std::vector<store::subscription_id> silent;
    for (const auto& [id, each] : watch->streams)
      if (each.running && now - heard_[each.node] > silence_limit_)
        silent.push_back(id);
    for (const auto id : silent)
      lose(name, *watch, id, true, true);
    subscribe(name);
    join_streams(name, *watch);
  }
  arm_tick();
}

void client_watches::join_streams(const key& name, open_watch& watch) {
  std::map<std::size_t, std::vector<store::subscription_id>> by_node;
  for (const auto& [id, each] : watch.streams)
    if (each.running)
      by_node[each.node].push_back(id);
  for (const auto& [node, ids] : by_node) {
    if (ids.size() <= most_streams_a_node)
      continue;
    std::vector<store::slot_id> slots;
    for (const auto id : ids) {
      const auto old = watch.streams.extract(id);
      slots.insert(slots.end(), old.mapped().slots.begin(), old.mapped().slots.end());
      cancel(node, id);
    }
    std::ranges::sort(slots);
    // Nothing is lost in between: the new one goes on where each slot is, so the watcher need not be told.
    open_stream(name, node, std::move(slots));
  }
}

void client_watches::deliver(const key& name, open_watch& watch, std::vector<store::watch_event> events) {
  if (events.empty())
    return;
  counters_.events += events.size();
  for (const auto& event : events) {
    counters_.suspects += event.what == store::watch_event::kind::suspect;
    counters_.resyncs += event.what == store::watch_event::kind::resync;
  }
  self_.send(watch.watcher, messages::watch_delivery{name.second, std::move(events)});
}

std::size_t client_watches::suspect_count() const {
  std::size_t count = 0;
  for (const auto& [name, watch] : watches_)
    count += !watch->merge.live();
  return count;
}

void client_watches::arm_tick() {
  if (!watches_.empty() && !std::exchange(tick_armed_, true))
    self_.delayed_send(&self_, tick_period, runtime::tick_atom_v);
}

std::optional<std::size_t> client_watches::index_of(const std::string& node) const {
  for (std::size_t i = 0; i < ring_->nodes().size(); ++i)
    if (ring_->nodes()[i].name == node)
      return i;
  return std::nullopt;
}

runtime::address client_watches::address_of(std::size_t node) const {
  return {ring_->nodes()[node].name, std::string{store_node_name}};
}

} // namespace glocal::actors
