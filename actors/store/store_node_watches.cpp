// Watches of other nodes: streams of what shards publish, and the marks that say how far each is.

#include "actors/store/frames.hpp"
#include "actors/store/store_node.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace glocal::actors {

using store::frame_kind;
using store::store_error;

namespace {

/// Watch records are cut into frames of about this size: one value more still fits a frame.
constexpr std::size_t watch_frame_bytes = std::size_t{256} << 10;
constexpr std::chrono::seconds tick_period{1};

} // namespace

store_node::answer store_node::on_watch(const std::string& client, byte_view body) {
  const auto decoded = store::decode_watch_request(body);
  if (!decoded)
    return runtime::make_error(runtime::transport_errc::malformed);
  const auto reply = [](const store::node_watch_reply& value) { return frame(frame_kind::watch_reply, value); };
  const auto refuse = [&](store_error why) { return reply({unexpected{why}, {}}); };
  if (!ready_)
    return refuse(store_error::unavailable);
  const auto name = std::pair{client, decoded->subscription};
  std::vector<store::slot_id> stale;
  std::ranges::copy_if(decoded->slots, std::back_inserter(stale),
                       [this](auto slot) { return !holds(slot) || !states_[slot].current; });
  if (!stale.empty())
    return reply({unexpected{store_error::unavailable}, std::move(stale)});
  // The same one again: its first answer was lost.
  if (stream_ids_.contains(name))
    return reply({});
  const auto mine = std::ranges::count(streams_, client, [](const auto& each) { return each.second.client; });
  if (static_cast<std::size_t>(mine) >= settings_.max_streams_per_client)
    return refuse(store_error::overloaded);
  const auto id = next_id_++;
  streams_.emplace(id, stream{client, decoded->slots, decoded->subscription, 0, {}});
  stream_ids_.emplace(name, id);
  std::map<store::slot_id, store::revision> from;
  for (const auto& point : decoded->resume)
    from[point.slot] = point.at;
  for (const auto slot : decoded->slots) {
    if (settings_.meters)
      settings_.meters->count_watch(slot);
    const auto at = from.find(slot);
    to_shard(slot, store::subscribe_event{id, decoded->of, decoded->prefix,
                                          at == from.end() ? std::nullopt : std::optional{at->second}});
  }
  arm_tick();
  return reply({});
}

void store_node::handle(store::slot_id, store::publish_action& action) {
  for (std::size_t i = 0; i < action.subscriptions.size(); ++i) {
    const auto at = streams_.find(action.subscriptions[i]);
    if (at == streams_.end())
      continue;
    auto& waiting = at->second.waiting;
    if (i + 1 == action.subscriptions.size())
      std::ranges::move(action.records, std::back_inserter(waiting));
    else
      waiting.insert(waiting.end(), action.records.begin(), action.records.end());
    dirty_.insert(at->first);
  }
  // Behind what other shards have already sent: that makes one frame of it.
  if (!dirty_.empty() && !std::exchange(flush_pending_, true))
    send(this, flush_atom_v);
}

void store_node::flush_streams() {
  flush_pending_ = false;
  for (const auto id : std::exchange(dirty_, {})) {
    const auto at = streams_.find(id);
    if (at == streams_.end())
      continue;
    auto& each = at->second;
    store::watch_events events{each.subscription, 0, {}};
    std::size_t size = 0;
    const auto send_frame = [&] {
      events.sequence = ++each.sequence;
      runtime::cast(this, transport_, {each.client, std::string{store_client_name}},
                    frame(frame_kind::watch_events, events));
      events.records.clear();
      size = 0;
    };
    for (auto& record : std::exchange(each.waiting, {})) {
      // 128: what Cap'n Proto adds to a record.
      size += payload_bytes(record.entry) + 128;
      events.records.push_back(std::move(record));
      if (size >= watch_frame_bytes)
        send_frame();
    }
    if (!events.records.empty())
      send_frame();
  }
}

void store_node::end_stream(store::subscription_id id) {
  const auto at = streams_.find(id);
  for (const auto slot : at->second.slots)
    to_shard(slot, store::unsubscribe_event{id});
  stream_ids_.erase({at->second.client, at->second.subscription});
  streams_.erase(at);
  dirty_.erase(id);
}

void store_node::on_tick() {
  tick_armed_ = false;
  // A replica that lost touch with its primary has nothing to say; the client misses the stream in the mark below, and
  // goes to another node.
  std::vector<store::subscription_id> stale;
  for (const auto& [id, each] : streams_)
    if (std::ranges::any_of(each.slots, [this](auto slot) { return !states_[slot].current; }))
      stale.push_back(id);
  std::set<std::string> clients;
  for (const auto id : stale) {
    clients.insert(streams_.at(id).client);
    end_stream(id);
  }
  // What is on its way goes first, so that a mark never names a frame that comes after it.
  flush_streams();
  std::map<std::string, store::watch_progress> marks;
  for (const auto& client : clients)
    marks[client];
  for (const auto& [id, each] : streams_)
    marks[each.client].streams.push_back({each.subscription, each.sequence});
  for (const auto& [client, progress] : marks)
    runtime::cast(this, transport_, {client, std::string{store_client_name}},
                  frame(frame_kind::watch_progress, progress));
  // Of the book alone: that an entry's lease is over, its slot decides.
  (void)leases_.expire(now());
  arm_tick();
}

void store_node::arm_tick() {
  if ((streams_.empty() && leases_.empty()) || std::exchange(tick_armed_, true))
    return;
  delayed_send(this, tick_period, runtime::tick_atom_v);
}

} // namespace glocal::actors
