// glocal store status: the store's nodes, slots and health.

#include "node/config.hpp"
#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_store.hpp"
#include "tools/glocal_table.hpp"
#include "tools/store_health.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>

namespace glocal::cli {

using nlohmann::json;

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words)
    out += (out.empty() ? "" : ",") + word;
  return out.empty() ? "-" : out;
}

std::string shown_bytes(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  auto value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit)
    value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

std::string failures(const slot_health& slot) {
  std::string out;
  for (const auto& [node, why] : slot.failures)
    (out += out.empty() ? "" : "; ") += node + ": " + why;
  return out.empty() ? "-" : out;
}

std::string state_of(const node_health& node) {
  if (!node.drained)
    return "-";
  return node.copies > 0 ? "draining" : "drained";
}

void print_tables(const store_health& health, bool only_wrong) {
  std::cout << health.headline() << "\n\n";
  if (!health.etcd.empty()) {
    table nodes{{"NODE", "REACHES ETCD", "WATCHES"}};
    for (const auto& node : health.nodes)
      nodes.add({node.name, node.reachable ? node.reaches_etcd ? "yes" : "no" : "no answer",
                 node.reachable ? std::to_string(node.watchers) : "-"});
    std::cout << nodes.text();
    return;
  }
  table nodes{{"NODE", "PRIMARY OF", "COPIES", "KEYS", "LOG", "ENGINE WAITS", "UNFLUSHED", "WATCHES", "DISK", "STATE"}};
  for (const auto& node : health.nodes)
    nodes.add(
        node.reachable
            ? std::vector<std::string>{node.name, std::to_string(node.primaries), std::to_string(node.copies),
                                       std::to_string(node.keys), shown_bytes(node.log_bytes),
                                       shown_bytes(node.backlog_bytes), shown_bytes(node.unflushed_bytes),
                                       std::to_string(node.watchers), node.disk, state_of(node)}
            : std::vector<std::string>{node.name, "-", "-", "-", "-", "-", "-", "-", "no answer", state_of(node)});
  std::cout << nodes.text();
  table slots{{"SLOT", "PRIMARY", "EPOCH", "PLACED", "IN SYNC", "MOVES", "COMMITTED", "LAG", "KEYS", "FAILURE"}};
  bool any = false;
  for (const auto& slot : health.slots) {
    const bool moves = std::ranges::count(health.moving, std::to_string(slot.slot)) > 0;
    if (only_wrong && slot.is_whole() && slot.failures.empty() && !moves)
      continue;
    any = true;
    const bool served = !slot.primary.empty();
    slots.add({std::to_string(slot.slot), served ? slot.primary : "none", served ? std::to_string(slot.epoch) : "-",
               joined(slot.placed), joined(slot.in_sync), moves ? "yes" : "-",
               served ? std::to_string(slot.committed) : "-", served ? std::to_string(slot.lag()) : "-",
               served ? std::to_string(slot.keys) : "-", failures(slot)});
  }
  if (any)
    std::cout << '\n' << slots.text();
}

int once(const store_status_options& options, const node::cluster_state& state) {
  const auto health = ask_health(state);
  clear_screen(options.view);
  if (options.view.format == output::json)
    std::cout << dump(to_json(health), options.view.watch) << '\n';
  else
    print_tables(health, options.only_wrong);
  std::cout.flush();
  if (std::ranges::none_of(health.nodes, &node_health::reachable))
    return unreachable;
  return health.is_whole() ? done : health.is_available() ? partial : failed;
}

} // namespace

store_health ask_health(const node::cluster_state& state) {
  const auto config = node::load_cluster_file(state.config.string());
  std::map<std::string, json> reports;
  std::vector<std::string> asked;
  for (const auto& name : state.nodes) {
    const auto* known = config ? config->find_node(name) : nullptr;
    if (known == nullptr || known->has(node::role::store))
      asked.push_back(name);
  }
  for (auto& one : ask_nodes(state, asked, "/api/v1/store/status")) {
    // Without the file it is not known who should have the role: those say that they have not.
    if (one.status == 404)
      continue;
    reports[one.node] = one.reachable && one.status == 0 ? std::move(one.body) : json{};
  }
  return join_reports(reports);
}

int store_status(const store_status_options& options) {
  return repeated(options.view, [&](const auto& state) { return once(options, state); });
}

} // namespace glocal::cli
