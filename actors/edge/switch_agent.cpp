#include "actors/edge/switch_agent.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "base/log.hpp"
#include "dataplane/classify/forest_classifier.hpp"
#include "dataplane/switch/counters.hpp"
#include "dataplane/wire/drop_reason.hpp"
#include "runtime/atoms.hpp"
#include "runtime/drain_ring.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace glocal::actors {

using namespace dataplane;
using store::watch_event;

namespace {

/// Events taken from the switch at once: what a few full bursts of new flows raise.
constexpr std::size_t events_per_poll = 256;

/// A switch that was busy is asked again after this; its command ring drains in microseconds once it runs.
constexpr std::chrono::milliseconds busy_pause{1};

/// Applies one watch event to a map of decoded values. True when the map changed.
template <class Value, class Key>
bool follow(std::map<Key, Value>& copy, const Key& key, const watch_event& event) {
  if (event.what == watch_event::kind::erase)
    return copy.erase(key) > 0;
  if (event.what != watch_event::kind::put)
    return false;
  auto value = model::decode<Value>(event.entry.value);
  if (!value) {
    spdlog::error("table {}: the value of key '{}' can't be read; it is ignored", store::name(event.entry.table),
                  event.entry.key);
    return false;
  }
  const auto known = copy.find(key);
  if (known != copy.end() && known->second == *value)
    return false;
  copy.insert_or_assign(key, std::move(*value));
  return true;
}

} // namespace

switch_agent::switch_agent(caf::actor_config& config, switch_agent_settings settings, dataplane::southbound& southbound,
                           caf::actor store_client, std::shared_ptr<runtime::directory> directory)
    : runtime::observed_actor{config, "switch agent", edge_names::switch_agent(settings.node)},
      settings_{std::move(settings)}, southbound_{southbound},
      directory_{std::move(directory)}, store_{*this, std::move(store_client), {settings_.decision_deadline}},
      scratch_(events_per_poll), trace_scratch_(events_per_poll) {
  names_.node = settings_.node;
  for (const auto& port : settings_.ports)
    names_.ports[port.id] = port.name;
}

caf::behavior switch_agent::make_behavior() {
  for (const auto& port : settings_.ports)
    submit(add_port{port});
  refresh_routes();
  watch_global_state();
  for (const auto& name : {edge_names::controller(settings_.node), edge_names::vnf_host(settings_.node)})
    if (const auto actor = directory_->find(name))
      send(actor, agent_started{});
  drain();
  if (settings_.traces->last_session().is_running) // begun by a former agent
    await_trace_tick();
  return caf::message_handler{
      [this](runtime::wake_atom) { drain(); },
      [this](runtime::tick_atom) { refresh(); },
      [this](caf::timeout_atom) { submit_waiting(); },
      [this](runtime::sweep_atom) { look_after_trace(); },
      [this](const program_flows& answers) {
        for (const auto& path : answers.paths)
          paths_.try_emplace(path.id, path);
        for (const auto& order : answers.installs)
          install(order);
        for (const auto& order : answers.refusals) {
          note_answer(order);
          submit(order);
        }
      },
      [this](const begin_trace& wanted) { return begin(wanted); },
      [this](const end_trace& which) {
        if (settings_.traces->last_session().id == which.session)
          submit(stop_trace{});
      },
      [this](const foretell_packet& question) { return foretell(question); },
      [this](const bind_services& bindings) { bind(bindings); },
      [this](const open_instance& instance) { return open(instance); },
      [this](const close_instance& instance) { close(instance); },
  }
      .or_else(store_.handler());
}

// --- Up -------------------------------------------------------------------------------------------------------------

void switch_agent::drain() {
  /// Records of traced packets are read first: what an actor writes down about a packet stands behind what the switch
  /// did.
  struct both_rings {
    switch_agent& self;
    std::size_t poll(std::span<event> out) {
      self.drain_traces();
      return self.southbound_.poll(out);
    }
    void arm() { self.southbound_.arm(); }
    [[nodiscard]] bool empty() const { return self.southbound_.empty(); }
  } rings{*this};
  runtime::drain_ring(this, rings, scratch_, [this](std::span<const event> events) { handle(events); });
}

void switch_agent::handle(std::span<const event> events) {
  std::map<std::uint64_t, packet_in_batch> to_decide;
  std::map<std::uint64_t, flows_ended> ended;
  std::vector<packet_in> to_look_up;
  for (const auto& event : events) {
    if (const auto* removed = std::get_if<flow_removed>(&event)) {
      ended[removed->cookie].items.push_back(*removed);
      continue;
    }
    const auto& packet = std::get<packet_in>(event);
    ++tally_.packet_ins;
    if (packet.trace != 0)
      expect_answer(packet);
    switch (packet.reason) {
    case packet_in_reason::rule: to_decide[packet.rule_cookie].items.push_back(packet); break;
    case packet_in_reason::path_miss: {
      ++tally_.path_misses;
      const auto id = path_of_spi(packet.spi);
      if (auto* wait = wait_for_path(id); wait != nullptr && wait->misses.size() < max_waiting_per_path)
        wait->misses.push_back(packet);
      advance(id);
      break;
    }
    case packet_in_reason::reply_rule:
    case packet_in_reason::vnf_miss: to_look_up.push_back(packet); break;
    }
  }
  const auto hand_over = [&](auto& batches) {
    for (auto& [cookie, batch] : batches) {
      const auto* binding = binding_of(cookie);
      const auto module = binding == nullptr
                              ? caf::actor{}
                              : directory_->find(edge_names::service_module(settings_.node, binding->service.name));
      if (module)
        send(module, std::move(batch));
      else
        // The service is going or its module is being restarted: the switch's hold_timeout answers for it.
        tally_.unclaimed += batch.items.size();
    }
  };
  hand_over(to_decide);
  hand_over(ended);
  look_up_flows(std::move(to_look_up));
}

void switch_agent::look_up_flows(std::vector<packet_in> packets) {
  if (packets.empty())
    return;
  tally_.flows_looked_up += packets.size();
  store::batch operations;
  operations.reserve(packets.size());
  for (const auto& packet : packets)
    operations.push_back(store::get_op{store::table::flows, model::keys::flow(packet.tenant, packet.tuple)});
  store_.execute(std::move(operations), [this, packets = std::move(packets)](
                                            expected<std::vector<store::op_result>, store::store_error> results) {
    for (std::size_t i = 0; i < packets.size(); ++i) {
      const auto& packet = packets[i];
      if (!results) {
        const dataplane::refuse order{packet.hold, refuse::verdict::drop, drop_reason::store_unavailable};
        note_answer(order);
        submit(order);
        continue;
      }
      const auto& found = (*results)[i].found;
      const auto record = found ? model::decode<model::flow_record>(found->value) : std::nullopt;
      if (packet.trace != 0)
        note(packet.trace, "looked_up",
             record ? std::vector<trace_field>{{"in_store", true},
                                               {"version", found->version},
                                               {"path", model::keys::path(record->path)},
                                               {"decided_by", record->initiator}}
                    : std::vector<trace_field>{{"in_store", false}});
      if (!record) {
        refuse_unknown(packet);
        continue;
      }
      ++tally_.flows_found;
      install_flow order;
      order.tenant = record->tenant;
      order.forward = record->forward;
      order.path = record->path;
      order.hold = packet.hold;
      install(order);
    }
  });
}

void switch_agent::refuse_unknown(const packet_in& packet) {
  refuse order{packet.hold, refuse::verdict::drop, drop_reason::vnf_unknown_flow};
  if (packet.reason == packet_in_reason::reply_rule) {
    const auto* binding = binding_of(packet.rule_cookie);
    const bool pass = binding != nullptr && !binding->stateful;
    order = {packet.hold, pass ? refuse::verdict::pass : refuse::verdict::drop, drop_reason::reply_unknown_flow};
  }
  note_answer(order);
  submit(order);
}

// --- Paths ----------------------------------------------------------------------------------------------------------

switch_agent::path_wait* switch_agent::wait_for_path(model::path_id id) {
  return programmed_.contains(id) ? nullptr : &awaited_[id];
}

void switch_agent::install(const install_flow& order) {
  auto* wait = wait_for_path(order.path);
  if (wait == nullptr) {
    note_answer(order);
    return submit(order);
  }
  if (wait->installs.size() < max_waiting_per_path)
    wait->installs.push_back(order);
  advance(order.path);
}

void switch_agent::advance(model::path_id id) {
  if (programmed_.contains(id)) {
    // A path_miss that was under way when the path was programmed: programming it again releases what is held.
    submit(programmed_.at(id));
    return;
  }
  const auto wait = awaited_.find(id);
  if (wait == awaited_.end() || wait->second.fetching)
    return;
  const auto path = paths_.find(id);
  if (path == paths_.end())
    return fetch_path(id);
  std::vector<std::string> unknown;
  for (const auto& name : path->second.instances)
    if (!instances_.contains(name))
      unknown.push_back(name);
  if (!unknown.empty())
    return fetch_instances(id, unknown);
  // An instance that should run here and does not yet: its opening comes back to this.
  if (!program(path->second))
    return;
  ++tally_.paths_resolved;
  auto done = awaited_.extract(wait);
  for (const auto& packet : done.mapped().misses)
    if (const auto trace = traced(packet.hold); trace != 0)
      note(trace, "path_resolved", {{"path", model::keys::path(id)}, {"instances", where_of(path->second)}});
  for (auto& order : done.mapped().installs) {
    note_answer(order);
    submit(order);
  }
}

void switch_agent::fetch_path(model::path_id id) {
  awaited_[id].fetching = true;
  store_.get(store::table::paths, model::keys::path(id),
             [this, id](expected<store::op_result, store::store_error> got) {
               awaited_[id].fetching = false;
               if (!got)
                 return give_up(id, drop_reason::store_unavailable);
               auto path = got->found ? model::decode<model::service_path>(got->found->value) : std::nullopt;
               if (!path)
                 return give_up(id, drop_reason::unknown_path);
               paths_.try_emplace(id, std::move(*path));
               advance(id);
             });
}

void switch_agent::fetch_instances(model::path_id id, const std::vector<std::string>& names) {
  awaited_[id].fetching = true;
  store::batch operations;
  for (const auto& name : names)
    operations.push_back(store::get_op{store::table::instances, model::keys::instance(name)});
  store_.execute(
      std::move(operations), [this, id](expected<std::vector<store::op_result>, store::store_error> results) {
        awaited_[id].fetching = false;
        if (!results)
          return give_up(id, drop_reason::store_unavailable);
        for (const auto& result : *results) {
          auto instance = result.found ? model::decode<model::vnf_instance>(result.found->value) : std::nullopt;
          if (!instance)
            return give_up(id, drop_reason::unknown_path);
          auto name = instance->name;
          instances_.try_emplace(std::move(name), std::move(*instance));
        }
        advance(id);
      });
}

void switch_agent::give_up(model::path_id id, drop_reason reason) {
  const auto wait = awaited_.extract(id);
  if (!wait)
    return;
  note_error("path " + model::keys::path(id) + " can't be resolved: " + std::string{to_string(reason)});
  const auto refuse_hold = [&](hold_id hold) {
    const refuse order{hold, refuse::verdict::drop, reason};
    note_answer(order);
    submit(order);
  };
  for (const auto& packet : wait.mapped().misses)
    if (packet.hold == dataplane::no_hold && reason == drop_reason::unknown_path)
      submit(dataplane::remove_path{id}); // the switch has it from its flow file, and nobody else any more
    else
      refuse_hold(packet.hold);
  for (const auto& order : wait.mapped().installs)
    refuse_hold(order.hold);
}

bool switch_agent::program(const model::service_path& path) {
  auto compiled = compile_path(path, instances_, local_, settings_.node);
  if (!compiled)
    return false;
  const auto known = programmed_.find(path.id);
  if (known != programmed_.end() && known->second.path == *compiled)
    return true;
  const set_path order{std::move(*compiled), settings_.accounts->of(path)};
  programmed_.insert_or_assign(path.id, order);
  submit(order);
  return true;
}

// --- Down -----------------------------------------------------------------------------------------------------------

void switch_agent::watch_global_state() {
  (void)store_.watch(store::table::paths, "", [this](const watch_event& event) {
    const auto id = model::keys::parse_path(event.entry.key);
    if (id && follow(paths_, *id, event))
      mark_stale(false);
  });
  (void)store_.watch(store::table::instances, "", [this](const watch_event& event) {
    if (follow(instances_, event.entry.key, event))
      mark_stale(true);
  });
  (void)store_.watch(store::table::mappings, "", [this](const watch_event& event) {
    if (event.what == watch_event::kind::live)
      mappings_live_ = true;
    if (follow(mappings_, event.entry.key, event))
      mark_stale(true);
  });
}

void switch_agent::bind(const bind_services& bindings) {
  bindings_ = bindings.services;
  names_.services = bindings_;
  std::vector<service_rules> services;
  services.reserve(bindings_.size());
  for (const auto& binding : bindings_)
    services.push_back({binding.cookie, binding.service});
  // A key of this moment: collisions prepared elsewhere do not fit it.
  auto rules = forest_classifier::build(compile_rules(services));
  if (!rules)
    return note_error("the services' rules were refused: " + std::string{to_string(rules.error().what)});
  submit(set_classifier{std::move(*rules)});
}

void switch_agent::mark_stale(bool routes) {
  routes_stale_ |= routes;
  if (std::exchange(stale_, true))
    return;
  // Behind what is in the mailbox already: a snapshot's many events make one refresh.
  send(this, runtime::tick_atom_v);
}

void switch_agent::refresh() {
  stale_ = false;
  if (std::exchange(routes_stale_, false))
    refresh_routes();
  for (auto it = programmed_.begin(); it != programmed_.end();) {
    if (paths_.contains(it->first)) {
      ++it;
      continue;
    }
    submit(remove_path{it->first});
    it = programmed_.erase(it);
  }
  for (const auto& [id, path] : paths_)
    if (programmed_.contains(id))
      // A hop that can't be placed now keeps its former place: better than a hole.
      (void)program(path);
  std::vector<model::path_id> awaited;
  for (const auto& [id, wait] : awaited_)
    awaited.push_back(id);
  for (const auto id : awaited)
    advance(id);
}

void switch_agent::refresh_routes() {
  std::vector<model::eid_mapping> mappings;
  mappings.reserve(mappings_.size());
  for (const auto& [key, mapping] : mappings_)
    mappings.push_back(mapping);
  auto table = eid_table::make(compile_routes(mappings, settings_.attachments, settings_.node));
  if (!table)
    return note_error("the published mappings contradict each other; the former ones stay");
  submit(set_mappings{std::move(*table)});

  std::set<ip_address> rlocs{settings_.trusted_rlocs.begin(), settings_.trusted_rlocs.end()};
  for (const auto& [name, instance] : instances_)
    rlocs.insert(instance.rloc);
  for (const auto& mapping : mappings) {
    rlocs.insert(mapping.rloc);
    if (mapping.registration)
      rlocs.insert(mapping.registration->rlocs.begin(), mapping.registration->rlocs.end());
  }
  submit(set_known_rlocs{{rlocs.begin(), rlocs.end()}});
}

caf::result<void> switch_agent::open(const open_instance& instance) {
  // Directly, not by way of the waiting commands: the caller wants to know whether the device could be opened.
  for (const auto& port : {instance.in, instance.out}) {
    const auto opened = southbound_.submit(add_port{port});
    if (!opened)
      return caf::make_error(caf::sec::runtime_error, "port " + port.name + " (" + port.device + ") can't be opened");
    ++tally_.commands;
    names_.ports[port.id] = port.name;
  }
  local_[instance.instance] = {instance.in.id, instance.out.id};
  mark_stale(false);
  return {};
}

void switch_agent::close(const close_instance& instance) {
  const auto arms = local_.extract(instance.instance);
  if (!arms)
    return;
  submit(remove_port{arms.mapped().in});
  submit(remove_port{arms.mapped().out});
}

void switch_agent::submit(command order) {
  ++tally_.commands;
  if (waiting_.empty()) {
    const auto done = southbound_.submit(std::move(order));
    if (done)
      return;
    if (done.error() != submit_error::busy) {
      ++tally_.commands_dropped;
      // NOLINTNEXTLINE(bugprone-use-after-move): it is moved from only on success.
      return note_error("the switch refused a command (index " + std::to_string(order.index()) + ")");
    }
    delayed_send(this, busy_pause, caf::timeout_atom::value);
  }
  if (waiting_.size() == max_waiting_commands) {
    ++tally_.commands_dropped;
    return note_error("the switch is too far behind: answers are dropped");
  }
  waiting_.push_back(std::move(order));
}

void switch_agent::submit_waiting() {
  while (!waiting_.empty()) {
    const auto done = southbound_.submit(std::move(waiting_.front()));
    if (!done && done.error() == submit_error::busy) {
      delayed_send(this, busy_pause, caf::timeout_atom::value);
      return;
    }
    waiting_.pop_front();
  }
}

const service_binding* switch_agent::binding_of(std::uint64_t cookie) const {
  const auto found = std::find_if(bindings_.begin(), bindings_.end(),
                                  [&](const service_binding& binding) { return binding.cookie == cookie; });
  return found == bindings_.end() ? nullptr : &*found;
}

runtime::state_entries switch_agent::state_summary() const {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  return {{"ready", mappings_live_ ? "true" : "false"},
          {"packet_ins", number(tally_.packet_ins)},
          {"path_misses", number(tally_.path_misses)},
          {"paths_resolved", number(tally_.paths_resolved)},
          {"paths_programmed", number(programmed_.size())},
          {"flows_looked_up", number(tally_.flows_looked_up)},
          {"flows_found", number(tally_.flows_found)},
          {"unclaimed", number(tally_.unclaimed)},
          {"commands", number(tally_.commands)},
          {"commands_dropped", number(tally_.commands_dropped)},
          {"commands_waiting", number(waiting_.size())},
          {"services", number(bindings_.size())},
          {"mappings", number(mappings_.size())},
          {"instances_here", number(local_.size())}};
}

} // namespace glocal::actors
