#include "actors/store/store_client.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::frame_kind;
using store::store_error;

namespace {

/// What a transport error means to a caller of the store, and whether the request may have been carried out.
struct failed_attempt {
  store_error why;
  bool may_have_happened, retry;
};

failed_attempt classify(const caf::error& fault) {
  using runtime::transport_errc;
  switch (runtime::as_transport_error(fault)) {
  case transport_errc::timeout: return {store_error::timeout, true, true};
  case transport_errc::peer_gone: return {store_error::unavailable, true, true};
  case transport_errc::unreachable:
  case transport_errc::no_such_actor: return {store_error::unavailable, false, true};
  case transport_errc::overloaded: return {store_error::overloaded, false, true};
  case transport_errc::too_large: return {store_error::too_large, false, false};
  case transport_errc::refused:
  case transport_errc::malformed: break;
  }
  return {store_error::invalid, true, false};
}

[[nodiscard]] bool worth_a_retry(store_error why) {
  return why == store_error::unavailable || why == store_error::overloaded || why == store_error::timeout;
}

/// The error a node answered with, none when it answered otherwise or nothing readable.
template <class Reply>
std::optional<store_error> refusal_of(const expected<Reply, store_error>& decoded) {
  return decoded && !*decoded ? std::optional{decoded->error()} : std::nullopt;
}

/// The value a conditional write wanted to be there; null for other operations.
const std::string* wanted_value(const store::operation& op) {
  if (const auto* put = std::get_if<store::put_if_absent_op>(&op))
    return &put->value;
  if (const auto* set = std::get_if<store::compare_and_set_op>(&op))
    return &set->value;
  return nullptr;
}

} // namespace

/// A page that is collected node by node.
struct store_client::running_scan {
  caf::response_promise promise;
  messages::scan asked;
  std::size_t node = 0;
  store::scan_position at;
  store::scan_page page;
  std::size_t bytes = 0;
  store::timestamp deadline;
};

/// A lease request at all nodes.
struct store_client::lease_call {
  caf::response_promise promise;
  messages::lease asked;
  std::size_t open = 0;
  std::optional<store_error> fault;
  store::timestamp deadline;
};

store_client::store_client(caf::actor_config& config, store_client_settings settings, runtime::transport transport)
    : runtime::observed_actor{config, "store client", std::string{store_client_name}}, settings_{std::move(settings)},
      transport_{std::move(transport)},
      lanes_(settings_.ring->nodes().size()), watches_{*this, transport_, settings_.ring, settings_.silence_limit,
                                                       settings_.attempt_timeout} {}

caf::behavior store_client::make_behavior() {
  runtime::subscribe_peers(this, transport_);
  set_down_handler([this](const caf::down_msg& down) { watches_.close_all(down.source.id()); });
  return {
      [this](messages::execute& request) { return execute(request); },
      [this](messages::scan& request) { return scan(request); },
      [this](const messages::lease& request) { return lease(request); },
      [this](const messages::watch_open& request) {
        watches_.open(caf::actor_cast<caf::actor>(current_sender()), request);
      },
      [this](const messages::watch_close& request) { watches_.close(request.watcher, request.id); },
      [this](runtime::wire_cast_atom, const std::string& from, const runtime::wire_message& message) {
        if (static_cast<frame_kind>(message.kind) == frame_kind::watch_events) {
          if (auto events = store::decode_watch_events(message.view()))
            return watches_.on_events(from, std::move(*events));
        } else if (static_cast<frame_kind>(message.kind) == frame_kind::watch_progress) {
          if (const auto progress = store::decode_watch_progress(message.view()))
            return watches_.on_progress(from, *progress);
        }
        note_error("a malformed frame of kind " + std::to_string(message.kind) + " from " + from);
      },
      [this](runtime::peer_up_atom, const std::string& node) {
        for (std::size_t i = 0; i < lanes_.size(); ++i)
          if (settings_.ring->nodes()[i].name == node)
            lanes_[i].not_before = {};
        wake_flush();
        watches_.on_peer_up(node);
      },
      [this](runtime::peer_down_atom, const std::string& node, const std::string&) { watches_.on_peer_down(node); },
      [this](runtime::tick_atom) { watches_.on_tick(); },
      [this](flush_atom) {
        flush_pending_ = false;
        flush();
      },
      [](const messages::run& later) { later.what(); },
  };
}

// Batches.

caf::response_promise store_client::execute(messages::execute& request) {
  auto promise = make_response_promise();
  auto fault = check(request.operations);
  if (!fault && open_operations_ + request.operations.size() > settings_.max_open_operations)
    fault = store_error::overloaded;
  if (fault || request.operations.empty()) {
    auto reply = fault ? store::batch_reply{unexpected{*fault}} : store::batch_reply{std::vector<store::op_result>{}};
    promise.deliver(messages::executed{std::move(reply)});
    return promise;
  }
  auto owner = std::make_shared<call>();
  owner->promise = promise;
  owner->open = request.operations.size();
  owner->results.resize(owner->open);
  owner->started = now();
  owner->deadline = owner->started + request.within;
  ++calls_;
  operations_ += owner->open;
  open_operations_ += owner->open;
  for (std::size_t i = 0; i < request.operations.size(); ++i) {
    auto& op = request.operations[i];
    const auto slot = store::slot_of(table_of(op), key_of(op), settings_.ring->slot_count());
    lanes_[settings_.ring->primary(slot)].queue.push_back({owner, i, std::move(op), false});
  }
  wake_flush();
  return promise;
}

void store_client::wake_flush(std::chrono::milliseconds after) {
  if (after.count() > 0)
    return delayed_send(this, after, flush_atom_v);
  // Behind what other callers have already sent: it goes into the same frames.
  if (!std::exchange(flush_pending_, true))
    send(this, flush_atom_v);
}

void store_client::flush() {
  for (std::size_t node = 0; node < lanes_.size(); ++node) {
    auto& lane = lanes_[node];
    while (!lane.queue.empty() && lane.flights < settings_.max_flights && lane.not_before <= now())
      send_flight(node);
  }
}

void store_client::send_flight(std::size_t node) {
  auto& lane = lanes_[node];
  const auto items = std::make_shared<std::vector<item>>();
  store::batch operations;
  std::size_t bytes = 0;
  auto deadline = store::timestamp::max();
  while (!lane.queue.empty() && operations.size() < store::limits::batch_operations) {
    auto& next = lane.queue.front();
    bytes += payload_bytes(next.op);
    if (bytes > store::limits::batch_bytes && !operations.empty())
      break;
    if (next.owner->deadline <= now()) {
      bytes -= payload_bytes(next.op);
      fail(next, next.repeated ? store_error::timeout : store_error::unavailable);
    } else {
      deadline = std::min(deadline, next.owner->deadline);
      operations.push_back(next.op);
      items->push_back(std::move(next));
    }
    lane.queue.pop_front();
  }
  if (operations.empty())
    return;
  ++lane.flights;
  ++frames_;
  runtime::request(
      this, transport_, address_of(node),
      runtime::make_message(static_cast<std::uint16_t>(frame_kind::batch_request), store::encode(operations)),
      attempt_time(deadline))
      .then([this, node, items](const runtime::wire_message& reply) { land(node, items, reply); },
            [this, node, items](const caf::error& fault) {
              const auto attempt = classify(fault);
              --lanes_[node].flights;
              if (attempt.retry)
                return crash(node, items, attempt.why, attempt.may_have_happened);
              for (auto& one : *items)
                fail(one, attempt.why);
              wake_flush();
            });
}

void store_client::land(std::size_t node, const flight& items, const runtime::wire_message& reply) {
  --lanes_[node].flights;
  wake_flush();
  auto decoded = store::decode_batch_reply(reply.view());
  const bool sound = static_cast<frame_kind>(reply.kind) == frame_kind::batch_reply && decoded &&
                     (!*decoded || (*decoded)->size() == items->size());
  if (sound && !*decoded && worth_a_retry(decoded->error()))
    return crash(node, items, decoded->error(), false);
  for (std::size_t i = 0; i < items->size(); ++i) {
    if (!sound || !*decoded)
      fail((*items)[i], sound ? decoded->error() : store_error::invalid);
    else
      finish((*items)[i], std::move((**decoded)[i]));
  }
}

void store_client::crash(std::size_t node, const flight& items, store_error why, bool may_have_happened) {
  auto& lane = lanes_[node];
  const auto again = now() + settings_.retry_pause;
  // From the back, so that what is repeated keeps its order at the front of the queue.
  for (auto one = items->rbegin(); one != items->rend(); ++one) {
    one->repeated |= may_have_happened;
    if (is_volatile(table_of(one->op)) || one->owner->deadline <= again) {
      fail(*one, one->repeated && why == store_error::timeout ? store_error::timeout : why);
      continue;
    }
    ++retries_;
    lane.queue.push_front(std::move(*one));
  }
  if (lane.queue.empty())
    return;
  lane.not_before = again;
  wake_flush(settings_.retry_pause);
}

void store_client::finish(item& one, store::op_result result) {
  const auto* wanted = wanted_value(one.op);
  // Our own first attempt won, only its answer was lost.
  if (one.repeated && wanted != nullptr && result.code == store::op_code::conflict && result.found &&
      result.found->value == *wanted && result.found->lease == lease_of(one.op))
    result.code = store::op_code::ok;
  one.owner->results[one.place] = std::move(result);
  settle(*one.owner);
}

void store_client::fail(item& one, store_error why) {
  one.owner->fault = why;
  settle(*one.owner);
}

void store_client::settle(call& done) {
  --open_operations_;
  if (--done.open > 0)
    return;
  latency_.record(static_cast<std::uint64_t>(std::chrono::nanoseconds{now() - done.started}.count()));
  if (done.fault) {
    ++failures_;
    done.promise.deliver(messages::executed{store::batch_reply{unexpected{*done.fault}}});
  } else {
    done.promise.deliver(messages::executed{store::batch_reply{std::move(done.results)}});
  }
}

// Scans.

caf::response_promise store_client::scan(messages::scan& request) {
  auto promise = make_response_promise();
  const auto position = store::decode_position(request.continuation);
  const auto refuse = [&](store_error why) {
    promise.deliver(messages::scanned{unexpected{why}});
    return promise;
  };
  if (!position || position->slot >= settings_.ring->slot_count())
    return refuse(store_error::invalid);
  if (request.prefix.size() > store::limits::key_bytes)
    return refuse(store_error::too_large);
  auto scan = std::make_shared<running_scan>();
  scan->promise = promise;
  scan->asked = std::move(request);
  if (scan->asked.limit == 0 || scan->asked.limit > store::limits::scan_page_entries)
    scan->asked.limit = store::limits::scan_page_entries;
  scan->deadline = now() + scan->asked.within;
  scan->at = *position;
  if (scan->asked.continuation.empty())
    scan->at.slot = *first_slot_from(0);
  scan->node = settings_.ring->primary(scan->at.slot);
  scan_node(scan);
  return promise;
}

void store_client::scan_node(const std::shared_ptr<running_scan>& scan) {
  const store::scan_request request{scan->asked.from, scan->asked.prefix,
                                    static_cast<std::uint32_t>(scan->asked.limit - scan->page.entries.size()),
                                    scan->at.slot, scan->at.after};
  const auto finish = [scan] { scan->promise.deliver(messages::scanned{std::move(scan->page)}); };
  const auto refuse = [scan](store_error why) { scan->promise.deliver(messages::scanned{unexpected{why}}); };
  const auto body = std::make_shared<const bytes>(store::encode(request));
  ask(
      scan->node, frame_kind::scan_request, body, scan->deadline,
      [this, scan, finish, refuse](const runtime::wire_message& reply) {
        auto part = store::decode_scan_reply(reply.view());
        if (!part || !*part)
          return refuse(store_error::invalid);
        for (auto& row : (*part)->entries) {
          scan->bytes += payload_bytes(row);
          scan->page.entries.push_back(std::move(row));
        }
        if ((*part)->more) {
          scan->page.continuation = store::encode_position({(*part)->slot, (*part)->after});
          return finish();
        }
        const auto next = first_slot_from(scan->node + 1);
        if (!next)
          return finish();
        scan->node = settings_.ring->primary(*next);
        scan->at = {*next, {}};
        if (scan->page.entries.size() < scan->asked.limit && scan->bytes < store::limits::scan_page_bytes)
          return scan_node(scan);
        scan->page.continuation = store::encode_position(scan->at);
        finish();
      },
      refuse);
}

std::optional<store::slot_id> store_client::first_slot_from(std::size_t node) const {
  for (; node < settings_.ring->nodes().size(); ++node)
    if (const auto slots = settings_.ring->primary_slots(settings_.ring->nodes()[node].name); !slots.empty())
      return slots.front();
  return std::nullopt;
}

// Leases.

caf::response_promise store_client::lease(const messages::lease& request) {
  auto promise = make_response_promise();
  const bool grant = request.action == store::lease_action::grant;
  if (request.id == 0 ||
      (grant && (request.ttl < store::limits::shortest_ttl || request.ttl > store::limits::longest_ttl))) {
    promise.deliver(messages::leased{unexpected{store_error::invalid}});
    return promise;
  }
  auto& known = leases_[request.id];
  if (grant)
    known = {request.ttl, {}};
  known.renewed.resize(lanes_.size());
  auto running = std::make_shared<lease_call>();
  running->promise = promise;
  running->asked = request;
  running->deadline = now() + request.within;
  running->open = lanes_.size();
  for (std::size_t node = 0; node < lanes_.size(); ++node)
    lease_node(running, node, request.action);
  return promise;
}

void store_client::lease_node(const std::shared_ptr<lease_call>& lease, std::size_t node, store::lease_action action) {
  const auto id = lease->asked.id;
  const auto& known = leases_[id];
  const auto sent = now();
  const auto ttl = action == store::lease_action::grant ? known.ttl : std::chrono::milliseconds{};
  const auto body = std::make_shared<const bytes>(store::encode(store::lease_request{id, ttl, action}));
  ask(
      node, frame_kind::lease_request, body, lease->deadline,
      [this, lease, node, action, id, sent](const runtime::wire_message& reply) {
        const auto answered = store::decode_lease_reply(reply.view());
        if (!answered)
          return settle(*lease, node, store_error::invalid);
        const auto known = leases_.find(id);
        if (*answered) {
          if (known != leases_.end() && action != store::lease_action::revoke)
            known->second.renewed[node] = sent;
          return settle(*lease, node, std::nullopt);
        }
        // The node can't have let it run out yet: it was restarted and has no entry that hangs on it. Had it any, it
        // would have found the lease with them.
        if (answered->error() == store_error::no_such_lease && known != leases_.end() && known->second.renewed[node] &&
            sent - *known->second.renewed[node] < known->second.ttl)
          return lease_node(lease, node, store::lease_action::grant);
        settle(*lease, node, answered->error());
      },
      [this, lease, node](store_error why) { settle(*lease, node, why); });
}

void store_client::settle(lease_call& lease, std::size_t, std::optional<store_error> fault) {
  // "It ran out" is what the owner must act on; that a node did not answer says less.
  if (fault && lease.fault != store_error::no_such_lease)
    lease.fault = fault;
  if (--lease.open > 0)
    return;
  if (lease.asked.action == store::lease_action::revoke || lease.fault == store_error::no_such_lease)
    leases_.erase(lease.asked.id);
  lease.promise.deliver(
      messages::leased{lease.fault ? store::lease_reply{unexpected{*lease.fault}} : store::lease_reply{}});
}

// Requests.

void store_client::ask(std::size_t node, frame_kind kind, const shared_bytes& body, store::timestamp deadline,
                       const std::function<void(const runtime::wire_message&)>& then,
                       const std::function<void(store_error)>& otherwise) {
  ++frames_;
  const auto retry = [this, node, kind, body, deadline, then, otherwise](store_error why) {
    if (now() + settings_.retry_pause >= deadline)
      return otherwise(why);
    ++retries_;
    delayed_send(this, settings_.retry_pause, messages::run{[this, node, kind, body, deadline, then, otherwise] {
                   ask(node, kind, body, deadline, then, otherwise);
                 }});
  };
  runtime::request(this, transport_, address_of(node),
                   runtime::wire_message{static_cast<std::uint16_t>(kind), runtime::shared_slice{body}},
                   attempt_time(deadline))
      .then(
          [kind, retry, then](const runtime::wire_message& reply) {
            // Every store reply to these begins as an error or not; a node that is starting says unavailable.
            const auto fault = kind == frame_kind::scan_request ? refusal_of(store::decode_scan_reply(reply.view()))
                                                                : refusal_of(store::decode_lease_reply(reply.view()));
            if (fault && worth_a_retry(*fault))
              return retry(*fault);
            then(reply);
          },
          [retry, otherwise](const caf::error& fault) {
            const auto attempt = classify(fault);
            attempt.retry ? retry(attempt.why) : otherwise(attempt.why);
          });
}

store::timestamp store_client::now() const {
  return system().clock().now();
}

std::chrono::milliseconds store_client::attempt_time(store::timestamp deadline) const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now());
  return std::clamp(left, std::chrono::milliseconds{1}, settings_.attempt_timeout);
}

runtime::address store_client::address_of(std::size_t node) const {
  return {settings_.ring->nodes()[node].name, std::string{store_node_name}};
}

void store_client::on_exit() {
  lanes_.clear();
  watches_.forget_all();
}

runtime::state_entries store_client::state_summary() const {
  const auto microseconds = [this](double q) { return std::to_string(latency_.quantile(q) / 1000); };
  const auto& watches = watches_.count();
  return {{"calls", std::to_string(calls_)},
          {"operations", std::to_string(operations_)},
          {"open_operations", std::to_string(open_operations_)},
          {"frames", std::to_string(frames_)},
          {"retries", std::to_string(retries_)},
          {"failures", std::to_string(failures_)},
          {"latency_p50_us", microseconds(0.5)},
          {"latency_p99_us", microseconds(0.99)},
          {"watches", std::to_string(watches_.size())},
          {"watches_not_live", std::to_string(watches_.suspect_count())},
          {"watch_events", std::to_string(watches.events)},
          {"streams_lost", std::to_string(watches.streams_lost)},
          {"resyncs", std::to_string(watches.resyncs)}};
}

} // namespace glocal::actors
