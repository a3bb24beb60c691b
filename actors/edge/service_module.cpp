#include "actors/edge/service_module.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "actors/policy/deal.hpp"
#include "base/log.hpp"
#include "dataplane/wire/drop_reason.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

using dataplane::drop_reason;
using store::watch_event;

namespace {

/// A collision of 23-bit hashes is rare among thousands of paths; eight in a row are not chance.
constexpr int max_path_attempts = 8;

} // namespace

service_module::service_module(caf::actor_config& config, service_module_settings settings, caf::actor store_client,
                               std::shared_ptr<runtime::directory> directory)
    : runtime::observed_actor{config, "service module",
                              edge_names::service_module(settings.edge, settings.service.name)},
      settings_{std::move(settings)}, directory_{std::move(directory)},
      store_{*this, std::move(store_client), {settings_.decision_deadline}}, chooser_{settings_.service.policy,
                                                                                      settings_.service.chain,
                                                                                      settings_.edge, settings_.seed} {}

caf::behavior service_module::make_behavior() {
  watch_global_state();
  return caf::message_handler{
      [this](const packet_in_batch& batch) { decide(batch); },
      [this](const flows_ended& ended) { forget(ended); },
      [this](const lease_regained&) { publish_again(); },
      [this](runtime::tick_atom) { publish_waiting(); },
      [this](const foretell_decision& question) { return foretell(question.packet); },
  }
      .or_else(store_.handler());
}

void service_module::watch_global_state() {
  for (const auto& vnf_class : settings_.service.chain)
    (void)store_.watch(store::table::digests, model::keys::digest(vnf_class),
                       [this, vnf_class](const watch_event& event) { follow_digest(vnf_class, event); });
  if (policy::weighs_links(settings_.service.policy.kind))
    (void)store_.watch(store::table::links, "", [this](const watch_event& event) { follow_link(event); });
  (void)store_.watch(store::table::paths, "", [this](const watch_event& event) {
    if (event.what == watch_event::kind::live)
      paths_live_ = true;
    if (event.what != watch_event::kind::put && event.what != watch_event::kind::erase)
      return;
    const auto id = model::keys::parse_path(event.entry.key);
    if (!id)
      return;
    // A path whose chain changed (re-steered) is no longer the path of its former chain.
    std::erase_if(paths_, [&](const auto& known) { return known.second == *id; });
    const auto path =
        event.what == watch_event::kind::put ? model::decode<model::service_path>(event.entry.value) : std::nullopt;
    if (path && path->service == settings_.service.name)
      paths_.insert_or_assign(path->instances, *id);
  });
}

void service_module::follow_digest(const std::string& vnf_class, const watch_event& event) {
  if (event.what == watch_event::kind::suspect || event.what == watch_event::kind::live) {
    digests_[vnf_class].is_suspect = event.what == watch_event::kind::suspect;
    return;
  }
  // A prefix watch on "fw" also sees "fw-2".
  if (event.entry.key != model::keys::digest(vnf_class))
    return;
  model::class_digest digest{vnf_class, {}};
  if (event.what == watch_event::kind::put)
    digest = model::decode<model::class_digest>(event.entry.value).value_or(digest);
  else if (event.what != watch_event::kind::erase)
    return;
  digest.vnf_class = vnf_class;
  follow_hand(vnf_class, digest.hands);
  // Until the own hand is there the first one serves.
  if (const auto& known = digests_[vnf_class]; known.hand == 0 || !known.has_hand)
    take(digest, event.entry.version);
}

void service_module::follow_hand(const std::string& vnf_class, std::uint32_t hands) {
  auto& known = digests_[vnf_class];
  const auto hand = policy::hand_of(settings_.edge, hands);
  if (hand == known.hand)
    return;
  if (known.hand != 0)
    store_.unwatch(known.hand_watch);
  known.hand = hand;
  known.has_hand = false;
  if (hand == 0)
    return;
  known.hand_watch =
      store_.watch(store::table::digests, model::keys::digest(vnf_class, hand),
                   [this, vnf_class, key = model::keys::digest(vnf_class, hand)](const watch_event& event) {
                     if (event.what == watch_event::kind::suspect || event.what == watch_event::kind::live)
                       digests_[vnf_class].is_suspect = event.what == watch_event::kind::suspect;
                     if (event.what != watch_event::kind::put || event.entry.key != key)
                       return;
                     const auto digest = model::decode<model::class_digest>(event.entry.value);
                     if (!digest || digest->vnf_class != vnf_class)
                       return note_error("a malformed digest under " + key);
                     digests_[vnf_class].has_hand = true;
                     take(*digest, event.entry.version);
                   });
}

void service_module::take(const model::class_digest& digest, store::revision version) {
  auto& known = digests_[digest.vnf_class];
  known.candidates.clear();
  for (const auto& candidate : digest.candidates)
    known.candidates.push_back(candidate.instance);
  known.version = version;
  known.received = clock().now();
  chooser_.update(digest);
}

void service_module::follow_link(const watch_event& event) {
  if (event.what == watch_event::kind::put) {
    if (const auto link = model::decode<model::link_state>(event.entry.value))
      chooser_.update(*link);
    else
      note_error("a malformed link under " + event.entry.key);
  } else if (event.what == watch_event::kind::erase) {
    const auto& key = event.entry.key;
    if (const auto slash = key.find('/'); slash != std::string::npos)
      chooser_.erase_link(key.substr(0, slash), key.substr(slash + 1));
  }
}

void service_module::decide(const packet_in_batch& batch) {
  program_flows answers;
  std::vector<proposed_flow> proposals;
  std::vector<std::vector<std::string>> new_chains;
  const auto now = clock().now().time_since_epoch();
  for (const auto& packet : batch.items) {
    ++tally_.packet_ins;
    auto key = model::keys::flow(packet.tenant, packet.tuple);
    if (const auto known = flows_.find(key); known != flows_.end()) {
      ++tally_.cached;
      if (packet.trace != 0)
        note(packet, "remembered",
             {{"path", model::keys::path(known->second.record.path)}, {"version", known->second.version}});
      answers.installs.push_back(installation(known->second.record, packet.hold));
      continue;
    }
    chain_chooser::explanation why;
    auto chain = chooser_.choose(packet.tenant, packet.tuple, now, packet.trace != 0 ? &why : nullptr);
    if (!chain) {
      ++tally_.no_candidate;
      if (packet.trace != 0)
        note(packet, "no_candidate", {{"class", chain.error().vnf_class}});
      answers.refusals.push_back(refusal(packet, drop_reason::decision_refused));
      continue;
    }
    if (packet.trace != 0)
      note_choice(packet, *chain, why);
    proposed_flow flow{packet, std::move(key), std::move(*chain)};
    if (is_cut_off_ && decides_alone()) {
      decide_provisionally(std::move(flow), answers);
      continue;
    }
    if (paths_.contains(flow.chain)) {
      proposals.push_back(std::move(flow));
      continue;
    }
    auto& waiting = awaiting_path_[flow.chain];
    if (waiting.empty())
      new_chains.push_back(flow.chain);
    waiting.push_back(std::move(flow));
  }
  publish(std::move(proposals));
  for (const auto& chain : new_chains)
    make_path(chain, first_path_id(settings_.service.name, chain), max_path_attempts);
  answer(std::move(answers));
}

void service_module::make_path(const std::vector<std::string>& chain, model::path_id id, int attempts_left) {
  const model::service_path path{id, settings_.service.name, chain};
  store_.put_if_absent(
      store::table::paths, model::keys::path(id), model::encode(path), 0,
      [this, chain, id, attempts_left](expected<store::op_result, store::store_error> result) {
        if (!result) {
          note_error("path " + model::keys::path(id) + ": " + std::string{store::name(result.error())});
          return path_failed(chain);
        }
        if (result->ok()) {
          ++tally_.paths_made;
          return path_is_known(chain, id);
        }
        // Another edge made it first, with the same chain, or the id belongs to another chain.
        const auto there = result->found ? model::decode<model::service_path>(result->found->value) : std::nullopt;
        if (there && there->service == settings_.service.name && there->instances == chain)
          return path_is_known(chain, id);
        if (attempts_left <= 1)
          return path_failed(chain);
        make_path(chain, next_path_id(id), attempts_left - 1);
      });
}

void service_module::path_is_known(const std::vector<std::string>& chain, model::path_id id) {
  paths_.insert_or_assign(chain, id);
  if (auto waiting = awaiting_path_.extract(chain)) {
    for (const auto& flow : waiting.mapped())
      if (flow.packet.trace != 0)
        note(flow.packet, "path_published", {{"path", model::keys::path(id)}});
    publish(std::move(waiting.mapped()));
  }
}

void service_module::path_failed(const std::vector<std::string>& chain) {
  auto waiting = awaiting_path_.extract(chain);
  if (!waiting)
    return;
  program_flows answers;
  for (auto& flow : waiting.mapped()) {
    if (decides_alone()) {
      decide_provisionally(std::move(flow), answers);
      continue;
    }
    ++tally_.store_failures;
    chooser_.forget(flow.chain);
    answers.refusals.push_back(refusal(flow.packet, drop_reason::store_unavailable));
  }
  answer(std::move(answers));
}

void service_module::publish(std::vector<proposed_flow> flows) {
  // A burst larger than the store takes at once goes as several batches.
  while (flows.size() > store::limits::batch_operations) {
    const auto cut = flows.end() - static_cast<std::ptrdiff_t>(store::limits::batch_operations);
    publish({std::make_move_iterator(cut), std::make_move_iterator(flows.end())});
    flows.erase(cut, flows.end());
  }
  if (flows.empty())
    return;
  store::batch operations;
  operations.reserve(flows.size());
  for (auto& flow : flows) {
    flow.path = paths_.at(flow.chain);
    const model::flow_record record{settings_.service.name, settings_.edge, flow.path, flow.packet.tuple,
                                    flow.packet.tenant};
    operations.push_back(
        store::put_if_absent_op{store::table::flows, flow.key, model::encode(record), settings_.lease});
  }
  const auto begun = clock().now();
  store_.execute(std::move(operations),
                 [this, begun, flows = std::move(flows)](
                     expected<std::vector<store::op_result>, store::store_error> results) mutable {
                   const auto took = clock().now() - begun;
                   publish_latency_.record(static_cast<std::uint64_t>(took.count()));
                   program_flows answers;
                   if (!results)
                     note_error("publishing flows: " + std::string{store::name(results.error())});
                   for (std::size_t i = 0; i < flows.size(); ++i) {
                     // Without a lease the controller is granting it again: this edge was cut off until just now.
                     const bool is_answered = results && i < results->size() &&
                                              !(decides_alone() && (*results)[i].code == store::op_code::no_such_lease);
                     if (is_answered) {
                       if (flows[i].packet.trace != 0)
                         note_publication(flows[i], (*results)[i], took);
                       adopt(flows[i], (*results)[i], answers);
                     } else {
                       if (flows[i].packet.trace != 0)
                         note(flows[i].packet, "put_if_absent",
                              {{"result", std::string{results ? "no lease" : store::name(results.error())}},
                               {"round_trip_us", static_cast<double>(took.count()) / 1e3}});
                       if (decides_alone()) {
                         decide_provisionally(std::move(flows[i]), answers);
                         continue;
                       }
                       ++tally_.store_failures;
                       chooser_.forget(flows[i].chain);
                       answers.refusals.push_back(refusal(flows[i].packet, drop_reason::store_unavailable));
                     }
                   }
                   answer(std::move(answers));
                 });
}

void service_module::adopt(const proposed_flow& flow, const store::op_result& result, program_flows& answers) {
  const auto winner = result.found ? model::decode<model::flow_record>(result.found->value) : std::nullopt;
  if (!winner || (result.code != store::op_code::ok && result.code != store::op_code::conflict)) {
    // no_such_lease: the controller is granting it again; the sender's retransmission finds it granted.
    ++tally_.store_failures;
    chooser_.forget(flow.chain);
    answers.refusals.push_back(refusal(flow.packet, drop_reason::store_unavailable));
    return;
  }
  if (winner->initiator == settings_.edge) {
    // Also our own earlier write whose answer was lost, and what this module decided before a restart.
    ++tally_.decided;
    remember(flow.key, *winner, result.found->version);
  } else {
    ++tally_.adopted;
    chooser_.forget(flow.chain);
  }
  if (winner->path == flow.path)
    answers.paths.push_back({winner->path, settings_.service.name, flow.chain});
  answers.installs.push_back(installation(*winner, flow.packet.hold));
}

dataplane::refuse service_module::refusal(const dataplane::packet_in& packet, drop_reason reason) {
  const auto verdict = settings_.service.on_store_loss == model::fallback::pass ? dataplane::refuse::verdict::pass
                                                                                : dataplane::refuse::verdict::drop;
  if (packet.trace != 0)
    note(packet, "refused",
         {{"reason", std::string{to_string(reason)}},
          {"answer", std::string{verdict == dataplane::refuse::verdict::pass ? "pass" : "drop"}}});
  return {packet.hold, verdict, reason};
}

dataplane::install_flow service_module::installation(const model::flow_record& record, dataplane::hold_id hold) const {
  dataplane::install_flow order;
  order.tenant = record.tenant;
  order.forward = record.forward;
  order.path = record.path;
  order.cookie = settings_.cookie;
  order.owner = record.initiator == settings_.edge;
  order.idle_timeout = settings_.idle_timeout;
  order.hold = hold;
  return order;
}

bool service_module::remember(const std::string& key, const model::flow_record& record, store::revision version) {
  if (flows_.size() >= max_remembered_flows && !flows_.contains(key))
    return false;
  flows_.insert_or_assign(key, remembered_flow{record, version});
  return true;
}

void service_module::forget(const flows_ended& ended) {
  store::batch operations;
  for (const auto& flow : ended.items) {
    ++tally_.ended;
    auto known = flows_.extract(model::keys::flow(flow.tenant, flow.forward));
    // Only the version we wrote: the tuple may already be in use again and decided by another edge.
    if (known && known.mapped().version != 0)
      operations.push_back(store::erase_op{store::table::flows, known.key(), known.mapped().version});
    if (operations.size() == store::limits::batch_operations)
      store_.execute(std::exchange(operations, {}), [](const auto&) {});
  }
  // A failure leaves the entry to the lease.
  if (!operations.empty())
    store_.execute(std::move(operations), [](const auto&) {});
}

void service_module::answer(program_flows answers) {
  if (answers.installs.empty() && answers.refusals.empty())
    return;
  // Gone only between its end and its restart: the switch's hold_timeout answers then.
  if (const auto agent = directory_->find(edge_names::switch_agent(settings_.edge)))
    send(agent, std::move(answers));
}

bool service_module::ready() const {
  return paths_live_ &&
         std::all_of(settings_.service.chain.begin(), settings_.service.chain.end(), [&](const auto& vnf_class) {
           const auto known = digests_.find(vnf_class);
           return known != digests_.end() && !known->second.candidates.empty();
         });
}

runtime::state_entries service_module::state_summary() const {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  return {{"service", settings_.service.name},
          {"ready", ready() ? "true" : "false"},
          {"packet_ins", number(tally_.packet_ins)},
          {"cached", number(tally_.cached)},
          {"decided", number(tally_.decided)},
          {"adopted", number(tally_.adopted)},
          {"ended", number(tally_.ended)},
          {"no_candidate", number(tally_.no_candidate)},
          {"store_failures", number(tally_.store_failures)},
          {"provisional", number(tally_.provisional)},
          {"yielded", number(tally_.yielded)},
          {"unpublished", number(unpublished_.size() + publishing_)},
          {"paths_made", number(tally_.paths_made)},
          {"paths_known", number(paths_.size())},
          {"flows_remembered", number(flows_.size())},
          {"publish_p50_ns", number(publish_latency_.quantile(0.5))},
          {"publish_p99_ns", number(publish_latency_.quantile(0.99))}};
}

} // namespace glocal::actors
