#include "actors/store/store_node.hpp"

#include "actors/store/engine_actor.hpp"
#include "actors/store/frames.hpp"
#include "actors/store/log_actor.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "store/replica_codec.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::frame_kind;
using store::store_error;

namespace {

/// Messages between replicas are put together up to it; one that is larger goes alone, and still fits a frame.
constexpr std::size_t replica_frame_bytes = std::size_t{640} << 10;
/// Reading all slots back; millions of entries take seconds.
constexpr std::chrono::minutes load_patience{10};

static_assert(static_cast<std::uint16_t>(frame_kind::batch_request) > runtime::kind_ranges::store &&
              static_cast<std::uint16_t>(frame_kind::register_reply) < runtime::kind_ranges::edge);

runtime::wire_message batch_refusal(store_error why) {
  return frame(frame_kind::batch_reply, store::node_batch_reply{unexpected{why}});
}

} // namespace

store_node::store_node(caf::actor_config& config, store_node_settings settings, runtime::transport transport,
                       store_storage storage)
    : runtime::observed_actor{config, "store node", std::string{store_node_name}}, settings_{std::move(settings)},
      transport_{std::move(transport)}, storage_{std::move(storage)}, backlog_{std::make_shared<engine_backlog>(
                                                                          settings_.max_backlog_bytes)},
      shards_(settings_.ring->slot_count()), states_(settings_.ring->slot_count()),
      views_(settings_.ring->slot_count()) {}

caf::behavior store_node::make_behavior() {
  auto self = caf::actor_cast<caf::actor>(this);
  if (storage_.detached) {
    log_ = spawn<log_actor, caf::detached + caf::linked>(storage_, backlog_);
    engine_ = spawn<engine_actor, caf::detached + caf::linked>(storage_.engine, backlog_);
  } else {
    log_ = spawn<log_actor, caf::linked>(storage_, backlog_);
    engine_ = spawn<engine_actor, caf::linked>(storage_.engine, backlog_);
  }
  register_ = spawn<register_actor, caf::linked>(settings_.config_register, std::move(self));
  runtime::subscribe_peers(this, transport_);
  std::vector<store::slot_id> placed;
  for (store::slot_id slot = 0; slot < settings_.ring->slot_count(); ++slot)
    if (std::ranges::count(placement_of(slot).desired, transport_.node) > 0)
      placed.push_back(slot);
  request(log_, load_patience, messages::load_slots{std::move(placed)})
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
      [this](const messages::snapshot_slot& asked) { return on_snapshot(asked); },
      [this](messages::shard_output& output) { on_output(output); },
      [this](messages::register_changed& change) { on_register_change(change); },
      [this](const messages::placed& decided) { on_placed(decided); },
      [this](const messages::views_request& asked) { return on_views(asked); },
      [this](const messages::register_answer& answer) {
        if (answer.value && answer.slot < views_.size())
          learn_view(answer.slot, *answer.value);
        for (auto& asked : views_asked_)
          if (asked.open.erase(answer.slot) > 0 && asked.open.empty())
            asked.promise.deliver(messages::views_known{views_});
        std::erase_if(views_asked_, [](const auto& asked) { return asked.open.empty(); });
      },
      [](runtime::peer_up_atom, const std::string&) {},
      [this](runtime::peer_down_atom, const std::string& node, const std::string&) { on_peer_down(node); },
      [this](runtime::tick_atom) { on_tick(); },
      [this](replicas_tick_atom) { tick_shards(); },
      [this](flush_atom) {
        flush_pending_ = false;
        send_to_replicas();
        flush_streams();
      },
  };
}

store::placement_event store_node::placement_of(store::slot_id slot) const {
  if (placement_)
    return {placement_->slots[slot], true, placement_->move_of(slot) != nullptr};
  const auto copies = std::min(settings_.replicas, settings_.ring->nodes().size());
  return {*settings_.ring->owners(slot, copies), is_placed_, false};
}

void store_node::start(messages::loaded_slots& loaded) {
  incarnation_ = loaded.incarnation;
  for (auto& [slot, recovered] : loaded.slots)
    if (slot < shards_.size())
      spawn_shard(slot, std::move(recovered));
  ready_ = true;
  if (is_placed_)
    on_placed({placement_});
  tick_shards();
  arm_tick();
}

void store_node::spawn_shard(store::slot_id slot, store::recovered_slot recovered) {
  auto options = settings_.replica;
  // One copy is all there can be on one node; from two on, a write that only one disk has is not acknowledged.
  options.min_isr = std::min<std::size_t>(2, std::min(settings_.replicas, settings_.ring->nodes().size()));
  // Backups of one slot do not all try at once, and a node's slots do not either.
  options.take_over_after += std::chrono::milliseconds{hash_text(transport_.node, slot) % 300};
  slots_.insert(std::ranges::lower_bound(slots_, slot), slot);
  states_[slot].keys = recovered.state.image.entries.size();
  const shard_surroundings around{caf::actor_cast<caf::actor>(this), log_, engine_, register_, backlog_};
  store::replica replica{slot, {transport_.node, incarnation_}, options, std::move(recovered)};
  shards_[slot] = spawn<shard_actor, caf::linked>(slot, std::move(replica), placement_of(slot), around);
}

/// Slots that come here begin empty and ask their primaries; those that have gone stay as they were, at rest, and go on
/// from there when they come back.
void store_node::on_placed(const messages::placed& decided) {
  if (decided.where && decided.where->slots.size() != shards_.size())
    return note_error("a placement of another number of slots");
  placement_ = decided.where;
  is_placed_ = true;
  if (!ready_)
    return;
  for (store::slot_id slot = 0; slot < shards_.size(); ++slot) {
    auto where = placement_of(slot);
    if (holds(slot))
      to_shard(slot, std::move(where));
    else if (std::ranges::count(where.desired, transport_.node) > 0)
      spawn_shard(slot, {});
  }
}

caf::response_promise store_node::on_views(const messages::views_request& asked) {
  auto promise = make_response_promise();
  std::set<store::slot_id> open{asked.fresh.begin(), asked.fresh.end()};
  for (store::slot_id slot = 0; slot < views_.size(); ++slot)
    if (!views_[slot] || views_[slot]->version == 0)
      open.insert(slot);
  if (open.empty()) {
    promise.deliver(messages::views_known{views_});
    return promise;
  }
  for (const auto slot : open)
    send(register_, messages::register_read{slot});
  views_asked_.push_back({promise, std::move(open)});
  return promise;
}

void store_node::learn_view(store::slot_id slot, const store::register_value& value) {
  if (auto& known = views_[slot]; !known || known->version < value.version)
    known = value;
}

void store_node::tick_shards() {
  for (const auto slot : slots_)
    to_shard(slot, store::tick_event{now()});
  delayed_send(this, settings_.tick, replicas_tick_atom_v);
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
    if (!holds(slot)) {
      if (std::ranges::find(joined.faults, slot, &store::slot_fault::slot) == joined.faults.end())
        joined.faults.push_back(
            {slot, store_error::unavailable, views_[slot] ? views_[slot]->view.primary.node : store::node_name{}});
      continue;
    }
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
  joined.results.resize(decoded->size());
  if (parts.empty())
    return frame(frame_kind::batch_reply,
                 store::node_batch_reply{store::batch_outcome{std::move(joined.results), std::move(joined.faults)}});
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
  if (!ready_ || !serves(decoded->slot))
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

// Leases. What an entry hangs on is in its slot, and so on every replica; the book here says which leases a batch may
// name, and which slots hold what.

store_node::answer store_node::on_lease(byte_view body) {
  const auto decoded = store::decode_lease_request(body);
  if (!decoded)
    return runtime::make_error(runtime::transport_errc::malformed);
  const auto reply = [](store::node_lease_reply value) { return frame(frame_kind::lease_reply, value); };
  if (!ready_)
    return reply({unexpected{store_error::unavailable}, {}});
  joined_lease joined;
  for (const auto slot : slots_)
    if (serves(slot))
      joined.slots.insert(slot);
  const auto holders = leases_.holders(decoded->lease);
  switch (decoded->action) {
  case store::lease_action::grant: leases_.grant(decoded->lease, decoded->ttl, now()); break;
  case store::lease_action::renew:
    if (!leases_.renew(decoded->lease, now()))
      return reply({unexpected{store_error::no_such_lease}, {joined.slots.begin(), joined.slots.end()}});
    break;
  case store::lease_action::revoke: leases_.revoke(decoded->lease); break;
  }
  arm_tick();
  if (holders.empty())
    return reply(lease_answer(joined));
  const auto request = next_id_++;
  joined.open = holders.size();
  joined.promise = make_response_promise();
  const auto promise = joined.promise;
  renewals_.emplace(request, std::move(joined));
  for (const auto slot : holders) {
    if (decoded->action == store::lease_action::revoke)
      to_shard(slot, store::revoke_lease_event{request, decoded->lease});
    else
      to_shard(slot, store::renew_leases_event{request, {{decoded->lease, decoded->ttl}}});
  }
  return promise;
}

store::node_lease_reply store_node::lease_answer(const joined_lease& lease) const {
  return {lease.ended ? store::lease_reply{unexpected{store_error::no_such_lease}} : store::lease_reply{},
          {lease.slots.begin(), lease.slots.end()}};
}

void store_node::finish_part(store::request_id request, joined_lease& lease) {
  if (--lease.open > 0)
    return;
  lease.promise.deliver(frame(frame_kind::lease_reply, lease_answer(lease)));
  renewals_.erase(request);
}

/// A read first, which only the primary can answer: the copy that follows is of a later moment.
caf::response_promise store_node::on_snapshot(const messages::snapshot_slot& asked) {
  auto promise = make_response_promise();
  if (!ready_ || !serves(asked.slot)) {
    promise.deliver(messages::slot_snapshot{});
    return promise;
  }
  const auto request = next_id_++;
  snapshots_.emplace(request, promise);
  to_shard(asked.slot, store::scan_event{request, store::table::catalogue, {}, {}, 1});
  return promise;
}

void store_node::on_cast(const std::string& from, const runtime::wire_message& message) {
  if (static_cast<frame_kind>(message.kind) == frame_kind::replica_messages)
    return on_replica_messages(from, message.view());
  if (static_cast<frame_kind>(message.kind) == frame_kind::register_request) {
    // The embedded register tells of a change.
    auto change = store::decode_register_request(message.view());
    if (!change || !change->wanted)
      return note_error("a malformed notice of the register from " + from);
    messages::register_changed known{change->slot, {change->expected, std::move(*change->wanted)}};
    return on_register_change(known);
  }
  if (static_cast<frame_kind>(message.kind) != frame_kind::watch_cancel)
    return note_error("a cast of kind " + std::to_string(message.kind) + " from " + from);
  const auto cancel = store::decode_watch_cancel(message.view());
  if (!cancel)
    return note_error("a malformed watch_cancel from " + from);
  if (const auto at = stream_ids_.find({from, cancel->subscription}); at != stream_ids_.end())
    end_stream(at->second);
}

void store_node::on_replica_messages(const std::string& from, byte_view body) {
  auto decoded = store::decode_replica_messages(body);
  if (!decoded)
    return note_error("malformed replica_messages from " + from);
  if (!ready_)
    return;
  std::map<store::slot_id, messages::shard_input> inputs;
  for (auto& message : *decoded) {
    if (message.from.node != from)
      return note_error(from + " speaks for " + message.from.node);
    if (holds(message.slot))
      inputs[message.slot].events.emplace_back(std::move(message));
  }
  for (auto& [slot, input] : inputs)
    send(shards_[slot], std::move(input));
}

void store_node::on_register_change(messages::register_changed& change) {
  if (change.slot < views_.size())
    learn_view(change.slot, change.value);
  if (holds(change.slot))
    to_shard(change.slot, store::register_changed_event{std::move(change.value)});
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
  auto& state = states_[output.slot];
  if (output.view)
    learn_view(output.slot, *output.view);
  if (!output.failure.empty() && state.failure.empty())
    spdlog::error("slot {} is out: {}", output.slot, output.failure);
  state = {output.keys, output.serving, output.current, output.whole, std::move(output.failure)};
  for (auto& action : output.actions)
    std::visit([&](auto& concrete) { handle(output.slot, concrete); }, action);
}

void store_node::handle(store::slot_id slot, store::reply_action& action) {
  if (const auto lease = renewals_.find(action.request); lease != renewals_.end()) {
    lease->second.ended |= std::ranges::any_of(
        action.results, [](const auto& result) { return result.code == store::op_code::no_such_lease; });
    return finish_part(action.request, lease->second);
  }
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
  refuse(action.request, {slot, action.why, {}});
}

void store_node::handle(store::slot_id slot, store::redirect_action& action) {
  refuse(action.request, {slot, store_error::unavailable, action.primary.value_or("")});
}

void store_node::refuse(store::request_id request, store::slot_fault fault) {
  const auto slot = fault.slot;
  if (const auto batch = batches_.find(request); batch != batches_.end()) {
    batch->second.faults.push_back(std::move(fault));
    finish_part(request, slot, batch->second);
  } else if (const auto lease = renewals_.find(request); lease != renewals_.end()) {
    lease->second.slots.erase(slot);
    finish_part(request, lease->second);
  } else if (auto scan = scans_.extract(request)) {
    scan.mapped().promise.deliver(frame(frame_kind::scan_reply, store::scan_reply{unexpected{fault.why}}));
  } else if (auto snapshot = snapshots_.extract(request)) {
    snapshot.mapped().deliver(messages::slot_snapshot{});
  }
}

void store_node::handle(store::slot_id, store::send_action& action) {
  outgoing_[action.message.to.node].push_back(std::move(action.message));
  // Behind what other shards have already sent: that makes one frame of it.
  if (!std::exchange(flush_pending_, true))
    send(this, flush_atom_v);
}

void store_node::send_to_replicas() {
  for (auto& [node, messages] : std::exchange(outgoing_, {})) {
    std::vector<store::replica_message> group;
    std::size_t size = 0;
    const auto send_frame = [&] {
      // What is lost, replicas send again.
      (void)runtime::cast(this, transport_, {node, std::string{store_node_name}},
                          frame(frame_kind::replica_messages, group));
      group.clear();
      size = 0;
    };
    for (auto& message : messages) {
      const auto bytes = payload_bytes(message);
      if (!group.empty() && size + bytes > replica_frame_bytes)
        send_frame();
      size += bytes;
      group.push_back(std::move(message));
    }
    if (!group.empty())
      send_frame();
  }
}

void store_node::finish_part(store::request_id request, store::slot_id slot, joined_batch& batch) {
  if (settings_.meters)
    settings_.meters->record(slot, batch.parts.at(slot).kinds, now() - batch.came);
  if (--batch.open > 0)
    return;
  auto reply = frame(frame_kind::batch_reply,
                     store::node_batch_reply{store::batch_outcome{std::move(batch.results), std::move(batch.faults)}});
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
  if (auto confirmed = snapshots_.extract(action.request)) {
    confirmed.mapped().delegate(shards_[slot], messages::snapshot_slot{slot});
    return;
  }
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
  const auto next = static_cast<store::slot_id>(slot + 1);
  // Order is by slot, whoever has it: on to the next one while this node is its primary, too.
  if (!action.more && !full && serves(next)) {
    scan.request.slot = next;
    scan.request.after.clear();
    return walk_on(action.request, scan);
  }
  if (action.more) {
    scan.page.more = true;
    scan.page.slot = slot;
    scan.page.after = scan.page.entries.back().key;
  } else if (next < shards_.size()) {
    scan.page.more = true;
    scan.page.slot = next;
  }
  scan.promise.deliver(frame(frame_kind::scan_reply, store::scan_reply{std::move(scan.page)}));
  scans_.erase(at);
}

void store_node::handle(store::slot_id slot, store::lease_attached_action& action) {
  leases_.attached(slot, action.lease);
  arm_tick();
}

void store_node::handle(store::slot_id slot, store::lease_detached_action& action) {
  leases_.detached(slot, action.lease);
}

void store_node::to_shard(store::slot_id slot, store::replica_event event) {
  messages::shard_input input;
  input.events.push_back(std::move(event));
  send(shards_[slot], std::move(input));
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
  log_ = engine_ = register_ = {};
  shards_.clear();
  batches_.clear();
  renewals_.clear();
  scans_.clear();
  snapshots_.clear();
  views_asked_.clear();
}

runtime::state_entries store_node::state_summary() const {
  std::size_t keys = 0, primaries = 0, current = 0, whole = 0, failed = 0;
  std::string why;
  for (const auto& slot : states_) {
    primaries += slot.serving;
    keys += slot.serving ? slot.keys : 0;
    current += slot.current;
    whole += slot.whole;
    failed += !slot.failure.empty();
    if (why.empty())
      why = slot.failure;
  }
  return {{"ready", ready_ && failed == 0 ? "true" : "false"},
          {"slots", std::to_string(primaries)},
          {"replicas", std::to_string(slots_.size())},
          {"current", std::to_string(current)},
          {"whole", std::to_string(whole)},
          {"copies", std::to_string(std::min(settings_.replicas, settings_.ring->nodes().size()))},
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
          {"disk", failed == 0 ? "ok" : "failed: " + why}};
}

} // namespace glocal::actors
