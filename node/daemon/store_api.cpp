#include "node/daemon/store_api.hpp"

#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "node/daemon/store_requests.hpp"
#include "node/daemon/store_watches.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <random>
#include <utility>

namespace glocal::node {

namespace messages = actors::store_messages;
using store::store_error;
using namespace std::chrono_literals;

namespace {

/// The client answers in time; this is for the case that it is gone or stuck.
constexpr auto grace = 1s;

class store_caller {
public:
  store_caller(caf::actor_system& system, runtime::transport transport)
      : system_{system}, transport_{std::move(transport)} {}

  [[nodiscard]] caf::actor find(std::string_view name) const { return transport_.directory->find(name); }

  /// `Reply::reply` of what the client answers to `request`.
  template <class Reply, class Request>
  [[nodiscard]] auto ask(Request request, std::chrono::milliseconds within) const -> decltype(Reply::reply) {
    const auto client = find(actors::store_client_name);
    if (!client)
      return unexpected{store_error::unavailable};
    decltype(Reply::reply) out = unexpected{store_error::unavailable};
    caf::scoped_actor self{system_};
    self->request(client, within + grace, std::move(request))
        .receive([&](Reply& answer) { out = std::move(answer.reply); },
                 [&](const caf::error& fault) {
                   out =
                       unexpected{fault == caf::sec::request_timeout ? store_error::timeout : store_error::unavailable};
                 });
    return out;
  }
  [[nodiscard]] store::batch_reply execute(store_request& request) const {
    const auto within = request.manner.within;
    return ask<messages::executed>(messages::execute{std::move(request.operations), within}, within);
  }

private:
  caf::actor_system& system_;
  const runtime::transport transport_;
};

api_answer run_one(const store_caller& caller, std::string_view verb, store_request request) {
  const auto form = request.manner.form;
  const auto reply = caller.execute(request);
  return reply ? answer_of(verb, reply->front(), form) : answer_of(reply.error());
}

api_answer run_batch(const store_caller& caller, store_request request) {
  const auto form = request.manner.form;
  const auto reply = caller.execute(request);
  return reply ? answer_of(*reply, form) : answer_of(reply.error());
}

api_answer run_scan(const store_caller& caller, store_scan request) {
  const auto [within, form] = request.manner;
  const auto reply = caller.ask<messages::scanned>(
      messages::scan{request.from, std::move(request.prefix), std::move(request.continuation), request.limit, within},
      within);
  return reply ? answer_of(*reply, form) : answer_of(reply.error());
}

store::lease_id new_lease() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random() | 1;
}

api_answer run_lease(const store_caller& caller, store::lease_action action, const std::string& body) {
  const auto request = parse_lease(body, action == store::lease_action::grant);
  const auto id = request.id ? *request.id : new_lease();
  const auto within = request.manner.within;
  const auto reply = caller.ask<messages::leased>(messages::lease{id, request.ttl, action, within}, within);
  if (!reply)
    return answer_of(reply.error());
  nlohmann::json out{{"lease", lease_text(id)}};
  if (action == store::lease_action::grant)
    out["ttl_ms"] = request.ttl.count();
  return {200, out.dump()};
}

api_answer run_snapshot(caf::actor_system& system, const store_caller& caller, store::slot_id slot) {
  /// A copy of millions of rows takes a second.
  constexpr auto patience = 20s;
  const auto node = caller.find(actors::store_node_name);
  messages::slot_snapshot out;
  if (node) {
    caf::scoped_actor self{system};
    self->request(node, patience, messages::snapshot_slot{slot})
        .receive([&](messages::slot_snapshot& answer) { out = std::move(answer); }, [](const caf::error&) {});
  }
  if (!out.state)
    throw api_refusal{421, "this node is not the primary of slot " + std::to_string(slot), "not_primary"};
  return answer_of(slot, *out.state);
}

/// Asks this node's placement actor; what it refuses becomes a refusal of the API.
template <class Request>
api_answer steer(caf::actor_system& system, const store_caller& caller, Request request) {
  /// A change is repeated until no other one was faster.
  constexpr auto patience = 10s;
  const auto whom = caller.find(actors::placement_name);
  if (!whom)
    throw api_refusal{421, "this node is no store node; ask one that is", "no_store_node"};
  messages::steered out{messages::steered::kind::unavailable, "the node's placement does not answer; try again", {}};
  caf::scoped_actor self{system};
  self->request(whom, patience, std::move(request))
      .receive([&](messages::steered& answer) { out = std::move(answer); }, [](const caf::error&) {});
  switch (out.what) {
  case messages::steered::kind::done: break;
  case messages::steered::kind::unknown_node: throw api_refusal{404, out.why, "unknown_node"};
  case messages::steered::kind::too_few_nodes: throw api_refusal{409, out.why, "too_few_nodes"};
  case messages::steered::kind::unavailable: throw api_refusal{503, out.why, "unavailable"};
  }
  return answer_of(out.moves);
}

void run_watch(const store_caller& caller, store_watch what, const std::shared_ptr<event_stream>& stream) {
  const auto writer = caller.find(store_watches_name);
  if (!writer)
    throw api_refusal{503, "the store's watches are not running; try again", "unavailable"};
  stream->on_end([writer, id = stream->id()] { caf::anon_send(writer, end_watch{id}); });
  caf::anon_send(writer, start_watch{std::move(what), stream});
}

} // namespace

void add_store_api(api_handlers& to, caf::actor_system& system, runtime::transport transport,
                   store::slot_id slot_count) {
  const auto caller = std::make_shared<const store_caller>(system, std::move(transport));
  to.get_call["store/get"] = [caller](const api_call& call) { return run_one(*caller, "get", parse_get(call.query)); };
  to.get_call["store/scan"] = [caller](const api_call& call) { return run_scan(*caller, parse_scan(call.query)); };
  to.get_call["store/slot"] = [&system, caller, slot_count](const api_call& call) {
    return run_snapshot(system, *caller, parse_slot(call.query, slot_count));
  };
  for (const char* verb : {"put", "put-if-absent", "compare-and-set", "erase"})
    to.post_call[std::string{"store/"} + verb] = [caller, verb](const api_call& call) {
      return run_one(*caller, verb, parse_write(verb, call.body));
    };
  to.post_call["store/batch"] = [caller](const api_call& call) { return run_batch(*caller, parse_batch(call.body)); };
  to.post_call["store/drain"] = [&system, caller](const api_call& call) {
    auto asked = parse_drain(call.body);
    return steer(system, *caller, messages::drain_request{std::move(asked.node), asked.undo});
  };
  to.post_call["store/rebalance"] = [&system, caller](const api_call& call) {
    return steer(system, *caller, messages::rebalance_request{parse_rebalance(call.body)});
  };
  using store::lease_action;
  constexpr std::pair<const char*, lease_action> actions[] = {
      {"grant", lease_action::grant}, {"renew", lease_action::renew}, {"revoke", lease_action::revoke}};
  for (const auto& [name, action] : actions)
    to.post_call[std::string{"store/lease/"} + name] = [caller, action = action](const api_call& call) {
      return run_lease(*caller, action, call.body);
    };
  to.stream["store/watch"] = [caller, slot_count](const api_call& call, const std::shared_ptr<event_stream>& stream) {
    run_watch(*caller, parse_watch(call.query, call.last_event_id, slot_count), stream);
  };
}

} // namespace glocal::node
