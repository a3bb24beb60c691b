#include "node/daemon/api.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"

#include <caf/scoped_actor.hpp>
#include <nlohmann/json.hpp>

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

} // namespace

std::map<std::string, http_api::handler> api_handlers(caf::actor_system& system, runtime::transport transport,
                                                      status_sources sources) {
  const auto shared = std::make_shared<const status_sources>(std::move(sources));
  const auto via = std::make_shared<const runtime::transport>(std::move(transport));
  return {
      {"status",
       [&system, via, shared] {
         return node_status(*shared, fresh_records(shared->actors, refresh_patience), peer_stats(system, *via));
       }},
      {"actors", [shared] { return actors_json(fresh_records(shared->actors, refresh_patience)); }},
      {"counters", [shared] { return counters_json(*shared); }},
      {"flows", [&system, via] { return flows_json(read_table(system, *via, store::table::flows)); }},
      {"paths", [&system, via] { return paths_json(read_table(system, *via, store::table::paths)); }},
  };
}

} // namespace glocal::node
