#include "actors/store/client_watches.hpp"

#include "actors/store/names.hpp"

#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::frame_kind;

namespace {

constexpr std::chrono::seconds tick_period{1};

} // namespace

client_watches::client_watches(runtime::observed_actor& self, runtime::transport transport,
                               std::shared_ptr<const store::hash_ring> ring, std::chrono::milliseconds silence_limit,
                               std::chrono::milliseconds request_timeout)
    : self_{self}, transport_{std::move(transport)}, ring_{std::move(ring)}, silence_limit_{silence_limit},
      request_timeout_{request_timeout},
      // A restarted client has another actor id: what an old stream still sends can't be taken for a new one's.
      next_subscription_{(self.id() << 32) + 1} {
  for (const auto& node : ring_->nodes())
    peers_.push_back({ring_->primary_slots(node.name), {}});
}

void client_watches::open(const caf::actor& watcher, const messages::watch_open& request) {
  const key name{watcher->id(), request.id};
  std::vector<std::vector<store::slot_id>> slots;
  for (const auto& peer : peers_)
    slots.push_back(peer.slots);
  auto watch = std::make_unique<open_watch>(open_watch{watcher, request.of, request.prefix,
                                                       store::watch_merge{request.of, std::move(slots)},
                                                       std::vector<stream>(peers_.size())});
  if (!watches_.emplace(name, std::move(watch)).second)
    return;
  self_.monitor(watcher);
  for (std::size_t node = 0; node < peers_.size(); ++node)
    subscribe(name, node);
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
  for (std::size_t node = 0; node < watch.streams.size(); ++node)
    if (watch.streams[node].state != phase::idle)
      cancel(node, watch.streams[node].subscription);
  self_.demonitor(watch.watcher);
  watches_.erase(at);
}

void client_watches::subscribe(const key& name, std::size_t node) {
  auto& watch = *watches_.at(name);
  auto& opening = watch.streams[node];
  if (peers_[node].slots.empty() || opening.state != phase::idle)
    return;
  opening = {phase::opening, next_subscription_++, 0};
  subscriptions_[opening.subscription] = name;
  ++counters_.streams_opened;
  watch.merge.connected(node);
  const auto subscription = opening.subscription;
  /// The stream that was asked for, unless it has been given up meanwhile.
  const auto still_opening = [this, name, node, subscription]() -> open_watch* {
    const auto at = watches_.find(name);
    if (at == watches_.end() || at->second->streams[node].subscription != subscription ||
        at->second->streams[node].state != phase::opening)
      return nullptr;
    return at->second.get();
  };
  const store::watch_request request{subscription, watch.of, watch.prefix, watch.merge.resume_points(node)};
  runtime::request(&self_, transport_, address_of(node),
                   runtime::make_message(static_cast<std::uint16_t>(frame_kind::watch_request), store::encode(request)),
                   request_timeout_)
      .then(
          [this, name, node, still_opening](const runtime::wire_message& reply) {
            auto* asked = still_opening();
            if (asked == nullptr)
              return;
            const auto opened = store::decode_watch_reply(reply.view());
            if (!opened || !*opened)
              return lose(name, *asked, node, false);
            asked->streams[node].state = phase::running;
            peers_[node].heard = self_.system().clock().now();
          },
          [this, name, node, still_opening](const caf::error&) {
            // It may run all the same, when only the answer was lost.
            if (auto* asked = still_opening())
              lose(name, *asked, node, true);
          });
}

void client_watches::lose(const key& name, open_watch& watch, std::size_t node, bool tell_node) {
  auto& lost = watch.streams[node];
  if (lost.state == phase::idle)
    return;
  if (tell_node)
    cancel(node, lost.subscription);
  subscriptions_.erase(lost.subscription);
  lost = {};
  ++counters_.streams_lost;
  std::vector<store::watch_event> events;
  watch.merge.lost(node, [&](const store::watch_event& event) { events.push_back(event); });
  deliver(name, watch, std::move(events));
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
  peers_[*node].heard = self_.system().clock().now();
  const auto known = subscriptions_.find(events.subscription);
  if (known == subscriptions_.end())
    return cancel(*node, events.subscription);
  const auto name = known->second;
  auto& watch = *watches_.at(name);
  auto& fed = watch.streams[*node];
  if (fed.subscription != events.subscription)
    return;
  if (events.sequence != fed.sequence + 1) {
    lose(name, watch, *node, true);
    return subscribe(name, *node);
  }
  ++fed.sequence;
  std::vector<store::watch_event> out;
  watch.merge.deliver(*node, std::move(events.records), [&](const store::watch_event& event) { out.push_back(event); });
  deliver(name, watch, std::move(out));
}

void client_watches::on_progress(const std::string& from, const store::watch_progress& progress) {
  const auto node = index_of(from);
  if (!node)
    return;
  peers_[*node].heard = self_.system().clock().now();
  std::map<store::subscription_id, std::uint64_t> named;
  for (const auto& each : progress.streams) {
    named[each.subscription] = each.sequence;
    if (!subscriptions_.contains(each.subscription))
      cancel(*node, each.subscription);
  }
  for (auto& [name, watch] : watches_) {
    const auto& checked = watch->streams[*node];
    if (checked.state != phase::running)
      continue;
    const auto mark = named.find(checked.subscription);
    if (mark != named.end() && mark->second == checked.sequence)
      continue;
    lose(name, *watch, *node, mark != named.end());
    subscribe(name, *node);
  }
}

void client_watches::on_peer_up(const std::string& node) {
  if (const auto index = index_of(node))
    for (auto& [name, watch] : watches_)
      subscribe(name, *index);
}

void client_watches::on_peer_down(const std::string& node) {
  if (const auto index = index_of(node))
    for (auto& [name, watch] : watches_)
      lose(name, *watch, *index, false);
}

void client_watches::on_tick() {
  tick_armed_ = false;
  const auto now = self_.system().clock().now();
  for (std::size_t node = 0; node < peers_.size(); ++node) {
    const bool silent = now - peers_[node].heard > silence_limit_;
    for (auto& [name, watch] : watches_) {
      if (silent && watch->streams[node].state == phase::running)
        lose(name, *watch, node, true);
      subscribe(name, node);
    }
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
