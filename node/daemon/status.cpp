#include "node/daemon/status.hpp"

#include "dataplane/wire/drop_reason.hpp"
#include "node/daemon/kind_names.hpp"
#include "node/daemon/object_writer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include <unistd.h>

namespace glocal::node {

using nlohmann::json;
using runtime::actor_record;

std::string state_of(const actor_record& actor, std::string_view key) {
  const auto found =
      std::find_if(actor.state.begin(), actor.state.end(), [&](const auto& entry) { return entry.first == key; });
  return found == actor.state.end() ? std::string{} : found->second;
}

std::uint64_t number_of(const actor_record& actor, std::string_view key) {
  const auto text = state_of(actor, key);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool names_a_secret(std::string_view key) {
  // Without a copy: it is asked of each entry of ten thousand actors.
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::ranges::any_of(
      std::array<std::string_view, 6>{"token", "secret", "password", "passphrase", "private", "credential"},
      [&](std::string_view word) {
        return std::search(key.begin(), key.end(), word.begin(), word.end(), same) != key.end();
      });
}

std::vector<const actor_record*> of_kind(const std::vector<actor_record>& records, std::string_view kind) {
  std::vector<const actor_record*> out;
  for (const auto& record : records)
    if (record.kind == kind)
      out.push_back(&record);
  return out;
}

namespace {

constexpr double ns_per_us = 1e3;

std::string_view shown_value(std::string_view key, std::string_view value) {
  return names_a_secret(key) ? std::string_view{"(not shown)"} : value;
}

/// An actor's state in a word, or the beginning of its own words; empty when it has none.
std::string brief_state(const actor_record& actor) {
  if (const auto ready = state_of(actor, "ready"); !ready.empty())
    return ready == "true" ? "ready" : "not ready";
  if (const auto healthy = state_of(actor, "healthy"); !healthy.empty())
    return healthy == "true" ? "healthy" : "unhealthy";
  if (actor.state.empty())
    return {};
  const auto& [key, value] = actor.state.front();
  return (key + ' ').append(shown_value(key, value));
}

bool is_ready(const actor_record& actor) {
  return state_of(actor, "ready") == "true";
}

json drops_json(const dataplane::counters& counters) {
  json drops = json::object();
  for (std::size_t i = 0; i < dataplane::drop_reason_count; ++i)
    if (const auto count = counters.drops[i].value(); count != 0)
      drops[std::string{dataplane::to_string(static_cast<dataplane::drop_reason>(i))}] = count;
  return drops;
}

json ports_json(const status_sources& sources) {
  json ports = json::array();
  for (const auto& port : sources.ports) {
    const auto& counted = sources.counters->ports[port.id];
    ports.push_back({{"name", port.name},
                     {"kind", port.kind},
                     {"rx_packets", counted.rx_packets.value()},
                     {"rx_bytes", counted.rx_bytes.value()},
                     {"tx_packets", counted.tx_packets.value()},
                     {"tx_bytes", counted.tx_bytes.value()}});
  }
  return ports;
}

json edge_status(const status_sources& sources, const std::vector<actor_record>& records) {
  auto out = counters_json(sources);
  bool ready = true;
  const auto all_ready = [&](std::string_view kind, bool at_least_one) {
    auto actors = of_kind(records, kind);
    ready &= !(at_least_one && actors.empty()) &&
             std::all_of(actors.begin(), actors.end(), [](const auto* actor) { return is_ready(*actor); });
    return actors;
  };
  for (const auto* agent : all_ready("switch agent", true)) {
    out["paths_resolved"] = number_of(*agent, "paths_resolved");
    out["flows_looked_up"] = number_of(*agent, "flows_looked_up");
  }
  all_ready("edge controller", true);
  json services = json::array();
  std::uint64_t decided = 0, adopted = 0, cached = 0, refused = 0;
  for (const auto* module : all_ready("service module", false)) {
    services.push_back(state_of(*module, "service"));
    decided += number_of(*module, "decided");
    adopted += number_of(*module, "adopted");
    cached += number_of(*module, "cached");
    refused += number_of(*module, "no_candidate") + number_of(*module, "store_failures");
  }
  out["services"] = services;
  out["decided"] = decided;
  out["adopted"] = adopted;
  out["cached"] = cached;
  out["refused"] = refused;
  out["instances"] = json::array();
  for (const auto* monitor : of_kind(records, "vnf monitor"))
    out["instances"].push_back({{"name", state_of(*monitor, "instance")},
                                {"class", state_of(*monitor, "class")},
                                {"healthy", state_of(*monitor, "healthy") == "true"},
                                {"flows", number_of(*monitor, "flows")},
                                {"packets", number_of(*monitor, "packets")}});
  out["ready"] = ready;
  return out;
}

json store_status(const actor_record& node, const std::string& where, const std::vector<actor_record>& records) {
  json operations = json::object();
  for (const auto* kind : {"gets", "puts", "puts_if_absent", "compare_and_sets", "erases", "scans"})
    operations[kind] = number_of(node, kind);
  // Without it everything goes on but fail-over.
  const auto ways = of_kind(records, "store register");
  const bool answers = std::ranges::all_of(ways, [](const auto* way) { return state_of(*way, "answers") == "true"; });
  return {{"slots", number_of(node, "slots")},
          {"copies", number_of(node, "copies")},
          {"keys", number_of(node, "keys")},
          {"watchers", number_of(node, "watchers")},
          {"operations", operations},
          {"register", {{"what", where}, {"answers", answers}}},
          {"ready", is_ready(node)}};
}

/// Of a store node whose cluster's store is on etcd: it has nothing but its way there.
json etcd_status(const actor_record& client, const std::string& where) {
  const bool answers = state_of(client, "answers") == "true";
  return {{"backend", "etcd"}, {"register", {{"what", where}, {"answers", answers}}}, {"ready", answers}};
}

json mano_status(const actor_record& mano) {
  json problems = json::object();
  for (const auto& [key, value] : mano.state)
    if (key.starts_with("instance ") && value.find(": ") != std::string::npos)
      problems[key.substr(9)] = value;
  return {{"state", is_ready(mano) ? "all instances run" : "at work"},
          {"services", number_of(mano, "services")},
          {"instances", state_of(mano, "instances")},
          {"problems", problems},
          {"ready", is_ready(mano)}};
}

} // namespace

std::vector<actor_record> fresh_records(const runtime::observatory& actors, std::chrono::milliseconds patience) {
  actors.refresh(patience);
  return actors.snapshot();
}

json node_status(const status_sources& sources, const std::vector<actor_record>& records,
                 const runtime::transport_stats& peers) {
  json roles = json::array();
  for (const auto role : sources.self.roles)
    roles.push_back(std::string{to_string(role)});
  json peer_list = json::array();
  for (const auto& [name, peer] : peers.peers)
    peer_list.push_back({{"node", name},
                         {"state", peer.connected ? "up" : "down"},
                         {"reason", peer.last_reason},
                         {"suspicion", peer.suspicion},
                         {"encryption", peer.encryption},
                         {"queued_bytes", peer.queued_bytes},
                         {"under_way_bytes", peer.under_way_bytes}});
  const auto uptime = std::chrono::duration<double>(std::chrono::steady_clock::now() - sources.started).count();
  json out{{"node", sources.self.name}, {"roles", roles},    {"pid", ::getpid()}, {"uptime_s", uptime},
           {"version", GLOCAL_VERSION}, {"peers", peer_list}};
  bool ready = true;
  if (sources.counters != nullptr) {
    out["edge"] = edge_status(sources, records);
    ready &= out["edge"]["ready"].get<bool>();
  }
  for (const auto* node : of_kind(records, "store node")) {
    out["store"] = store_status(*node, sources.store_register, records);
    ready &= is_ready(*node);
  }
  if (sources.store_is_etcd && sources.self.has(role::store))
    for (const auto* client : of_kind(records, "store client")) {
      out["store"] = etcd_status(*client, sources.store_register);
      ready &= out["store"]["ready"].get<bool>();
    }
  for (const auto* mano : of_kind(records, "mano")) {
    out["mano"] = mano_status(*mano);
    ready &= is_ready(*mano);
  }
  for (const auto* server : of_kind(records, "map server")) {
    out["lisp"] = {{"mappings", number_of(*server, "mappings")},
                   {"subscriptions", number_of(*server, "subscriptions")},
                   {"map_requests", number_of(*server, "map_requests")},
                   {"map_registers", number_of(*server, "map_registers")},
                   {"ready", is_ready(*server)}};
    ready &= is_ready(*server);
  }
  out["ready"] = ready;
  return out;
}

std::string actors_text(const std::vector<actor_record>& records, const actors_wanted& which) {
  const auto seconds = [](std::chrono::steady_clock::duration span) {
    return std::chrono::duration<double>(span).count();
  };
  std::unordered_map<std::uint64_t, std::string_view> names;
  for (const auto& record : records)
    names.emplace(record.id, record.name);
  std::string out = "{\"actors\":[";
  out.reserve((which.with_state ? 900 : 500) * (which.name ? 1 : records.size()));
  for (const auto& record : records) {
    if (which.name && record.name != *which.name)
      continue;
    object_writer one{out};
    one.add("id", record.id);
    one.add("parent", record.parent);
    if (const auto parent = names.find(record.parent); parent != names.end())
      one.add("parent_name", parent->second);
    else
      one.add_null("parent_name");
    one.add("node", record.node);
    one.add("kind", record.kind);
    one.add("name", record.name);
    one.add("mailbox", record.mailbox_depth);
    one.add("mailbox_peak", record.mailbox_peak);
    one.add("messages_in", record.messages_in);
    one.add("messages_out", record.messages_out);
    one.add("messages_in_per_s", record.in_rate);
    one.add("messages_out_per_s", record.out_rate);
    one.add("oldest_wait_s", seconds(record.oldest_wait));
    one.add("unhandled", record.unhandled);
    one.add("handling_p50_us", static_cast<double>(record.handling_p50) / ns_per_us);
    one.add("handling_p99_us", static_cast<double>(record.handling_p99) / ns_per_us);
    one.add("handling_max_us", static_cast<double>(record.handling_max) / ns_per_us);
    one.add("age_s", seconds(record.age));
    one.add("restarts", std::uint64_t{record.restarts});
    one.add("last_error", record.last_error);
    const bool answered = record.state_age.count() >= 0;
    one.add("state_age_s", answered ? std::optional<double>{seconds(record.state_age)} : std::nullopt);
    one.add("state_brief", answered ? brief_state(record) : "no answer");
    if (which.with_state) {
      object_writer state = one.object("state");
      for (const auto& [key, value] : record.state)
        state.add(key, shown_value(key, value));
    }
    one.close();
    out += ',';
  }
  if (out.back() == ',')
    out.pop_back();
  return out + "]}";
}

json dead_letters_json(const runtime::letter_counts& letters) {
  json out = json::array();
  for (const auto& [letter, count] : letters)
    out.push_back({{"from", letter.from},
                   {"to", letter.to},
                   {"kind", kind_of(letter)},
                   {"returned", letter.returned},
                   {"messages", count}});
  return {{"dead_letters", out}};
}

json counters_json(const status_sources& sources) {
  if (sources.counters == nullptr)
    return json::object();
  const auto& counted = *sources.counters;
  const auto microseconds = [](const histogram& of, double q) {
    return static_cast<double>(of.quantile(q)) / ns_per_us;
  };
  return {{"flows", counted.flows_now.value()},
          {"flows_installed", counted.flows_installed.value()},
          {"flows_restored", counted.flows_restored.value()},
          {"flows_forgotten", counted.flows_forgotten.value()},
          {"packet_ins", counted.packet_ins.value()},
          {"icmp_errors_sent", counted.errors_sent.value()},
          {"exact_hits", counted.exact_hits.value()},
          {"exact_misses", counted.exact_misses.value()},
          {"classifier_lookups", counted.classifier_lookups.value()},
          {"held", counted.held_now.value()},
          {"held_peak", counted.held_peak.value()},
          {"drops", drops_json(counted)},
          {"ports", ports_json(sources)},
          {"setup_p50_us", microseconds(counted.setup_latency, 0.5)},
          {"setup_p99_us", microseconds(counted.setup_latency, 0.99)},
          {"first_packet_p50_us", microseconds(counted.first_packet_delay, 0.5)},
          {"first_packet_p99_us", microseconds(counted.first_packet_delay, 0.99)}};
}

} // namespace glocal::node
