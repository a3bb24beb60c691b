// status, chain, flow: what the nodes of a running cluster say, gathered and rendered. A field a node does not send is
// shown as '-'; a node that does not answer makes the answer partial.

#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>

namespace glocal::cli {
namespace {

using nlohmann::json;

/// `12 (no_route 10, bad_checksum 2)`
std::string sum_with_parts(const json& counters) {
  if (!counters.is_object())
    return cell(counters);
  std::uint64_t sum = 0;
  std::string parts;
  for (const auto& [name, count] : counters.items())
    if (count.is_number_unsigned() && count.get<std::uint64_t>() > 0) {
      sum += count.get<std::uint64_t>();
      parts += (parts.empty() ? "" : ", ") + name + " " + count.dump();
    }
  return std::to_string(sum) + (parts.empty() ? "" : " (" + parts + ")");
}

std::string peers_up(const json& peers) {
  if (!peers.is_array())
    return "-";
  const auto up =
      std::count_if(peers.begin(), peers.end(), [](const auto& peer) { return at(peer, {"state"}) == "up"; });
  // As runtime/suspicion.hpp counts; the nodes say so to those who subscribe from the same level on.
  constexpr double probably_gone = 8;
  std::string suspects;
  for (const auto& peer : peers)
    if (const auto& level = at(peer, {"suspicion"}); level.is_number() && level.get<double>() >= probably_gone)
      suspects += ' ' + cell(at(peer, {"node"}));
  return std::to_string(up) + "/" + std::to_string(peers.size()) + (suspects.empty() ? "" : ", silent:" + suspects);
}

/// Where fail-overs are decided, and whether that answers.
std::string register_cell(const json& store_register) {
  if (!store_register.is_object())
    return "-";
  return cell(at(store_register, {"what"})) + (at(store_register, {"answers"}) == false ? " (no answer)" : "");
}

/// Of the peers that are connected: whether their connections are encrypted.
std::string encrypted(const json& peers) {
  std::size_t up = 0, sealed = 0;
  for (const auto& peer : list(peers))
    if (at(peer, {"state"}) == "up") {
      ++up;
      const auto& by = at(peer, {"encryption"});
      sealed += by.is_string() && !by.get<std::string>().empty() ? 1 : 0;
    }
  return up == 0 ? "-" : sealed == up ? "yes" : sealed == 0 ? "no" : std::to_string(sealed) + "/" + std::to_string(up);
}

void print_section(const std::string& text) {
  if (!text.empty())
    std::cout << '\n' << text;
}

void print_status(const node::cluster_state& state, const std::vector<answer>& answers) {
  std::cout << "cluster " << state.cluster << " (" << state.config.string() << "), " << to_string(state.phase)
            << "\n\n";
  table nodes{{"NODE", "ROLES", "READY", "PID", "UPTIME", "PEERS UP", "TLS"}};
  table edges{{"EDGE", "FLOWS", "PACKET-INS", "EXACT HITS", "HELD", "SET-UP p50/p99 us", "DROPS"}};
  table instances{{"INSTANCE", "CLASS", "EDGE", "HEALTHY", "FLOWS", "PACKETS"}};
  table stores{{"STORE", "SLOTS", "COPIES", "KEYS", "WATCHERS", "REGISTER", "OPERATIONS"}};
  table manos{{"MANO", "STATE", "SERVICES", "INSTANCES"}};
  table map_servers{{"LISP", "MAPPINGS", "SUBSCRIPTIONS", "MAP-REQUESTS", "MAP-REGISTERS"}};
  for (const auto& one : answers) {
    const auto& body = one.body;
    const auto& uptime = at(body, {"uptime_s"});
    nodes.add({one.node, cell(at(body, {"roles"})), one.reachable ? cell(at(body, {"ready"})) : "unreachable",
               cell(at(body, {"pid"})), uptime.is_number() ? shown_seconds(uptime.get<double>()) : "-",
               peers_up(at(body, {"peers"})), encrypted(at(body, {"peers"}))});
    if (const auto& edge = at(body, {"edge"}); edge.is_object()) {
      const auto& hits = at(edge, {"exact_hits"});
      const auto& misses = at(edge, {"exact_misses"});
      std::string share = cell(hits);
      if (hits.is_number() && misses.is_number() && hits.get<double>() + misses.get<double>() > 0) {
        char text[32];
        std::snprintf(text, sizeof text, "%.1f %%",
                      100 * hits.get<double>() / (hits.get<double>() + misses.get<double>()));
        share = text;
      }
      edges.add({one.node, cell(at(edge, {"flows"})), cell(at(edge, {"packet_ins"})), share, cell(at(edge, {"held"})),
                 cell(at(edge, {"setup_p50_us"})) + "/" + cell(at(edge, {"setup_p99_us"})),
                 sum_with_parts(at(edge, {"drops"}))});
      for (const auto& instance : list(at(edge, {"instances"})))
        instances.add({cell(at(instance, {"name"})), cell(at(instance, {"class"})), one.node,
                       cell(at(instance, {"healthy"})), cell(at(instance, {"flows"})),
                       cell(at(instance, {"packets"}))});
    }
    if (const auto& store = at(body, {"store"}); store.is_object())
      stores.add({one.node, cell(at(store, {"slots"})), cell(at(store, {"copies"})), cell(at(store, {"keys"})),
                  cell(at(store, {"watchers"})), register_cell(at(store, {"register"})),
                  sum_with_parts(at(store, {"operations"}))});
    if (const auto& mano = at(body, {"mano"}); mano.is_object())
      manos.add({one.node, cell(at(mano, {"state"})), cell(at(mano, {"services"})), cell(at(mano, {"instances"}))});
    if (const auto& lisp = at(body, {"lisp"}); lisp.is_object())
      map_servers.add({one.node, cell(at(lisp, {"mappings"})), cell(at(lisp, {"subscriptions"})),
                       cell(at(lisp, {"map_requests"})), cell(at(lisp, {"map_registers"}))});
  }
  std::cout << nodes.text();
  print_section(edges.text());
  print_section(instances.text());
  print_section(stores.text());
  print_section(manos.text());
  print_section(map_servers.text());
}

int status_once(const view_options& options, const node::cluster_state& state) {
  const auto answers = ask_all(state, "/api/v1/status");
  clear_screen(options);
  if (options.format == output::table) {
    print_status(state, answers);
  } else {
    json nodes = json::array();
    for (const auto& one : answers) {
      auto entry = one.body;
      entry["node"] = one.node;
      entry["reachable"] = one.reachable;
      nodes.push_back(std::move(entry));
    }
    std::cout << dump({{"cluster", state.cluster},
                       {"config", state.config.string()},
                       {"phase", to_string(state.phase)},
                       {"nodes", nodes}},
                      options.watch);
  }
  std::cout.flush();
  return code_of(answers);
}

/// Records of one list all nodes have a part of, each once, ordered by `key`.
struct gathered {
  json records = json::array();
  int code = done;
};

gathered gather(const node::cluster_state& state, const std::string& name, const char* key) {
  const auto answers = ask_all(state, "/api/v1/" + name);
  gathered out;
  out.code = code_of(answers);
  std::map<json, json> by_key;
  for (const auto& one : answers)
    for (const auto& record : list(at(one.body, {name.c_str()})))
      if (const auto& id = at(record, {key}); !id.is_null())
        by_key.emplace(json::array({id, at(record, {"tenant"})}), record);
  for (auto& [id, record] : by_key)
    out.records.push_back(std::move(record));
  return out;
}

gathered gather_paths(const node::cluster_state& state) {
  return gather(state, "paths", "id");
}
gathered gather_flows(const node::cluster_state& state) {
  return gather(state, "flows", "tuple");
}

const json& chain_of(const json& paths, const json& id) {
  static const json nothing;
  for (const auto& path : paths)
    if (at(path, {"id"}) == id)
      return at(path, {"instances"});
  return nothing;
}

std::string arrows(const json& instances) {
  std::string out;
  for (const auto& one : list(instances))
    out += (out.empty() ? "" : " > ") + cell(one);
  return out.empty() ? "-" : out;
}

void print_flows(const json& flows, const json& paths) {
  table out{{"FLOW", "TENANT", "SERVICE", "INITIATOR", "PATH", "CHAIN"}};
  for (const auto& flow : flows)
    out.add({cell(at(flow, {"tuple"})), cell(at(flow, {"tenant"})), cell(at(flow, {"service"})),
             cell(at(flow, {"initiator"})), cell(at(flow, {"path"})), arrows(chain_of(paths, at(flow, {"path"})))});
  std::cout << out.text();
}

} // namespace

int status(const view_options& options) {
  return repeated(options, [&](const node::cluster_state& state) { return status_once(options, state); });
}

int chain_list(const view_options& options) {
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  const auto paths = gather_paths(*found.state);
  if (options.format == output::json) {
    std::cout << dump({{"paths", paths.records}}, false);
    return paths.code;
  }
  const auto flows = gather_flows(*found.state);
  table out{{"ID", "SERVICE", "CHAIN", "VERSION", "FLOWS"}};
  for (const auto& path : paths.records) {
    const auto& id = at(path, {"id"});
    const auto crossing = std::count_if(flows.records.begin(), flows.records.end(),
                                        [&](const auto& flow) { return at(flow, {"path"}) == id; });
    out.add({cell(id), cell(at(path, {"service"})), arrows(at(path, {"instances"})), cell(at(path, {"version"})),
             std::to_string(crossing)});
  }
  std::cout << out.text();
  return worse(paths.code, flows.code);
}

int chain_show(const view_options& options, const std::string& id) {
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  const auto paths = gather_paths(*found.state), flows = gather_flows(*found.state);
  const auto code = worse(paths.code, flows.code);
  const auto path = std::find_if(paths.records.begin(), paths.records.end(),
                                 [&](const auto& one) { return cell(at(one, {"id"})) == id; });
  if (path == paths.records.end()) {
    complain("there is no path " + id);
    return code == done ? static_cast<int>(no_match) : code;
  }
  json crossing = json::array();
  for (const auto& flow : flows.records)
    if (at(flow, {"path"}) == at(*path, {"id"}))
      crossing.push_back(flow);
  if (options.format == output::json) {
    auto out = *path;
    out["flows"] = crossing;
    std::cout << dump(out, false);
    return code;
  }
  std::cout << "path " << id << " of service " << cell(at(*path, {"service"})) << ", version "
            << cell(at(*path, {"version"})) << "\n  " << arrows(at(*path, {"instances"})) << "\n\n";
  print_flows(crossing, paths.records);
  return code;
}

int flow_list(const view_options& options) {
  return flow_show(options, "");
}

int flow_show(const view_options& options, const std::string& text) {
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  const auto flows = gather_flows(*found.state);
  auto code = flows.code;
  json matching = json::array();
  for (const auto& flow : flows.records)
    if (cell(at(flow, {"tuple"})).find(text) != std::string::npos)
      matching.push_back(flow);
  if (options.format == output::json) {
    std::cout << dump({{"flows", matching}}, false);
  } else {
    const auto paths = gather_paths(*found.state);
    code = worse(code, paths.code);
    print_flows(matching, paths.records);
  }
  if (!text.empty() && matching.empty() && code == done) {
    complain("no flow has '" + text + "' in it");
    return no_match;
  }
  return code;
}

} // namespace glocal::cli
