#include "actors/edge/service_module.hpp"

#include "actors/edge/trace_steps.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "dataplane/wire/drop_reason.hpp"

#include <algorithm>

// What a service module writes down of packets that are traced, and what it says it would do.

namespace glocal::actors {

namespace {

std::uint64_t nanoseconds(std::chrono::steady_clock::time_point time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names)
    out += (out.empty() ? "" : ", ") + name;
  return out;
}

const char* name_of(store::op_code code) noexcept {
  switch (code) {
  case store::op_code::ok: return "won";
  case store::op_code::conflict: return "lost";
  case store::op_code::not_found: return "not found";
  case store::op_code::no_such_lease: break;
  }
  return "the edge's lease ran out";
}

} // namespace

trace_entry service_module::entry(dataplane::trace_id trace, std::string what, std::vector<trace_field> fields) const {
  trace_entry out;
  out.trace = trace;
  out.at_ns = nanoseconds(clock().now());
  out.node = settings_.edge;
  out.who = "service/" + settings_.service.name;
  out.what = std::move(what);
  out.fields = std::move(fields);
  return out;
}

void service_module::note(const dataplane::packet_in& packet, std::string what, std::vector<trace_field> fields) {
  settings_.traces->add(entry(packet.trace, std::move(what), std::move(fields)));
}

std::vector<trace_choice> service_module::explained(const chain_chooser::explanation& why) const {
  std::vector<trace_choice> out;
  const auto now = clock().now();
  for (std::size_t i = 0; i < why.classes.size() && i < settings_.service.chain.size(); ++i) {
    trace_choice choice;
    choice.vnf_class = settings_.service.chain[i];
    if (const auto known = digests_.find(choice.vnf_class); known != digests_.end()) {
      choice.version = known->second.version;
      choice.age_s = std::chrono::duration<double>{now - known->second.received}.count();
      choice.is_suspect = known->second.is_suspect;
    }
    choice.candidates = why.classes[i];
    out.push_back(std::move(choice));
  }
  return out;
}

void service_module::note_choice(const dataplane::packet_in& packet, const std::vector<std::string>& chain,
                                 const chain_chooser::explanation& why) {
  auto decided = entry(packet.trace, "decided",
                       {{"chain", joined(chain)},
                        {"policy", std::string{policy::name(settings_.service.policy.kind)}},
                        {"because", why.reason}});
  decided.choices = explained(why);
  settings_.traces->add(std::move(decided));
}

void service_module::note_publication(const proposed_flow& flow, const store::op_result& result,
                                      std::chrono::nanoseconds took) {
  std::vector<trace_field> fields{{"result", std::string{name_of(result.code)}},
                                  {"round_trip_us", static_cast<double>(took.count()) / 1e3},
                                  {"proposed_path", model::keys::path(flow.path)}};
  const auto winner = result.found ? model::decode<model::flow_record>(result.found->value) : std::nullopt;
  if (winner) {
    fields.push_back({"version", result.found->version});
    fields.push_back({"path", model::keys::path(winner->path)});
    fields.push_back({"decided_by", winner->initiator});
  }
  note(flow.packet, "put_if_absent", std::move(fields));
}

std::optional<model::service_path> service_module::path_of(model::path_id id) const {
  const auto known = std::find_if(paths_.begin(), paths_.end(), [&](const auto& each) { return each.second == id; });
  if (known == paths_.end())
    return std::nullopt;
  return model::service_path{id, settings_.service.name, known->first};
}

caf::result<foretold_decision> service_module::foretell(const dataplane::packet_in& packet) {
  foretold_decision decision;
  const auto key = model::keys::flow(packet.tenant, packet.tuple);
  const auto foretold = [](trace_entry made) {
    made.at_ns = 0;
    return made;
  };
  if (const auto known = flows_.find(key); known != flows_.end()) {
    decision.entries.push_back(
        foretold(entry(packet.trace, "remembered",
                       {{"path", model::keys::path(known->second.record.path)}, {"version", known->second.version}})));
    decision.path = path_of(known->second.record.path);
    if (!decision.path) // another service's then, or gone: the agent asks the store
      decision.path = model::service_path{known->second.record.path, settings_.service.name, {}};
  } else {
    // On a copy: neither the count of choices nor the next draw is touched.
    auto chooser = chooser_;
    chain_chooser::explanation why;
    const auto chain = chooser.choose(packet.tenant, packet.tuple, clock().now().time_since_epoch(), &why);
    if (!chain) {
      decision.entries.push_back(foretold(entry(packet.trace, "no_candidate", {{"class", chain.error().vnf_class}})));
      decision.pass = settings_.service.on_store_loss == model::fallback::pass;
      return decision;
    }
    auto decided = foretold(entry(packet.trace, "decided",
                                  {{"chain", joined(*chain)},
                                   {"policy", std::string{policy::name(settings_.service.policy.kind)}},
                                   {"because", why.reason}}));
    decided.choices = explained(why);
    decision.entries.push_back(std::move(decided));
    const auto known_path = paths_.find(*chain);
    const bool is_made = known_path != paths_.end();
    decision.path = {is_made ? known_path->second : first_path_id(settings_.service.name, *chain),
                     settings_.service.name, *chain};
    decision.entries.push_back(foretold(
        entry(packet.trace, "path", {{"path", model::keys::path(decision.path->id)}, {"to_be_made", !is_made}})));
  }
  auto promise = make_response_promise<caf::typed_response_promise<foretold_decision>>();
  store_.get(store::table::flows, key,
             [this, packet, decision = std::move(decision),
              promise](const expected<store::op_result, store::store_error>& got) mutable {
               if (got)
                 foretell_publication(decision, packet, got->found);
               else {
                 auto failed = entry(packet.trace, "store", {{"error", std::string{store::name(got.error())}}});
                 failed.at_ns = 0;
                 decision.entries.push_back(std::move(failed));
                 const auto* path = decision.path && !decision.path->instances.empty() ? &*decision.path : nullptr;
                 if (decides_alone() && path != nullptr && paths_.contains(path->instances)) {
                   auto alone = entry(packet.trace, "provisional", {{"path", model::keys::path(path->id)}});
                   alone.at_ns = 0;
                   decision.entries.push_back(std::move(alone));
                   promise.deliver(std::move(decision));
                   return;
                 }
                 decision.pass = settings_.service.on_store_loss == model::fallback::pass;
                 decision.refusal = dataplane::drop_reason::store_unavailable;
                 decision.path.reset();
               }
               promise.deliver(std::move(decision));
             });
  return promise;
}

/// What put-if-absent would meet, and who would win.
void service_module::foretell_publication(foretold_decision& decision, const dataplane::packet_in& packet,
                                          const std::optional<store::entry>& found) const {
  const auto standing = found ? model::decode<model::flow_record>(found->value) : std::nullopt;
  std::vector<trace_field> fields{{"in_store", standing.has_value()}};
  if (standing) {
    fields.push_back({"version", found->version});
    fields.push_back({"path", model::keys::path(standing->path)});
    fields.push_back({"decided_by", standing->initiator});
    if (!decision.path || decision.path->id != standing->path)
      decision.path = path_of(standing->path).value_or(model::service_path{standing->path, standing->service, {}});
  }
  auto read = entry(packet.trace, "store", std::move(fields));
  read.at_ns = 0;
  decision.entries.push_back(std::move(read));
}

} // namespace glocal::actors
