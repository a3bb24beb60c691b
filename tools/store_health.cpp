#include "tools/store_health.hpp"

#include "tools/glocal_cells.hpp"

#include <algorithm>
#include <set>

namespace glocal::cli {

using nlohmann::json;

namespace {

/// More than a ring has; a report that says so is none.
constexpr std::uint64_t most_slots = 65'536;

std::uint64_t number(const json& from, const char* key) {
  const auto& value = at(from, {key});
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::string text(const json& from, const char* key) {
  const auto& value = at(from, {key});
  return value.is_string() ? value.get<std::string>() : std::string{};
}

std::vector<std::string> names(const json& from, const char* key) {
  std::vector<std::string> out;
  for (const auto& each : list(at(from, {key})))
    if (each.is_string())
      out.push_back(each.get<std::string>());
  return out;
}

void join_row(slot_health& into, const std::string& node, const json& row) {
  if (auto why = text(row, "failure"); !why.empty())
    into.failures[node] = std::move(why);
  const auto epoch = number(row, "epoch");
  const auto& serving = at(row, {"serving"});
  // A primary that was cut off may still think it serves: the newer epoch is right.
  const bool serves = serving.is_boolean() && serving.get<bool>();
  if (into.placed.empty())
    into.placed = names(row, "placed");
  if (!serves || (!into.primary.empty() && epoch <= into.epoch))
    return;
  into.primary = node;
  into.epoch = epoch;
  into.committed = number(row, "committed");
  into.revision = number(row, "revision");
  into.keys = number(row, "keys");
  into.placed = names(row, "placed");
  into.in_sync = names(row, "members");
  into.missing.clear();
  if (const auto& missing = at(row, {"missing"}); missing.is_object())
    for (const auto& [who, count] : missing.items())
      if (count.is_number_unsigned())
        into.missing[who] = count.get<std::uint64_t>();
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words)
    out += (out.empty() ? "" : ", ") + word;
  return out;
}

} // namespace

std::uint64_t slot_health::lag() const {
  std::uint64_t most = 0;
  for (const auto& [node, count] : missing)
    if (std::ranges::count(in_sync, node) > 0)
      most = std::max(most, count);
  return most;
}

bool slot_health::is_whole() const {
  return !primary.empty() &&
         std::ranges::all_of(placed, [&](const auto& node) { return std::ranges::count(in_sync, node) > 0; });
}

bool store_health::is_available() const {
  if (!etcd.empty())
    return std::ranges::any_of(nodes, &node_health::reaches_etcd);
  return !slots.empty() && unserved == 0;
}

bool store_health::is_whole() const {
  if (!etcd.empty())
    return std::ranges::all_of(nodes, &node_health::reaches_etcd);
  return is_available() && short_of_copies == 0 && std::ranges::all_of(nodes, &node_health::reachable);
}

std::string store_health::headline() const {
  std::vector<std::string> gone, broken;
  for (const auto& node : nodes) {
    if (!node.reachable)
      gone.push_back(node.name);
    else if (!node.disk.empty() && node.disk != "ok")
      broken.push_back(node.name + ": disk " + node.disk);
  }
  if (std::ranges::none_of(nodes, &node_health::reachable))
    return "unknown: no store node answers";
  if (!etcd.empty()) {
    std::vector<std::string> cut_off;
    for (const auto& node : nodes)
      if (node.reachable && !node.reaches_etcd)
        cut_off.push_back(node.name);
    auto text = (is_whole() ? "healthy: " : is_available() ? "degraded: " : "unavailable: ") + etcd;
    if (!cut_off.empty())
      text += ", which does not answer " + joined(cut_off);
    return gone.empty() ? text : text + "; no answer from " + joined(gone);
  }
  if (slots.empty())
    return "unknown: no store node says what it holds";
  const auto all = std::to_string(slots.size());
  std::string out;
  if (unserved > 0)
    out = "unavailable: " + std::to_string(unserved) + " of " + all + " slots have no primary";
  else if (short_of_copies > 0)
    out = "degraded: " + std::to_string(short_of_copies) + " of " + all + " slots have fewer than " +
          std::to_string(copies) + (copies == 1 ? " copy" : " copies");
  else
    out = (is_whole() ? "healthy: " : "degraded: ") + all + " slots, each with " + std::to_string(copies) +
          (copies == 1 ? " copy, on " : " copies, on ") + std::to_string(nodes.size()) +
          (nodes.size() == 1 ? " node" : " nodes");
  if (copies == 1 && unserved == 0)
    out += " (a single copy: what its disk loses is lost)";
  if (!gone.empty())
    out += "; no answer from " + joined(gone);
  for (const auto& each : broken)
    out += "; " + each;
  if (to_move > 0)
    out += "; " + std::to_string(to_move) + (to_move == 1 ? " slot has" : " slots have") + " to move";
  if (!placement_fault.empty())
    out += "; " + placement_fault;
  return out;
}

store_health join_reports(const std::map<std::string, json>& reports) {
  store_health out;
  std::uint64_t count = 0;
  for (const auto& [name, report] : reports)
    if (const auto told = number(report, "slot_count"); told <= most_slots)
      count = std::max(count, told);
  out.slots.resize(count);
  std::set<std::string> drained;
  for (std::uint64_t slot = 0; slot < count; ++slot)
    out.slots[slot].slot = slot;
  for (const auto& [name, report] : reports) {
    auto& node = out.nodes.emplace_back();
    node.name = name;
    node.reachable = report.is_object() && !report.empty();
    if (!node.reachable)
      continue;
    out.copies = std::max(out.copies, number(report, "copies"));
    node.log_bytes = number(report, "log_bytes");
    node.backlog_bytes = number(report, "engine_waiting_bytes");
    node.unflushed_bytes = number(report, "engine_unflushed_bytes");
    node.watchers = number(report, "watchers");
    node.disk = text(report, "disk");
    if (const auto& placement = at(report, {"placement"}); placement.is_object()) {
      // The first node that says so is the one that plans, as a rule; all hear of it within a moment.
      out.to_move = std::max(out.to_move, number(placement, "to_move"));
      const auto& evening = at(placement, {"evening"});
      out.evening |= evening.is_boolean() && evening.get<bool>();
      if (auto moving = names(placement, "moving"); moving.size() > out.moving.size())
        out.moving = std::move(moving);
      for (auto& who : names(placement, "drained"))
        drained.insert(std::move(who));
      if (auto fault = text(placement, "fault"); !fault.empty())
        out.placement_fault = std::move(fault);
    }
    node.reaches_etcd = text(report, "answers") == "true";
    if (out.etcd.empty())
      out.etcd = text(report, "etcd");
    for (const auto& row : list(at(report, {"slots"}))) {
      const auto slot = number(row, "slot");
      if (slot >= count)
        continue;
      ++node.replicas;
      join_row(out.slots[slot], name, row);
    }
  }
  for (auto& node : out.nodes)
    node.drained = drained.contains(node.name);
  for (const auto& slot : out.slots) {
    out.unserved += slot.primary.empty();
    out.short_of_copies += !slot.primary.empty() && !slot.is_whole();
    for (auto& node : out.nodes) {
      node.copies += static_cast<std::uint64_t>(std::ranges::count(slot.in_sync, node.name));
      if (node.name == slot.primary) {
        ++node.primaries;
        node.keys += slot.keys;
      }
    }
  }
  return out;
}

json to_json(const store_health& health) {
  json slots = json::array(), nodes = json::array();
  for (const auto& slot : health.slots)
    slots.push_back({{"slot", slot.slot},
                     {"primary", slot.primary.empty() ? json{} : json(slot.primary)},
                     {"epoch", slot.epoch},
                     {"placed", slot.placed},
                     {"in_sync", slot.in_sync},
                     {"committed", slot.committed},
                     {"revision", slot.revision},
                     {"keys", slot.keys},
                     {"missing", slot.missing},
                     {"lag", slot.lag()},
                     {"failures", slot.failures}});
  for (const auto& node : health.nodes)
    nodes.push_back({{"node", node.name},
                     {"reachable", node.reachable},
                     {"primaries", node.primaries},
                     {"copies", node.copies},
                     {"replicas", node.replicas},
                     {"keys", node.keys},
                     {"log_bytes", node.log_bytes},
                     {"engine_waiting_bytes", node.backlog_bytes},
                     {"engine_unflushed_bytes", node.unflushed_bytes},
                     {"watchers", node.watchers},
                     {"drained", node.drained},
                     {"disk", node.disk}});
  const auto* state = health.is_whole() ? "healthy" : health.is_available() ? "degraded" : "unavailable";
  json out{{"state", state},
           {"summary", health.headline()},
           {"copies", health.copies},
           {"unserved", health.unserved},
           {"short_of_copies", health.short_of_copies},
           {"moving", health.moving},
           {"to_move", health.to_move},
           {"evening", health.evening},
           {"nodes", nodes},
           {"slots", slots}};
  if (!health.etcd.empty()) {
    out["etcd"] = health.etcd;
    for (std::size_t i = 0; i < health.nodes.size(); ++i)
      out["nodes"][i]["reaches_etcd"] = health.nodes[i].reaches_etcd;
  }
  return out;
}

} // namespace glocal::cli
