#include "actors/store/store_node.hpp"

#include "actors/store/disk_actor.hpp"
#include "actors/store/shard_actor.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::frame_kind;
using store::store_error;

namespace {

/// Watch records are cut into frames of about this size: one value more still fits a frame.
constexpr std::size_t watch_frame_bytes = std::size_t{256} << 10;
constexpr std::chrono::seconds tick_period{1};
/// Reading all slots back; millions of entries take seconds.
constexpr std::chrono::minutes load_patience{10};

static_assert(static_cast<std::uint16_t>(frame_kind::batch_request) > runtime::kind_ranges::store &&
              static_cast<std::uint16_t>(frame_kind::watch_progress) < runtime::kind_ranges::edge);

template <class Value>
runtime::wire_message frame(frame_kind kind, const Value& value) {
  return runtime::make_message(static_cast<std::uint16_t>(kind), store::encode(value));
}

runtime::wire_message batch_refusal(store_error why) {
  return frame(frame_kind::batch_reply, store::batch_reply{unexpected{why}});
}

} // namespace

store_node::store_node(caf::actor_config& config, store_node_settings settings, runtime::transport transport,
                       std::shared_ptr<store::engine> engine)
    : runtime::observed_actor{config, "store node", std::string{store_node_name}}, settings_{std::move(settings)},
      transport_{std::move(transport)}, engine_{std::move(engine)}, slots_{settings_.ring->primary_slots(
                                                                        transport_.node)},
      shards_(settings_.ring->slot_count()), keys_(settings_.ring->slot_count()),
      failed_(settings_.ring->slot_count()) {}

caf::behavior store_node::make_behavior() {
  disk_ = settings_.detached_disk ? spawn<disk_actor, caf::detached + caf::linked>(engine_)
                                  : spawn<disk_actor, caf::linked>(engine_);
  runtime::subscribe_peers(this, transport_);
  request(disk_, load_patience, messages::load_slots{slots_})
      .then([this](messages::loaded_slots& loaded) { start(loaded); },
            [this](caf::error& fault) {
              spdlog::critical("the store can't start: {}", runtime::describe(fault));
              quit(std::move(fault));
            });
  return {
      [this](runtime::wire_request_atom, const std::string& from, const runtime::wire_message& message) {
        return on_request(from, message);
      },
      [this](runtime::wire_cast_atom, const std::string& from, const runtime::wire_message& message) {
        on_cast(from, message);
      },
      [this](messages::shard_output& output) { on_output(output); },
      [](runtime::peer_up_atom, const std::string&) {},
      [this](runtime::peer_down_atom, const std::string& node, const std::string&) { on_peer_down(node); },
      [this](runtime::tick_atom) { on_tick(); },
      [this](flush_atom) { flush_streams(); },
  };
}

void store_node::start(messages::loaded_slots& loaded) {
  const auto started = now();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto slot = slots_[i];
    store::slot_state state{slot, settings_.slots, std::move(loaded.images[i]), started};
    keys_[slot] = state.entry_count();
    for (const auto& lease : state.leases())
      leases_.attached(slot, lease);
    shards_[slot] = spawn<shard_actor, caf::linked>(slot, std::move(state), caf::actor_cast<caf::actor>(this), disk_);
  }
  ready_ = true;
  arm_tick();
}

// Frames.

store_node::answer store_node::on_request(const std::string& from, const runtime::wire_message& message) {
  switch (static_cast<frame_kind>(message.kind)) {
  case frame_kind::batch_request: return on_batch(message.view());
  case frame_kind::scan_request: return on_scan(message.view());
  case frame_kind::lease_request: return on_lease(message.view());
  case frame_kind::watch_request: return on_watch(from, message.view());
  default: return runtime::make_error(runtime::transport_errc::refused, "not a request of the store");
  }
}

store_node::answer store_node::on_batch(byte_view body) {
  auto decoded = store::decode_batch(body);
  if (!decoded)
    return runtime::make_error(runtime::transport_errc::malformed);
  if (!ready_)
    return batch_refusal(store_error::unavailable);
  if (batches_.size() >= settings_.max_requests)
    return batch_refusal(store_error::overloaded);
  count(*decoded);
  std::map<store::slot_id, store::batch_event> parts;
  joined_batch joined;
  const auto request = next_id_++;
  for (std::size_t i = 0; i < decoded->size(); ++i) {
    auto& op = (*decoded)[i];
    const auto slot = store::slot_of(table_of(op), key_of(op), settings_.ring->slot_count());
    // A client with another placement than ours: nothing of its batch is done, and it can only retry.
    if (!owns(slot))
      return batch_refusal(store_error::unavailable);
    auto& part = parts[slot];
    part.request = request;
    if (const auto grant = leases_.find(lease_of(op)))
      if (std::ranges::find(part.leases, grant->id, &store::lease_grant::id) == part.leases.end())
        part.leases.push_back(*grant);
    auto& here = joined.parts[slot];
    here.places.push_back(i);
    here.kinds.count(op);
    part.operations.push_back(std::move(op));
  }
  if (parts.empty())
    return frame(frame_kind::batch_reply, store::batch_reply{std::vector<store::op_result>{}});
  joined.results.resize(decoded->size());
  joined.open = parts.size();
  joined.came = now();
  joined.promise = make_response_promise();
  const auto promise = joined.promise;
  batches_.emplace(request, std::move(joined));
  for (auto& [slot, part] : parts)
    to_shard(slot, std::move(part));
  return promise;
}

store_node::answer store_node::on_scan(byte_view body) {
  auto decoded = store::decode_scan_request(body);
  if (!decoded)
    return runtime::make_error(runtime::transport_errc::malformed);
  if (!ready_ || !owns(decoded->slot))
    return frame(frame_kind::scan_reply, store::scan_reply{unexpected{store_error::unavailable}});
  if (scans_.size() >= settings_.max_requests)
    return frame(frame_kind::scan_reply, store::scan_reply{unexpected{store_error::overloaded}});
  decoded->limit = std::clamp<std::uint32_t>(decoded->limit, 1, store::limits::scan_page_entries);
  ++counters_.scans;
  const auto request = next_id_++;
  auto& scan = scans_[request];
  scan.promise = make_response_promise();
  scan.request = std::move(*decoded);
  walk_on(request, scan);
  return scan.promise;
}

store_node::answer store_node::on_lease(byte_view body) {
  const auto decoded = store::decode_lease_request(body);
  if (!decoded)
    return runtime::make_error(runtime::transport_errc::malformed);
  const auto reply = [](const store::lease_reply& value) { return frame(frame_kind::lease_reply, value); };
  if (!ready_)
    return reply(unexpected{store_error::unavailable});
  const auto holders = leases_.holders(decoded->lease);
  switch (decoded->action) {
  case store::lease_action::grant: leases_.grant(decoded->lease, decoded->ttl, now()); break;
  case store::lease_action::renew:
    if (!leases_.renew(decoded->lease, now()))
      return reply(unexpected{store_error::no_such_lease});
    break;
  case store::lease_action::revoke:
    leases_.revoke(decoded->lease);
    for (const auto slot : holders)
      to_shard(slot, store::revoke_event{decoded->lease});
    return reply({});
  }
  for (const auto slot : holders)
    to_shard(slot, store::renew_event{*leases_.find(decoded->lease)});
  arm_tick();
  return reply({});
}

store_node::answer store_node::on_watch(const std::string& client, byte_view body) {
  const auto decoded = store::decode_watch_request(body);
  if (!decoded)
    return runtime::make_error(runtime::transport_errc::malformed);
  const auto reply = [](const store::watch_reply& value) { return frame(frame_kind::watch_reply, value); };
  if (!ready_)
    return reply(unexpected{store_error::unavailable});
  const auto name = std::pair{client, decoded->subscription};
  // The same one again: its first answer was lost.
  if (stream_ids_.contains(name))
    return reply({});
  const auto mine = std::ranges::count(streams_, client, [](const auto& each) { return each.second.client; });
  if (static_cast<std::size_t>(mine) >= settings_.max_streams_per_client)
    return reply(unexpected{store_error::overloaded});
  const auto id = next_id_++;
  streams_.emplace(id, stream{client, decoded->subscription, 0, {}});
  stream_ids_.emplace(name, id);
  std::map<store::slot_id, store::revision> from;
  for (const auto& point : decoded->resume)
    from[point.slot] = point.at;
  for (const auto slot : slots_) {
    if (settings_.meters)
      settings_.meters->count_watch(slot);
    const auto at = from.find(slot);
    to_shard(slot, store::subscribe_event{id, decoded->of, decoded->prefix,
                                          at == from.end() ? std::nullopt : std::optional{at->second}});
  }
  arm_tick();
  return reply({});
}

void store_node::on_cast(const std::string& from, const runtime::wire_message& message) {
  if (static_cast<frame_kind>(message.kind) != frame_kind::watch_cancel)
    return note_error("a cast of kind " + std::to_string(message.kind) + " from " + from);
  const auto cancel = store::decode_watch_cancel(message.view());
  if (!cancel)
    return note_error("a malformed watch_cancel from " + from);
  if (const auto at = stream_ids_.find({from, cancel->subscription}); at != stream_ids_.end())
    end_stream(at->second);
}

void store_node::on_peer_down(const std::string& node) {
  std::vector<store::subscription_id> gone;
  for (const auto& [id, each] : streams_)
    if (each.client == node)
      gone.push_back(id);
  for (const auto id : gone)
    end_stream(id);
}

// Answers of the shards.

void store_node::on_output(messages::shard_output& output) {
  keys_[output.slot] = output.keys;
  failed_[output.slot] = output.failed;
  for (auto& action : output.actions)
    std::visit([&](auto& concrete) { handle(output.slot, concrete); }, action);
}

void store_node::handle(store::slot_id slot, store::reply_action& action) {
  const auto at = batches_.find(action.request);
  if (at == batches_.end())
    return;
  auto& batch = at->second;
  const auto& places = batch.parts.at(slot).places;
  for (std::size_t i = 0; i < places.size(); ++i) {
    counters_.conflicts += action.results[i].code == store::op_code::conflict;
    batch.results[places[i]] = std::move(action.results[i]);
  }
  finish_part(action.request, slot, batch);
}

void store_node::handle(store::slot_id slot, store::refuse_action& action) {
  if (const auto batch = batches_.find(action.request); batch != batches_.end()) {
    batch->second.fault = action.why;
    finish_part(action.request, slot, batch->second);
  } else if (auto scan = scans_.extract(action.request)) {
    scan.mapped().promise.deliver(frame(frame_kind::scan_reply, store::scan_reply{unexpected{action.why}}));
  }
}

void store_node::finish_part(store::request_id request, store::slot_id slot, joined_batch& batch) {
  if (settings_.meters)
    settings_.meters->record(slot, batch.parts.at(slot).kinds, now() - batch.came);
  if (--batch.open > 0)
    return;
  auto reply =
      batch.fault ? batch_refusal(*batch.fault) : frame(frame_kind::batch_reply, store::batch_reply{batch.results});
  // A batch of reads may ask for more than a frame carries.
  if (reply.view().size() > runtime::max_body_bytes)
    reply = batch_refusal(store_error::too_large);
  batch.promise.deliver(std::move(reply));
  batches_.erase(request);
}

void store_node::walk_on(store::request_id request, walking_scan& scan) {
  scan.asked = now();
  to_shard(scan.request.slot, store::scan_event{request, scan.request.from, scan.request.prefix, scan.request.after,
                                                scan.request.limit - scan.page.entries.size(),
                                                store::limits::scan_page_bytes - scan.bytes});
}

void store_node::handle(store::slot_id slot, store::scan_reply_action& action) {
  const auto at = scans_.find(action.request);
  if (at == scans_.end())
    return;
  auto& scan = at->second;
  if (settings_.meters)
    settings_.meters->record_scan(slot, now() - scan.asked);
  for (auto& row : action.entries) {
    scan.bytes += payload_bytes(row);
    scan.page.entries.push_back(std::move(row));
  }
  const bool full = scan.page.entries.size() >= scan.request.limit || scan.bytes >= store::limits::scan_page_bytes;
  const auto next = std::ranges::upper_bound(slots_, slot);
  if (!action.more && !full && next != slots_.end()) {
    scan.request.slot = *next;
    scan.request.after.clear();
    return walk_on(action.request, scan);
  }
  if (action.more) {
    scan.page.more = true;
    scan.page.slot = slot;
    scan.page.after = scan.page.entries.back().key;
  } else if (next != slots_.end()) {
    scan.page.more = true;
    scan.page.slot = *next;
  }
  scan.promise.deliver(frame(frame_kind::scan_reply, store::scan_reply{std::move(scan.page)}));
  scans_.erase(at);
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

void store_node::handle(store::slot_id slot, store::lease_attached_action& action) {
  leases_.attached(slot, action.lease);
  arm_tick();
}

void store_node::handle(store::slot_id slot, store::lease_detached_action& action) {
  leases_.detached(slot, action.lease);
}

// Streams and time.

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
  stream_ids_.erase({at->second.client, at->second.subscription});
  streams_.erase(at);
  dirty_.erase(id);
  for (const auto slot : slots_)
    to_shard(slot, store::unsubscribe_event{id});
}

void store_node::on_tick() {
  tick_armed_ = false;
  // What is on its way goes first, so that a mark never names a frame that comes after it.
  flush_streams();
  std::map<std::string, store::watch_progress> marks;
  for (const auto& [id, each] : streams_)
    marks[each.client].streams.push_back({each.subscription, each.sequence});
  for (const auto& [client, progress] : marks)
    runtime::cast(this, transport_, {client, std::string{store_client_name}},
                  frame(frame_kind::watch_progress, progress));
  const auto before = leases_.size();
  for (const auto slot : leases_.expire(now()))
    to_shard(slot, store::tick_event{now()});
  counters_.leases_expired += before - leases_.size();
  arm_tick();
}

void store_node::arm_tick() {
  if ((streams_.empty() && leases_.empty()) || std::exchange(tick_armed_, true))
    return;
  delayed_send(this, tick_period, runtime::tick_atom_v);
}

void store_node::to_shard(store::slot_id slot, store::slot_event event) {
  send(shards_[slot], messages::shard_input{std::move(event)});
}

void store_node::count(const store::batch& operations) {
  for (const auto& op : operations) {
    counters_.gets += std::holds_alternative<store::get_op>(op);
    counters_.puts += std::holds_alternative<store::put_op>(op);
    counters_.puts_if_absent += std::holds_alternative<store::put_if_absent_op>(op);
    counters_.compare_and_sets += std::holds_alternative<store::compare_and_set_op>(op);
    counters_.erases += std::holds_alternative<store::erase_op>(op);
  }
}

store::timestamp store_node::now() const {
  return system().clock().now();
}

void store_node::on_exit() {
  disk_ = {};
  shards_.clear();
  batches_.clear();
  scans_.clear();
}

runtime::state_entries store_node::state_summary() const {
  std::size_t keys = 0;
  for (const auto count : keys_)
    keys += count;
  const bool failed = std::ranges::count(failed_, true) > 0;
  return {{"ready", ready_ && !failed ? "true" : "false"},
          {"slots", std::to_string(slots_.size())},
          {"copies", "1"},
          {"keys", std::to_string(keys)},
          {"watchers", std::to_string(streams_.size())},
          {"leases", std::to_string(leases_.size())},
          {"gets", std::to_string(counters_.gets)},
          {"puts", std::to_string(counters_.puts)},
          {"puts_if_absent", std::to_string(counters_.puts_if_absent)},
          {"compare_and_sets", std::to_string(counters_.compare_and_sets)},
          {"erases", std::to_string(counters_.erases)},
          {"scans", std::to_string(counters_.scans)},
          {"conflicts", std::to_string(counters_.conflicts)},
          {"leases_expired", std::to_string(counters_.leases_expired)},
          {"disk", failed ? "failed" : "ok"}};
}

} // namespace glocal::actors
