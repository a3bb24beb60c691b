#include "node/daemon/api.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "actors/store/messages.hpp"
#include "actors/store/names.hpp"
#include "base/log.hpp"
#include "node/daemon/actor_trace.hpp"
#include "node/daemon/lisp_api.hpp"
#include "node/daemon/metrics.hpp"
#include "node/daemon/store_api.hpp"
#include "node/daemon/store_report.hpp"
#include "runtime/supervisor.hpp"
#include "runtime/system.hpp"

#include <caf/scoped_actor.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace glocal::node {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// A scan of every slot of every node, with a store node down in between.
constexpr auto scan_timeout = 10s;
constexpr auto stats_timeout = 1s;
/// How long a busy actor may keep the status waiting.
constexpr auto refresh_patience = 250ms;

std::vector<store::entry> read_table(caf::actor_system& system, const runtime::transport& transport,
                                     store::table table) {
  const auto view = transport.directory->find(store_view_name);
  if (!view)
    throw std::runtime_error{"the store view is not running"};
  scanned_table answer;
  std::string failure;
  caf::scoped_actor self{system};
  self->request(view, scan_timeout, scan_table{table})
      .receive([&](scanned_table& scanned) { answer = std::move(scanned); },
               [&](const caf::error& error) { failure = runtime::describe(error); });
  if (!failure.empty())
    throw std::runtime_error{"table " + std::string{store::name(table)} + " can't be read: " + failure};
  return std::move(answer.entries);
}

runtime::transport_stats peer_stats(caf::actor_system& system, const runtime::transport& transport) {
  runtime::transport_stats stats;
  caf::scoped_actor self{system};
  // Without an answer the peers are simply not shown.
  self->request(transport.router, stats_timeout, runtime::stats_atom_v)
      .receive([&](runtime::transport_stats& answer) { stats = std::move(answer); }, [](const caf::error&) {});
  return stats;
}

json flows_json(const std::vector<store::entry>& entries) {
  json flows = json::array();
  for (const auto& entry : entries)
    if (const auto flow = model::decode<model::flow_record>(entry.value))
      flows.push_back({{"tuple", to_string(flow->forward)},
                       {"tenant", flow->tenant},
                       {"service", flow->service},
                       {"initiator", flow->initiator},
                       {"path", model::keys::path(flow->path)},
                       {"version", entry.version}});
  return {{"flows", flows}};
}

json paths_json(const std::vector<store::entry>& entries) {
  json paths = json::array();
  for (const auto& entry : entries)
    if (const auto path = model::decode<model::service_path>(entry.value))
      paths.push_back({{"id", model::keys::path(path->id)},
                       {"service", path->service},
                       {"instances", path->instances},
                       {"version", entry.version}});
  return {{"paths", paths}};
}

std::string text_at(const json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end() || !found->is_string())
    throw api_refusal{400, std::string{"the body has no text '"} + key + "'"};
  return found->get<std::string>();
}

/// Of `?name=` and `?state=brief`.
actors_wanted wanted_actors(const api_query& query) {
  actors_wanted out;
  for (const auto& [key, value] : query)
    if (key == "name")
      out.name = value;
    else if (key == "state" && (value == "brief" || value == "full"))
      out.with_state = value == "full";
    else
      throw api_refusal{400, std::string{"actors are not to be had by '"}.append(key).append("=").append(value).append(
                                 "'; there are name=NAME, state=brief")};
  return out;
}

/// Ends the actor `name` as a failure would. Only what a supervisor starts again: the rest of the node relies on it.
json kill_actor(const runtime::observatory& actors, const json& body) {
  const auto name = text_at(body, "name");
  const auto records = actors.snapshot();
  const auto found = std::find_if(records.begin(), records.end(), [&](const auto& one) { return one.name == name; });
  if (found == records.end())
    throw api_refusal{404, "there is no actor '" + name + "'"};
  const auto parent =
      std::find_if(records.begin(), records.end(), [&](const auto& one) { return one.id == found->parent; });
  if (parent == records.end() || parent->kind != runtime::supervisor::kind)
    throw api_refusal{409, name + " has no supervisor that would start it again" +
                               (parent == records.end() ? "" : "; its parent is " + parent->name)};
  if (!actors.kill(found->id))
    throw api_refusal{409, name + " has just ended by itself"};
  spdlog::warn("{} is killed on request", name);
  return {{"name", name}, {"id", found->id}, {"supervisor", parent->name}};
}

/// Who the Map-Server of this node would send SMRs to.
json read_requesters(caf::actor_system& system, const runtime::transport& transport, const std::string& node) {
  constexpr std::size_t most_rows = 10'000;
  const auto server = transport.directory->find(actors::lisp_actor_name(node));
  if (!server)
    throw api_refusal{404, node + " has not the role 'lisp'"};
  actors::lisp_requesters answer;
  caf::scoped_actor self{system};
  std::string failure;
  self->request(server, stats_timeout, actors::list_lisp_requesters{most_rows})
      .receive([&](actors::lisp_requesters& told) { answer = std::move(told); },
               [&](const caf::error& error) { failure = runtime::describe(error); });
  if (!failure.empty())
    throw std::runtime_error{"the Map-Server does not answer: " + failure};
  return requesters_json(answer);
}

/// Writes what an operator says of an EID.
json change_mapping(caf::actor_system& system, const runtime::transport& transport, const json& body) {
  auto operation = mapping_operation(body);
  if (!operation)
    throw api_refusal{400, operation.error()};
  const auto client = transport.directory->find(actors::store_client_name);
  if (!client)
    throw std::runtime_error{"the store client is not running"};
  store::batch_reply answer{unexpected{store::store_error::timeout}};
  caf::scoped_actor self{system};
  self->request(client, scan_timeout, actors::store_messages::execute{{std::move(*operation)}, scan_timeout / 2})
      .receive([&](actors::store_messages::executed& done) { answer = std::move(done.reply); },
               [](const caf::error&) {});
  if (!answer)
    throw std::runtime_error{"the store did not take it: " + std::string{store::name(answer.error())}};
  if (answer->front().code == store::op_code::not_found)
    throw api_refusal{404, "there is no mapping of " + text_at(body, "eid")};
  return {{"eid", body.value("eid", "")}};
}

/// Messages to names nobody has and to actors that have ended.
runtime::letter_counts all_letters(const runtime::transport& via, const runtime::observatory& actors) {
  runtime::letter_counts out;
  via.directory->letters().add_to(out);
  actors.letters().add_to(out);
  return out;
}

json log_json() {
  return {{"level", log_level()}, {"levels", log_levels()}};
}

json change_log(const json& body) {
  const auto former = log_level();
  const auto wanted = text_at(body, "level");
  if (!set_log_level(wanted))
    throw api_refusal{400, "there is no log level '" + wanted + "'"};
  // At the level itself, so that it is seen whatever the level is.
  spdlog::log(spdlog::default_logger()->level(), "log level is {} from now on, was {}", wanted, former);
  auto out = log_json();
  out["former"] = former;
  return out;
}

} // namespace

api_handlers make_api(caf::actor_system& system, runtime::transport transport, status_sources sources,
                      store::slot_id slot_count) {
  const auto shared = std::make_shared<const status_sources>(std::move(sources));
  const auto via = std::make_shared<const runtime::transport>(std::move(transport));
  const auto records = [shared] { return fresh_records(shared->actors, refresh_patience); };
  auto& actors = dynamic_cast<const runtime::system_config&>(system.config()).observatory();
  api_handlers out;
  out.get = {
      {"status", [&system, via, shared, records] { return node_status(*shared, records(), peer_stats(system, *via)); }},
      {"deadletters", [via, shared] { return dead_letters_json(all_letters(*via, shared->actors)); }},
      {"counters", [shared] { return counters_json(*shared); }},
      {"flows", [&system, via] { return flows_json(read_table(system, *via, store::table::flows)); }},
      {"paths", [&system, via] { return paths_json(read_table(system, *via, store::table::paths)); }},
      {"lisp/registrations",
       [&system, via] { return registrations_json(read_table(system, *via, store::table::mappings)); }},
      {"lisp/subscribers",
       [&system, via] { return subscribers_json(read_table(system, *via, store::table::subscriptions)); }},
      {"lisp/requesters", [&system, via, shared] { return read_requesters(system, *via, shared->self.name); }},
      {"log", log_json},
  };
  out.get_written = {
      {"actors", [records](const api_query& query) { return actors_text(records(), wanted_actors(query)); }},
  };
  if (shared->self.has(role::store))
    out.get_written["store/status"] = [shared, records, slot_count](const api_query&) {
      return store_report(shared->self.name, slot_count, shared->store_is_etcd ? shared->store_register : std::string{},
                          records());
    };
  out.post = {
      {"actors/kill", [shared](const json& body) { return kill_actor(shared->actors, body); }},
      {"actors/trace", [&actors](const json& body) { return start_actor_trace(actors, body); }},
      {"actors/trace/read", [&actors](const json& body) { return read_actor_trace(actors, body); }},
      {"actors/trace/stop", [&actors](const json& body) { return stop_actor_trace(actors, body); }},
      {"lisp/map", [&system, via](const json& body) { return change_mapping(system, *via, body); }},
      {"lisp/unmap", [&system, via](const json& body) { return change_mapping(system, *via, body); }},
      {"log", change_log},
  };
  out.text = {
      {"/metrics",
       [&system, via, shared, records] {
         return metrics_text({*shared, records(), peer_stats(system, *via), all_letters(*via, shared->actors)});
       }},
  };
  add_store_api(out, system, *via, slot_count);
  if (shared->store_is_etcd) {
    out.get_call["store/slot"] = [](const api_call&) -> api_answer {
      throw api_refusal{409, "the store is on etcd and has no slots; 'etcdctl snapshot save' keeps all of it",
                        "on_etcd"};
    };
    for (const char* steering : {"store/drain", "store/rebalance"})
      out.post_call[steering] = [](const api_call&) -> api_answer {
        throw api_refusal{409, "the store is on etcd: its nodes hold no slots that could move", "on_etcd"};
      };
  }
  return out;
}

} // namespace glocal::node
