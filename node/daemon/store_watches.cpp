#include "node/daemon/store_watches.hpp"

#include "actors/store/messages.hpp"
#include "runtime/atoms.hpp"
#include "store/slots.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <utility>

namespace glocal::node {

namespace messages = actors::store_messages;

namespace {

/// How often a client that watches many slots is given its position: what came since is told again when it comes again.
constexpr std::chrono::seconds position_period{1};
constexpr std::string_view restarted =
    "event: lost\ndata: {\"error\":\"the watch broke off on this node; go on from the last id\"}\n\n";

} // namespace

store_watches::store_watches(caf::actor_config& config, caf::actor client, store::slot_id slot_count)
    : runtime::observed_actor{config, "store watches", std::string{store_watches_name}}, client_{std::move(client)},
      slot_count_{slot_count} {}

caf::behavior store_watches::make_behavior() {
  return {
      [this](start_watch& request) { start(request); },
      [this](const messages::watch_delivery& delivery) { deliver(delivery.id, delivery.events); },
      [this](const end_watch& over) {
        const auto at =
            std::ranges::find_if(watches_, [&](const auto& each) { return each.second.stream->id() == over.stream; });
        if (at != watches_.end())
          end(at->first);
      },
      [this](runtime::tick_atom) { on_tick(); },
  };
}

void store_watches::start(start_watch& request) {
  const auto id = next_++;
  messages::watch_open open{id, request.what.of, request.what.prefix, request.what.from, {}};
  if (request.what.one_key)
    open.only = store::slot_of(request.what.of, request.what.prefix, slot_count_);
  watch added{std::move(request.what), std::move(request.stream), {}};
  for (const auto& each : added.what.from)
    added.positions[each.slot] = each.at;
  // One that goes on has an order from the beginning: its client has a position of every slot.
  added.ordered = !added.what.from.empty();
  watches_.emplace(id, std::move(added));
  send(client_, std::move(open));
  arm_tick();
}

std::string store_watches::token_of(const watch& of) const {
  std::vector<store::slot_revision> positions;
  for (const auto& [slot, at] : of.positions)
    positions.push_back({slot, at});
  return position_token(positions);
}

void store_watches::deliver(store::watch_id id, const std::vector<store::watch_event>& events) {
  using kind = store::watch_event::kind;
  const auto at = watches_.find(id);
  if (at == watches_.end())
    return;
  auto& watch = at->second;
  std::string text;
  const auto say = [&](const store::watch_event& event, const std::string* token) {
    text += event_text(event, watch.what.form, token);
    ++events_;
  };
  for (const auto& event : events) {
    switch (event.what) {
    case kind::put:
    case kind::erase: {
      if (watch.what.one_key && event.entry.key != watch.what.prefix)
        break;
      if (watch.ordered)
        watch.positions[event.slot] = std::max(watch.positions[event.slot], event.at);
      const bool exact = watch.what.one_key && watch.ordered;
      const auto token = exact ? token_of(watch) : std::string{};
      say(event, exact ? &token : nullptr);
      watch.moved = watch.ordered && !exact;
      break;
    }
    case kind::live: {
      watch.positions.clear();
      for (const auto& each : event.positions)
        watch.positions[each.slot] = each.at;
      watch.ordered = true;
      watch.moved = false;
      const auto token = token_of(watch);
      say(event, token.empty() ? nullptr : &token);
      break;
    }
    case kind::suspect: say(event, nullptr); break;
    case kind::resync:
      watch.ordered = false;
      say(event, nullptr);
      break;
    case kind::compacted: {
      // An empty id makes browsers begin anew, too.
      const std::string none;
      say(event, &none);
      ++compacted_;
      watch.stream->end(text);
      return end(id);
    }
    }
  }
  if (!text.empty() && !watch.stream->push(text)) {
    ++too_slow_;
    end(id);
  }
}

void store_watches::end(store::watch_id id) {
  watches_.erase(id);
  send(client_, messages::watch_close{this->id(), id});
}

void store_watches::on_tick() {
  tick_armed_ = false;
  for (auto& [id, watch] : watches_) {
    if (!std::exchange(watch.moved, false) || !watch.ordered)
      continue;
    if (const auto token = token_of(watch); !token.empty())
      (void)watch.stream->push("event: position\nid: " + token + "\ndata: {}\n\n");
  }
  arm_tick();
}

void store_watches::arm_tick() {
  if (!watches_.empty() && !std::exchange(tick_armed_, true))
    delayed_send(this, position_period, runtime::tick_atom_v);
}

void store_watches::on_exit() {
  for (auto& [id, watch] : watches_)
    watch.stream->end(restarted);
  watches_.clear();
  client_ = {};
}

runtime::state_entries store_watches::state_summary() const {
  return {{"watches", std::to_string(watches_.size())},
          {"events", std::to_string(events_)},
          {"too_slow", std::to_string(too_slow_)},
          {"compacted", std::to_string(compacted_)}};
}

} // namespace glocal::node
