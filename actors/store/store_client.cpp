#include "actors/store/store_client.hpp"

#include <algorithm>
#include <set>
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

/// The value a conditional write wanted to be there; null for other operations.
const std::string* wanted_value(const store::operation& op) {
  if (const auto* put = std::get_if<store::put_if_absent_op>(&op))
    return &put->value;
  if (const auto* set = std::get_if<store::compare_and_set_op>(&op))
    return &set->value;
  return nullptr;
}

} // namespace

/// A page that is collected slot by slot, as far as each node goes.
struct store_client::running_scan {
  caf::response_promise promise;
  messages::scan asked;
  store::scan_position at;
  store::scan_page page;
  std::size_t bytes = 0;
  std::size_t attempts = 0;
  store::timestamp deadline;
};

/// A lease request at all nodes, in rounds, until each slot's primary has answered.
struct store_client::lease_call {
  caf::response_promise promise;
  messages::lease asked;
  store::lease_action action{};
  std::chrono::milliseconds ttl{};
  std::set<store::slot_id> missing;
  std::size_t open = 0;
  bool ended = false;
  std::optional<store_error> fault;
  store::timestamp sent, deadline;
};

store_client::store_client(caf::actor_config& config, store_client_settings settings, runtime::transport transport)
    : runtime::observed_actor{config, "store client", std::string{store_client_name}}, settings_{std::move(settings)},
      transport_{std::move(transport)},
      lanes_(settings_.ring->nodes().size()), routes_{first_routes()}, watches_{*this,
                                                                                transport_,
                                                                                settings_.ring,
                                                                                hosts(),
                                                                                [this] { refresh_placement(); },
                                                                                settings_.silence_limit,
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
            lanes_[i].failed.reset();
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
    lanes_[node_of(slot)].queue.push_back({owner, i, std::move(op), slot});
  }
  wake_flush();
  return promise;
}

void store_client::wake_flush() {
  // Behind what other callers have already sent: it goes into the same frames.
  if (!std::exchange(flush_pending_, true))
    send(this, flush_atom_v);
}

void store_client::flush() {
  for (std::size_t node = 0; node < lanes_.size(); ++node) {
    auto& lane = lanes_[node];
    while (!lane.queue.empty() && lane.flights < settings_.max_flights)
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
                     (!*decoded || (*decoded)->results.size() == items->size());
  if (sound && !*decoded && worth_a_retry(decoded->error()))
    return crash(node, items, decoded->error(), false);
  if (!sound || !*decoded) {
    for (auto& one : *items)
      fail(one, sound ? decoded->error() : store_error::invalid);
    return;
  }
  auto& outcome = **decoded;
  lanes_[node].failed.reset();
  struct verdict {
    store_error why;
    bool at_once;
  };
  std::map<store::slot_id, verdict> elsewhere;
  for (const auto& fault : outcome.faults)
    elsewhere[fault.slot] = {fault.why,
                             fault.why == store_error::unavailable && redirect(fault.slot, node, fault.primary)};
  for (std::size_t i = 0; i < items->size(); ++i) {
    auto& one = (*items)[i];
    const auto fault = elsewhere.find(one.slot);
    if (fault == elsewhere.end()) {
      finish(std::move(one), std::move(outcome.results[i]), node);
      continue;
    }
    one.repeated |= fault->second.why == store_error::timeout;
    again(std::move(one), fault->second.why, fault->second.at_once);
  }
}

void store_client::crash(std::size_t node, const flight& items, store_error why, bool may_have_happened) {
  wake_flush();
  if (why != store_error::overloaded) {
    lanes_[node].failed = now();
    for (const auto& one : *items)
      move_on(one.slot, node);
  }
  for (auto& one : *items) {
    one.repeated |= may_have_happened;
    again(std::move(one), why, false);
  }
}

void store_client::again(item&& one, store_error why, bool at_once) {
  // After a few redirections in a row nobody knows better: wait for it.
  at_once = at_once && ++one.redirects % 4 != 0;
  const bool lost = is_volatile(table_of(one.op)) && !std::holds_alternative<store::get_op>(one.op);
  if (lost || one.owner->deadline <= now() + (at_once ? std::chrono::milliseconds{0} : settings_.retry_pause))
    return fail(one, one.repeated ? store_error::timeout : why);
  ++retries_;
  if (at_once) {
    lanes_[node_of(one.slot)].queue.push_back(std::move(one));
    return wake_flush();
  }
  paused_.push_back(std::move(one));
  if (!std::exchange(pause_armed_, true))
    later([this] {
      pause_armed_ = false;
      for (auto& each : std::exchange(paused_, {}))
        lanes_[node_of(each.slot)].queue.push_back(std::move(each));
      wake_flush();
    });
}

void store_client::later(std::function<void()> what) {
  delayed_send(this, settings_.retry_pause, messages::run{std::move(what)});
}

void store_client::finish(item&& one, store::op_result result, std::size_t node) {
  routes_[one.slot].in_vain = 0;
  const auto* wanted = wanted_value(one.op);
  if (one.repeated && wanted != nullptr && result.code == store::op_code::conflict) {
    if (result.found && result.found->value == *wanted && result.found->lease == lease_of(one.op))
      result.code = store::op_code::ok; // our own first attempt won, only its answer was lost
    else if (!is_write_once(table_of(one.op)))
      return fail(one, store_error::timeout); // that, too, may have won, and somebody has changed it since
  }
  if (result.code == store::op_code::no_such_lease && !one.regranted && fresh(lease_of(one.op)))
    return regrant(std::move(one), node);
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
  scan_node(scan);
  return promise;
}

void store_client::scan_node(const std::shared_ptr<running_scan>& scan) {
  const auto node = node_of(scan->at.slot);
  const store::scan_request request{scan->asked.from, scan->asked.prefix,
                                    static_cast<std::uint32_t>(scan->asked.limit - scan->page.entries.size()),
                                    scan->at.slot, scan->at.after};
  const auto finish = [scan] { scan->promise.deliver(messages::scanned{std::move(scan->page)}); };
  const auto refuse = [scan](store_error why) { scan->promise.deliver(messages::scanned{unexpected{why}}); };
  const auto retry = [this, scan, node, refuse](store_error why) {
    move_on(scan->at.slot, node);
    if (now() + settings_.retry_pause >= scan->deadline)
      return refuse(why);
    ++retries_;
    // Each of the slot's nodes at once, then a pause.
    if (++scan->attempts % routes_[scan->at.slot].hosts.size() != 0)
      return scan_node(scan);
    later([this, scan] { scan_node(scan); });
  };
  ask(
      node, frame_kind::scan_request, store::encode(request), scan->deadline,
      [this, scan, finish, refuse, retry](const runtime::wire_message& reply) {
        auto part = store::decode_scan_reply(reply.view());
        if (!part)
          return refuse(store_error::invalid);
        if (!*part)
          return worth_a_retry(part->error()) ? retry(part->error()) : refuse(part->error());
        scan->attempts = 0;
        routes_[scan->at.slot].in_vain = 0;
        for (auto& row : (*part)->entries) {
          scan->bytes += payload_bytes(row);
          scan->page.entries.push_back(std::move(row));
        }
        if (!(*part)->more)
          return finish();
        const bool moved = (*part)->slot > scan->at.slot || !(*part)->entries.empty();
        if (!moved || (*part)->slot >= routes_.size())
          return refuse(store_error::invalid);
        scan->at = {(*part)->slot, (*part)->after};
        // It ended before the page was full: the next slot is another node's.
        if (scan->at.after.empty() && scan->page.entries.size() < scan->asked.limit &&
            scan->bytes < store::limits::scan_page_bytes)
          return scan_node(scan);
        scan->page.continuation = store::encode_position(scan->at);
        finish();
      },
      [retry, refuse](store_error why, bool again) { again ? retry(why) : refuse(why); });
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
  auto running = std::make_shared<lease_call>();
  running->promise = promise;
  running->asked = request;
  running->deadline = now() + request.within;
  running->action = request.action;
  running->ttl = grant ? request.ttl : std::chrono::milliseconds{};
  if (const auto known = leases_.find(request.id); known != leases_.end() && !grant) {
    // Its owner counts on it for so long and no longer; what slots may have kept of it beyond that runs out there.
    if (request.action == store::lease_action::renew && !fresh(request.id)) {
      leases_.erase(known);
      promise.deliver(messages::leased{unexpected{store_error::no_such_lease}});
      return promise;
    }
    // A node that was started since then has to be told what it is.
    if (request.action == store::lease_action::renew) {
      running->action = store::lease_action::grant;
      running->ttl = known->second.ttl;
    }
  }
  for (store::slot_id slot = 0; slot < routes_.size(); ++slot)
    running->missing.insert(slot);
  lease_round(running);
  return promise;
}

bool store_client::fresh(store::lease_id lease) const {
  const auto known = leases_.find(lease);
  return known != leases_.end() && known->second.renewed && now() - *known->second.renewed < known->second.ttl;
}

void store_client::lease_round(const std::shared_ptr<lease_call>& lease) {
  lease->sent = now();
  lease->open = lanes_.size();
  for (std::size_t node = 0; node < lanes_.size(); ++node)
    ask(
        node, frame_kind::lease_request,
        store::encode(store::lease_request{lease->asked.id, lease->ttl, lease->action}), lease->deadline,
        [this, lease](const runtime::wire_message& reply) { land(lease, reply); },
        [this, lease](store_error why, bool) {
          lease->fault = why;
          end_round(lease);
        });
}

void store_client::land(const std::shared_ptr<lease_call>& lease, const runtime::wire_message& reply) {
  const auto answered = store::decode_lease_reply(reply.view());
  if (!answered) {
    lease->fault = store_error::invalid;
  } else {
    if (!answered->reply && answered->reply.error() == store_error::no_such_lease)
      lease->ended = true;
    else if (!answered->reply)
      lease->fault = answered->reply.error();
    for (const auto slot : answered->slots)
      lease->missing.erase(slot);
  }
  end_round(lease);
}

void store_client::end_round(const std::shared_ptr<lease_call>& lease) {
  if (--lease->open > 0)
    return;
  if (lease->missing.empty() || lease->ended || now() + settings_.retry_pause >= lease->deadline)
    return settle(*lease);
  ++retries_;
  later([this, lease] { lease_round(lease); });
}

void store_client::settle(lease_call& lease) {
  const auto id = lease.asked.id;
  store::lease_reply reply;
  if (lease.ended)
    reply = unexpected{store_error::no_such_lease};
  else if (!lease.missing.empty())
    reply = unexpected{lease.fault.value_or(store_error::unavailable)};
  if (lease.ended || lease.asked.action == store::lease_action::revoke)
    leases_.erase(id);
  else if (reply && lease.action == store::lease_action::grant)
    leases_[id] = {lease.ttl, lease.sent};
  lease.promise.deliver(messages::leased{std::move(reply)});
}

/// The node was started, or became primary, after the lease was granted.
void store_client::regrant(item&& one, std::size_t node) {
  one.regranted = true;
  const auto id = lease_of(one.op);
  const auto held = std::make_shared<item>(std::move(one));
  const auto repeat = [this, held] { again(std::move(*held), store_error::unavailable, true); };
  ask(
      node, frame_kind::lease_request,
      store::encode(store::lease_request{id, leases_.at(id).ttl, store::lease_action::grant}), held->owner->deadline,
      [repeat](const runtime::wire_message&) { repeat(); }, [repeat](store_error, bool) { repeat(); });
}

// Requests.

void store_client::ask(std::size_t node, frame_kind kind, bytes body, store::timestamp deadline,
                       const std::function<void(const runtime::wire_message&)>& then,
                       const std::function<void(store_error, bool)>& otherwise) {
  ++frames_;
  runtime::request(this, transport_, address_of(node),
                   runtime::make_message(static_cast<std::uint16_t>(kind), std::move(body)), attempt_time(deadline))
      .then(
          [this, node, then](const runtime::wire_message& reply) {
            lanes_[node].failed.reset();
            then(reply);
          },
          [this, node, otherwise](const caf::error& fault) {
            const auto attempt = classify(fault);
            if (attempt.retry && attempt.why != store_error::overloaded)
              lanes_[node].failed = now();
            otherwise(attempt.why, attempt.retry);
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
  paused_.clear();
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
          {"redirects", std::to_string(redirects_)},
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
