#include "actors/store/client_watches.hpp"

#include "actors/store/names.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::frame_kind;

namespace {

constexpr std::chrono::seconds tick_period{1};

} // namespace

client_watches::client_watches(runtime::observed_actor& self, runtime::transport transport,
                               std::shared_ptr<const store::hash_ring> ring, std::size_t replicas,
                               std::chrono::milliseconds silence_limit, std::chrono::milliseconds request_timeout)
    : self_{self}, transport_{std::move(transport)}, ring_{std::move(ring)}, silence_limit_{silence_limit},
      request_timeout_{request_timeout}, heard_(ring_->nodes().size()),
      // A restarted client has another actor id: what an old stream still sends can't be taken for a new one's.
      next_subscription_{(self.id() << 32) + 1} {
  std::map<std::vector<std::size_t>, std::vector<store::slot_id>> by_owners;
  for (store::slot_id slot = 0; slot < ring_->slot_count(); ++slot) {
    std::vector<std::size_t> hosts;
    const auto owners = *ring_->owners(slot, std::min(replicas, ring_->nodes().size()));
    for (const auto& owner : owners)
      hosts.push_back(*index_of(owner));
    by_owners[std::move(hosts)].push_back(slot);
  }
  for (auto& [hosts, slots] : by_owners)
    groups_.push_back({std::move(slots), hosts});
}

void client_watches::open(const caf::actor& watcher, const messages::watch_open& request) {
  const key name{watcher->id(), request.id};
  std::vector<std::vector<store::slot_id>> slots;
  for (std::size_t group = 0; group < groups_.size(); ++group)
    slots.push_back(slots_of(group, request.only));
  auto watch = std::make_unique<open_watch>(open_watch{watcher, request.of, request.prefix, request.only,
                                                       store::watch_merge{request.of, std::move(slots), request.from},
                                                       std::vector<stream>(groups_.size())});
  if (!watches_.emplace(name, std::move(watch)).second)
    return;
  self_.monitor(watcher);
  for (std::size_t group = 0; group < groups_.size(); ++group)
    subscribe(name, group);
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
  for (auto& each : watch.streams)
    if (each.state != phase::idle)
      cancel(each.node, each.subscription);
  self_.demonitor(watch.watcher);
  watches_.erase(at);
}

std::vector<store::slot_id> client_watches::slots_of(std::size_t group, std::optional<store::slot_id> only) const {
  const auto& all = groups_[group].slots;
  if (!only)
    return all;
  return std::ranges::count(all, *only) > 0 ? std::vector{*only} : std::vector<store::slot_id>{};
}

void client_watches::subscribe(const key& name, std::size_t group) {
  auto& watch = *watches_.at(name);
  auto& opening = watch.streams[group];
  if (opening.state != phase::idle)
    return;
  auto slots = slots_of(group, watch.only);
  if (slots.empty())
    return;
  const auto node = groups_[group].hosts.front();
  opening = {phase::opening, next_subscription_++, 0, node};
  subscriptions_[opening.subscription] = {name, group};
  ++counters_.streams_opened;
  watch.merge.connected(group);
  const auto subscription = opening.subscription;
  /// The stream that was asked for, unless it has been given up meanwhile.
  const auto still_opening = [this, name, group, subscription]() -> open_watch* {
    const auto at = watches_.find(name);
    if (at == watches_.end() || at->second->streams[group].subscription != subscription ||
        at->second->streams[group].state != phase::opening)
      return nullptr;
    return at->second.get();
  };
  const store::watch_request request{subscription, watch.of, watch.prefix, watch.merge.resume_points(group),
                                     std::move(slots)};
  runtime::request(&self_, transport_, address_of(node),
                   runtime::make_message(static_cast<std::uint16_t>(frame_kind::watch_request), store::encode(request)),
                   request_timeout_)
      .then(
          [this, name, group, node, still_opening](const runtime::wire_message& reply) {
            auto* asked = still_opening();
            if (asked == nullptr)
              return;
            const auto opened = store::decode_watch_reply(reply.view());
            if (!opened || !*opened)
              return lose(name, *asked, group, false, true);
            asked->streams[group].state = phase::running;
            heard_[node] = self_.system().clock().now();
          },
          [this, name, group, still_opening](const caf::error&) {
            // It may run all the same, when only the answer was lost.
            if (auto* asked = still_opening())
              lose(name, *asked, group, true, true);
          });
}

void client_watches::lose(const key& name, open_watch& watch, std::size_t group, bool tell_node, bool elsewhere) {
  auto& lost = watch.streams[group];
  if (lost.state == phase::idle)
    return;
  const auto node = lost.node;
  if (tell_node)
    cancel(node, lost.subscription);
  subscriptions_.erase(lost.subscription);
  lost = {};
  ++counters_.streams_lost;
  // Once, however many watches it costs a stream.
  if (elsewhere && groups_[group].hosts.front() == node)
    move_on(group);
  std::vector<store::watch_event> events;
  watch.merge.lost(group, [&](const store::watch_event& event) { events.push_back(event); });
  deliver(name, watch, std::move(events));
}

void client_watches::move_on(std::size_t group) {
  auto& hosts = groups_[group].hosts;
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
  const auto [name, group] = known->second;
  auto& watch = *watches_.at(name);
  auto& fed = watch.streams[group];
  if (fed.node != *node)
    return;
  if (events.sequence != fed.sequence + 1) {
    lose(name, watch, group, true, false);
    return subscribe(name, group);
  }
  ++fed.sequence;
  std::vector<store::watch_event> out;
  watch.merge.deliver(group, std::move(events.records), [&](const store::watch_event& event) { out.push_back(event); });
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
  for (auto& [name, watch] : watches_)
    for (std::size_t group = 0; group < groups_.size(); ++group) {
      const auto& checked = watch->streams[group];
      if (checked.state != phase::running || checked.node != *node)
        continue;
      const auto mark = named.find(checked.subscription);
      const bool ended = mark == named.end();
      if (!ended && mark->second == checked.sequence)
        continue;
      lose(name, *watch, group, !ended, ended);
      subscribe(name, group);
    }
}

void client_watches::on_peer_up(const std::string&) {
  for (auto& [name, watch] : watches_)
    for (std::size_t group = 0; group < groups_.size(); ++group)
      subscribe(name, group);
}

void client_watches::on_peer_down(const std::string& node) {
  const auto index = index_of(node);
  for (auto& [name, watch] : watches_)
    for (std::size_t group = 0; index && group < groups_.size(); ++group)
      if (watch->streams[group].state != phase::idle && watch->streams[group].node == *index) {
        lose(name, *watch, group, false, true);
        subscribe(name, group);
      }
}

void client_watches::on_tick() {
  tick_armed_ = false;
  const auto now = self_.system().clock().now();
  for (auto& [name, watch] : watches_)
    for (std::size_t group = 0; group < groups_.size(); ++group) {
      const auto& each = watch->streams[group];
      if (each.state == phase::running && now - heard_[each.node] > silence_limit_)
        lose(name, *watch, group, true, true);
      subscribe(name, group);
    }
  arm_tick();
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
