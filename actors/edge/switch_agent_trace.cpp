#include "actors/edge/switch_agent.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "dataplane/wire/drop_reason.hpp"
#include "runtime/atoms.hpp"
#include "runtime/errors.hpp"

#include <algorithm>
#include <random>
#include <utility>

// The switch agent's part in tracing: sessions, the switch's records in words, and what would become of a packet.

namespace glocal::actors {

using namespace dataplane;

namespace {

/// How often a trace that runs is looked after.
constexpr std::chrono::seconds trace_tick{1};
/// A switch answers a probe within a burst or two; a module asks the store.
constexpr std::chrono::seconds foretelling_patience{4};
constexpr std::size_t max_traced_holds = 1024;
/// Records taken from the switch before its events get their turn.
constexpr std::size_t trace_batches = 16;

std::uint64_t nanoseconds(std::chrono::steady_clock::time_point time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

caf::error refusal(const std::string& why) {
  return caf::make_error(caf::sec::invalid_argument, why);
}

trace_entry foretold(trace_entry made) {
  made.at_ns = 0;
  return made;
}

} // namespace

// --- Sessions -------------------------------------------------------------------------------------------------------

caf::result<std::uint64_t> switch_agent::begin(const begin_trace& wanted) {
  auto& book = *settings_.traces;
  if (wanted.packets < 1 || wanted.packets > trace_session::max_packets)
    return refusal("a trace is of 1 to " + std::to_string(trace_session::max_packets) + " packets");
  if (wanted.duration.count() < 1 || wanted.duration > max_trace_duration)
    return refusal("a trace takes at most " + std::to_string(max_trace_duration.count()) + " minutes");
  const auto now = clock().now();
  if (const auto running = book.last_session(); running.is_running && !wanted.replace) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::nanoseconds{running.until_ns - std::min(running.until_ns, nanoseconds(now))});
    return caf::make_error(caf::sec::runtime_error, "a trace runs on " + settings_.node + " already, for at most " +
                                                        std::to_string(left.count() + 1) + " s more");
  }
  std::random_device entropy;
  start_trace order;
  auto& session = order.session;
  session.filter = wanted.filter;
  if (!wanted.port.empty()) {
    const auto port = port_named(wanted.port);
    if (port == no_port)
      return refusal("node " + settings_.node + " has no port '" + wanted.port + "'");
    session.filter.match.in_port = port;
  }
  session.packets = wanted.packets;
  session.until_ns = nanoseconds(now + wanted.duration);
  session.id_prefix = (entropy() & 0xff'ffff) | 1;
  // So that who knows the session knows its packets; 52 bits, exact in any JSON number.
  session.id = std::uint64_t{entropy() & 0xfff'ffff} << 24 | session.id_prefix;
  session.drops_only = wanted.drops_only;
  session.anywhere = wanted.anywhere;
  book.begin_session({session.id, true, {}, session.until_ns, nanoseconds(now)});
  submit(order);
  await_trace_tick();
  return session.id;
}

void switch_agent::await_trace_tick() {
  if (!std::exchange(trace_tick_awaited_, true))
    delayed_send(this, trace_tick, runtime::sweep_atom_v);
}

void switch_agent::look_after_trace() {
  trace_tick_awaited_ = false;
  const auto session = settings_.traces->last_session();
  if (!session.is_running)
    return;
  const auto now = nanoseconds(clock().now());
  const auto patience = std::chrono::nanoseconds{trace_reader_patience};
  const bool is_over = now >= session.until_ns;
  if (!is_over && now < session.read_at_ns + static_cast<std::uint64_t>(patience.count())) {
    await_trace_tick();
    return;
  }
  settings_.traces->end_session(session.id, is_over ? "time over" : "its reader went away");
  submit(stop_trace{});
}

port_id switch_agent::port_named(const std::string& name) const {
  for (const auto& [id, known] : names_.ports)
    if (known == name)
      return id;
  return no_port;
}

// --- Records --------------------------------------------------------------------------------------------------------

void switch_agent::drain_traces() {
  for (std::size_t batch = 0; batch < trace_batches; ++batch) {
    const auto count = southbound_.poll_traces(trace_scratch_);
    for (std::size_t i = 0; i < count; ++i)
      file(trace_scratch_[i]);
    if (count < trace_scratch_.size())
      return;
  }
}

void switch_agent::file(const trace_record& record) {
  if (record.step == trace_step::session_ended)
    return settings_.traces->end_session(record.value, to_string(static_cast<trace_end>(record.detail)));
  const auto probed = foretold_.find(record.trace);
  if (probed == foretold_.end()) {
    if (record.step != trace_step::probe_ended) // of one that was given up
      settings_.traces->add(describe(record, names_));
    return;
  }
  if (record.step != trace_step::probe_ended) {
    probed->second->records.push_back(record);
    return;
  }
  const auto about = probed->second;
  foretold_.erase(probed);
  conclude(about);
}

trace_entry switch_agent::entry(trace_id trace, std::string what, std::vector<trace_field> fields) const {
  trace_entry out;
  out.trace = trace;
  out.at_ns = nanoseconds(clock().now());
  out.node = settings_.node;
  out.who = "switch agent";
  out.what = std::move(what);
  out.fields = std::move(fields);
  return out;
}

void switch_agent::note(trace_id trace, std::string what, std::vector<trace_field> fields) {
  settings_.traces->add(entry(trace, std::move(what), std::move(fields)));
}

void switch_agent::expect_answer(const packet_in& packet) {
  // Ids of holds rise: the first is the oldest.
  if (traced_holds_.size() == max_traced_holds)
    traced_holds_.erase(traced_holds_.begin());
  traced_holds_[packet.hold] = packet.trace;
  const auto* binding = binding_of(packet.rule_cookie);
  if (packet.reason == packet_in_reason::rule)
    note(packet.trace, "handed_over", {{"to", binding == nullptr ? "nobody" : "service/" + binding->service.name}});
}

trace_id switch_agent::traced(hold_id hold) {
  if (traced_holds_.empty())
    return 0;
  const auto found = traced_holds_.extract(hold);
  return found ? found.mapped() : 0;
}

void switch_agent::note_answer(const install_flow& order) {
  const auto trace = traced(order.hold);
  if (trace == 0)
    return;
  std::vector<trace_field> fields{{"path", model::keys::path(order.path)}};
  if (const auto path = paths_.find(order.path); path != paths_.end())
    fields.push_back({"instances", where_of(path->second)});
  fields.push_back({"owner", order.owner});
  note(trace, "programmed", std::move(fields));
}

void switch_agent::note_answer(const refuse& order) {
  if (const auto trace = traced(order.hold); trace != 0)
    note(trace, "programmed",
         {{"answer", std::string{order.answer == refuse::verdict::pass ? "pass" : "drop"}},
          {"reason", std::string{to_string(order.reason)}}});
}

/// "fw-1 at dc1, opt-1 at dc2"
std::string switch_agent::where_of(const model::service_path& path) const {
  std::string out;
  for (const auto& name : path.instances) {
    const auto known = instances_.find(name);
    out += (out.empty() ? "" : ", ") + name + " at " + (known == instances_.end() ? "?" : known->second.node);
  }
  return out;
}

// --- What would become of a packet ----------------------------------------------------------------------------------

caf::result<foretold_walk> switch_agent::foretell(const foretell_packet& question) {
  const auto now = clock().now();
  for (auto it = foretold_.begin(); it != foretold_.end();)
    if (now - it->second->asked >= foretelling_patience) {
      it->second->promise.deliver(caf::make_error(caf::sec::request_timeout, "the switch did not answer"));
      it = foretold_.erase(it);
    } else
      ++it;
  if (foretold_.size() >= max_foretold_at_once)
    return caf::make_error(caf::sec::runtime_error, "too many packets are being foretold; ask again");

  auto about = std::make_shared<foretelling>();
  about->asked = now;
  auto& packet = about->packet;
  packet.tuple = question.fields.tuple;
  if (!question.port.empty()) {
    packet.in_port = port_named(question.port);
    if (packet.in_port == no_port)
      return refusal("node " + settings_.node + " has no port '" + question.port + "'");
  } else {
    std::uint8_t longest = 0;
    for (const auto& attachment : settings_.attachments)
      for (const auto& prefix : attachment.prefixes)
        if (prefix.contains(packet.tuple.source) && (packet.in_port == no_port || prefix.length > longest)) {
          packet.in_port = attachment.port;
          longest = prefix.length;
        }
    if (packet.in_port == no_port)
      return refusal("no attachment of node " + settings_.node + " has the source " +
                     glocal::to_string(packet.tuple.source) + "; say by which port it comes");
  }
  for (const auto& attachment : settings_.attachments)
    if (attachment.port == packet.in_port)
      packet.tenant = attachment.tenant;
  // No other edge can guess it, and so put records of its packets among ours.
  std::random_device entropy;
  packet.trace = (trace_id{entropy() & 0xffff} << 32 | entropy()) | 1;
  about->promise = make_response_promise<walk_promise>();
  foretold_[packet.trace] = about;
  submit(probe{packet.trace, packet.in_port, make_probe_frame(question.fields)});
  return about->promise;
}

/// The switch has answered: goes on from what it said last.
void switch_agent::conclude(const std::shared_ptr<foretelling>& about) {
  const trace_record* path = nullptr;
  const trace_record* route_taken = nullptr;
  for (const auto& record : about->records) {
    about->entries.push_back(foretold(describe(record, names_)));
    if (record.step == trace_step::rule)
      about->packet.rule_cookie = record.value;
    else if (record.step == trace_step::path_step)
      path = &record;
    else if (record.step == trace_step::eid_route)
      route_taken = &record;
  }
  if (about->records.empty())
    return verdict(*about, "unknown", settings_.node, "the switch's records were lost; ask again");
  const auto& last = about->records.back();
  switch (last.step) {
  case trace_step::dropped: return verdict(*about, "dropped", settings_.node, std::string{to_string(last.reason)});
  case trace_step::answered: return verdict(*about, "answered", settings_.node, "by the edge itself");
  case trace_step::held:
    return verdict(*about, "held", settings_.node, "behind the flow's first packet, which waits for its answer");
  case trace_step::packet_in:
    if (static_cast<packet_in_reason>(last.detail) == packet_in_reason::rule)
      return foretell_decision_of(about);
    about->packet.reason = static_cast<packet_in_reason>(last.detail);
    return foretell_lookup(about);
  default: break;
  }
  if (path != nullptr)
    return foretell_path(about, {path->spi, {}, {}}, path->reverse ? direction::reverse : direction::forward, path->si);
  if (route_taken != nullptr && route_taken->port != no_port)
    return verdict(*about, "delivered", settings_.node);
  return route(*about, settings_.node);
}

void switch_agent::foretell_decision_of(const std::shared_ptr<foretelling>& about) {
  const auto* binding = binding_of(about->packet.rule_cookie);
  const auto module = binding == nullptr
                          ? caf::actor{}
                          : directory_->find(edge_names::service_module(settings_.node, binding->service.name));
  if (!module)
    return verdict(*about, "dropped", settings_.node, "hold_timeout: the service's module is not running");
  request(module, foretelling_patience, foretell_decision{about->packet})
      .then(
          [this, about](foretold_decision& decision) {
            for (auto& each : decision.entries)
              about->entries.push_back(std::move(each));
            if (decision.path)
              return foretell_path(about, std::move(*decision.path), direction::forward, 0);
            if (decision.pass)
              return route(*about, settings_.node);
            verdict(*about, "dropped", settings_.node, std::string{to_string(decision.refusal)});
          },
          [this, about](const caf::error& error) {
            verdict(*about, "unknown", settings_.node, "the service's module: " + runtime::describe(error));
          });
}

void switch_agent::foretell_lookup(const std::shared_ptr<foretelling>& about) {
  const auto& packet = about->packet;
  store_.get(store::table::flows, model::keys::flow(packet.tenant, packet.tuple),
             [this, about](const expected<store::op_result, store::store_error>& got) {
               const auto& packet = about->packet;
               if (!got)
                 return verdict(*about, "dropped", settings_.node,
                                std::string{to_string(drop_reason::store_unavailable)});
               const auto record = got->found ? model::decode<model::flow_record>(got->found->value) : std::nullopt;
               auto looked_up = entry(packet.trace, "looked_up", {{"in_store", record.has_value()}});
               if (record) {
                 looked_up.fields.push_back({"version", got->found->version});
                 looked_up.fields.push_back({"path", model::keys::path(record->path)});
                 looked_up.fields.push_back({"decided_by", record->initiator});
               }
               about->entries.push_back(foretold(std::move(looked_up)));
               if (!record) {
                 const auto* binding = binding_of(packet.rule_cookie);
                 if (packet.reason == packet_in_reason::reply_rule && binding != nullptr && !binding->stateful)
                   return route(*about, settings_.node);
                 return verdict(*about, "dropped", settings_.node,
                                std::string{to_string(packet.reason == packet_in_reason::vnf_miss
                                                          ? drop_reason::vnf_unknown_flow
                                                          : drop_reason::reply_unknown_flow)});
               }
               foretell_path(about, {record->path, record->service, {}},
                             record->forward == packet.tuple ? direction::forward : direction::reverse, 0);
             });
}

void switch_agent::foretell_path(const std::shared_ptr<foretelling>& about, model::service_path path, direction way,
                                 std::size_t position) {
  if (const auto known = paths_.find(path.id); known != paths_.end())
    path = known->second;
  if (!path.instances.empty())
    return walk(*about, path, way, position);
  store_.get(
      store::table::paths, model::keys::path(path.id),
      [this, about, way, position](const expected<store::op_result, store::store_error>& got) {
        const auto read = got && got->found ? model::decode<model::service_path>(got->found->value) : std::nullopt;
        if (!read)
          return verdict(*about, "dropped", settings_.node,
                         std::string{to_string(got ? drop_reason::unknown_path : drop_reason::store_unavailable)});
        walk(*about, *read, way, position);
      });
}

/// From hop to hop, as the instances are placed now.
void switch_agent::walk(foretelling& about, const model::service_path& path, direction way, std::size_t position) {
  auto node = settings_.node;
  const auto count = path.instances.size();
  for (auto k = position; k < count; ++k) {
    const auto& name = path.instances[way == direction::forward ? k : count - 1 - k];
    const auto known = instances_.find(name);
    if (known == instances_.end())
      return verdict(about, "dropped", node, "unknown_path: nobody knows where instance " + name + " is");
    const auto& instance = known->second;
    auto hop = foretold(entry(about.packet.trace, "hop",
                              {{"position", std::uint64_t{k}},
                               {"instance", instance.name},
                               {"class", instance.vnf_class},
                               {"path", model::keys::path(path.id)},
                               {"rloc", glocal::to_string(instance.rloc)}}));
    hop.node = node = instance.node;
    about.entries.push_back(std::move(hop));
  }
  route(about, node);
}

/// By destination EID, from the edge where the path ends.
void switch_agent::route(foretelling& about, const std::string& from) {
  const auto& destination = about.packet.tuple.destination;
  auto taken = foretold(entry(about.packet.trace, "eid_route"));
  taken.node = from;
  const ip_prefix* local = nullptr;
  for (const auto& attachment : settings_.attachments)
    for (const auto& prefix : attachment.prefixes)
      if (attachment.tenant == about.packet.tenant && prefix.contains(destination) &&
          (local == nullptr || prefix.length > local->length))
        local = &prefix;
  const auto* mapping = mapping_of(about.packet.tenant, destination);
  if (local != nullptr && (mapping == nullptr || local->length >= mapping->eid.length)) {
    taken.fields = {{"eid", glocal::to_string(*local)}, {"to_node", settings_.node}};
    about.entries.push_back(std::move(taken));
    return verdict(about, "delivered", settings_.node);
  }
  if (mapping == nullptr) {
    about.entries.push_back(std::move(taken));
    return verdict(about, "dropped", from, std::string{to_string(drop_reason::no_route)});
  }
  taken.fields = {{"eid", glocal::to_string(mapping->eid)},
                  {"to_node", mapping->node},
                  {"to_rloc", glocal::to_string(mapping->rloc)}};
  const auto node = mapping->node;
  about.entries.push_back(std::move(taken));
  verdict(about, "delivered", node);
}

const model::eid_mapping* switch_agent::mapping_of(model::tenant_id tenant, const ip_address& address) const {
  const model::eid_mapping* best = nullptr;
  for (const auto& [key, mapping] : mappings_)
    if (mapping.tenant == tenant && mapping.eid.contains(address) &&
        (best == nullptr || mapping.eid.length > best->eid.length))
      best = &mapping;
  return best;
}

void switch_agent::verdict(foretelling& about, const std::string& result, const std::string& node,
                           const std::string& reason) {
  auto last = foretold(entry(about.packet.trace, "verdict", {{"result", result}}));
  last.node = node;
  if (!reason.empty())
    last.fields.push_back({"reason", reason});
  about.entries.push_back(std::move(last));
  about.promise.deliver(foretold_walk{std::move(about.entries)});
}

} // namespace glocal::actors
