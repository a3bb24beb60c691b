#include "tools/actors_view.hpp"

#include "tools/glocal_cells.hpp"
#include "tools/glocal_table.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace glocal::cli {

using nlohmann::json;

namespace {

/// node and id: what tells an actor from its successor after a restart.
using identity = std::pair<std::string, std::uint64_t>;

std::uint64_t whole(const json& value) {
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

double real(const json& value) {
  return value.is_number() ? value.get<double>() : 0;
}

identity identity_of(const json& actor) {
  return {cell(at(actor, {"node"})), whole(at(actor, {"id"}))};
}

json rate(const json& before, const json& now, const char* counter) {
  const auto seconds = real(at(now, {"age_s"})) - real(at(before, {"age_s"}));
  if (seconds <= 0)
    return nullptr;
  return (real(at(now, {counter})) - real(at(before, {counter}))) / seconds;
}

std::string cut(const std::string& text, std::size_t most) {
  if (text.size() <= most)
    return text;
  auto end = most - 3;
  // Not within a UTF-8 character.
  while (end > 0 && (text[end] & 0xc0) == 0x80)
    --end;
  return text.substr(0, end) + "...";
}

/// `250 ms`, `3.2 s`; nothing for an empty mailbox.
std::string shown_wait(const json& seconds) {
  if (!seconds.is_number())
    return "-";
  const auto value = seconds.get<double>();
  char text[32];
  if (value >= 60)
    return shown_seconds(value);
  if (value >= 1)
    std::snprintf(text, sizeof text, "%.1f s", value);
  else
    std::snprintf(text, sizeof text, "%.0f ms", value * 1e3);
  return value <= 0 ? "0" : text;
}

std::string mailbox(const json& actor) {
  return cell(at(actor, {"mailbox"})) + "/" + cell(at(actor, {"mailbox_peak"}));
}

std::string handling(const json& actor) {
  return cell(at(actor, {"handling_p50_us"})) + "/" + cell(at(actor, {"handling_p99_us"}));
}

/// Of the day, as clocks here show it.
std::string clock_time(const json& unix_us) {
  const auto value = unix_us.is_number_integer() ? unix_us.get<std::int64_t>() : 0;
  const auto seconds = static_cast<std::time_t>(value / 1'000'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[32];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%06d", local.tm_hour, local.tm_min, local.tm_sec,
                static_cast<int>(value % 1'000'000));
  return text;
}

std::vector<std::string> distinct(const json& actors, const char* member) {
  std::set<std::string> out;
  for (const auto& actor : actors)
    out.insert(cell(at(actor, {member})));
  return {out.begin(), out.end()};
}

std::string error_of(const json& actor) {
  const auto text = cell(at(actor, {"last_error"}));
  return text.empty() ? "-" : text;
}

} // namespace

json described_actors(const json& former, json now) {
  std::map<identity, const json*> before;
  for (const auto& actor : list(former))
    before.emplace(identity_of(actor), &actor);
  std::unordered_map<std::string, std::unordered_map<std::uint64_t, std::string>> names;
  for (const auto& actor : list(now))
    names[cell(at(actor, {"node"}))].emplace(whole(at(actor, {"id"})), cell(at(actor, {"name"})));
  // Sorted by texts that are made once: with 10,000 actors the comparisons are what costs.
  struct row {
    std::string node, name;
    json actor;
  };
  std::vector<row> rows;
  if (now.is_array())
    for (auto& actor : now) {
      if (!actor.is_object())
        continue;
      row one{cell(at(actor, {"node"})), cell(at(actor, {"name"})), {}};
      const auto& there = names[one.node];
      const auto parent = there.find(whole(at(actor, {"parent"})));
      actor["parent_name"] = parent == there.end() ? json{} : json(parent->second);
      if (former.is_array()) {
        const auto earlier = before.find(identity_of(actor));
        const bool known = earlier != before.end();
        auto in = known ? rate(*earlier->second, actor, "messages_in") : json{};
        auto out = known ? rate(*earlier->second, actor, "messages_out") : json{};
        actor["messages_in_per_s"] = std::move(in);
        actor["messages_out_per_s"] = std::move(out);
      }
      one.actor = std::move(actor);
      rows.push_back(std::move(one));
    }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const row& a, const row& b) { return std::tie(a.node, a.name) < std::tie(b.node, b.name); });
  auto out = json::array();
  for (auto& one : rows)
    out.push_back(std::move(one.actor));
  return out;
}

std::string short_state(const json& actor) {
  if (at(actor, {"state_age_s"}).is_null())
    return "no answer";
  const auto& state = at(actor, {"state"});
  if (const auto& ready = at(state, {"ready"}); !ready.is_null())
    return ready == "true" ? "ready" : "not ready";
  if (const auto& healthy = at(state, {"healthy"}); !healthy.is_null())
    return healthy == "true" ? "healthy" : "unhealthy";
  constexpr std::size_t widest = 24;
  if (state.is_object() && !state.empty())
    return cut(state.begin().key() + " " + cell(state.begin().value()), widest);
  return "-";
}

std::string actors_table(const json& actors) {
  constexpr std::size_t widest_error = 48;
  table out{{"NAME", "KIND", "NODE", "PARENT", "STATE", "MAILBOX now/peak", "OLDEST", "IN/s", "OUT/s", "p50/p99 us",
             "RESTARTS", "LAST ERROR"}};
  for (const auto& actor : actors)
    out.add({cell(at(actor, {"name"})), cell(at(actor, {"kind"})), cell(at(actor, {"node"})),
             cell(at(actor, {"parent_name"})), short_state(actor), mailbox(actor),
             shown_wait(at(actor, {"oldest_wait_s"})), cell(at(actor, {"messages_in_per_s"})),
             cell(at(actor, {"messages_out_per_s"})), handling(actor), cell(at(actor, {"restarts"})),
             cut(error_of(actor), widest_error)});
  return out.text();
}

std::string actors_tree(const json& actors) {
  std::map<identity, std::vector<const json*>> children;
  std::set<identity> present;
  for (const auto& actor : actors)
    present.insert(identity_of(actor));
  std::set<std::string> nodes;
  for (const auto& actor : actors) {
    const auto node = cell(at(actor, {"node"}));
    const identity parent{node, whole(at(actor, {"parent"}))};
    nodes.insert(node);
    // An actor is never its own parent: whatever a node sends, the walk below ends.
    children[present.contains(parent) && parent != identity_of(actor) ? parent : identity{node, 0}].push_back(&actor);
  }
  std::string out;
  const auto walk = [&](const auto& self, const identity& of, const std::string& indent) -> void {
    // Moved out, so that a circle of parents is walked once.
    const auto below = std::exchange(children[of], {});
    for (const auto* actor : below) {
      const bool last = actor == below.back();
      const auto restarts = whole(at(*actor, {"restarts"}));
      out += indent + (last ? "└─ " : "├─ ") + cell(at(*actor, {"name"})) + "  (" + cell(at(*actor, {"kind"})) + ", " +
             short_state(*actor) + (restarts > 0 ? ", " + std::to_string(restarts) + " restarts" : "") + ")\n";
      self(self, identity_of(*actor), indent + (last ? "   " : "│  "));
    }
  };
  for (const auto& node : nodes) {
    out += node + "\n";
    walk(walk, {node, 0}, "");
  }
  return out;
}

std::string actor_page(const json& actor) {
  std::vector<std::pair<std::string, std::string>> lines{
      {"name", cell(at(actor, {"name"}))},
      {"kind", cell(at(actor, {"kind"}))},
      {"node", cell(at(actor, {"node"}))},
      {"parent", cell(at(actor, {"parent_name"}))},
      {"alive for", shown_seconds(real(at(actor, {"age_s"})))},
      {"restarts", cell(at(actor, {"restarts"}))},
      {"last error", error_of(actor)},
      {"mailbox", cell(at(actor, {"mailbox"})) + " now, " + cell(at(actor, {"mailbox_peak"})) + " at most, oldest " +
                      shown_wait(at(actor, {"oldest_wait_s"}))},
      {"messages in", cell(at(actor, {"messages_in"})) + " (" + cell(at(actor, {"messages_in_per_s"})) + "/s)"},
      {"messages out", cell(at(actor, {"messages_out"})) + " (" + cell(at(actor, {"messages_out_per_s"})) + "/s)"},
      {"unhandled", cell(at(actor, {"unhandled"}))},
      {"handling", handling(actor) + " us (p50/p99), " + cell(at(actor, {"handling_max_us"})) + " us at most"}};
  if (at(actor, {"state_age_s"}).is_null())
    lines.emplace_back("state", "no answer: it is busy or stuck");
  else if (const auto& state = at(actor, {"state"}); state.is_object())
    for (const auto& [key, value] : state.items())
      lines.emplace_back("  " + key, cell(value));
  std::size_t widest = 0;
  for (const auto& [key, value] : lines)
    widest = std::max(widest, key.size());
  std::string out;
  for (const auto& [key, value] : lines)
    out += key + std::string(widest - key.size() + 2, ' ') + value + "\n";
  return out;
}

json busiest_actors(json actors, std::size_t rows) {
  std::vector<json> sorted(actors.begin(), actors.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const json& a, const json& b) {
    return std::pair{real(at(a, {"messages_in_per_s"})), real(at(a, {"mailbox"}))} >
           std::pair{real(at(b, {"messages_in_per_s"})), real(at(b, {"mailbox"}))};
  });
  sorted.resize(std::min(sorted.size(), rows));
  return sorted;
}

json actors_named(const json& actors, std::string_view name) {
  auto out = json::array();
  for (const auto& actor : actors)
    if (cell(at(actor, {"name"})) == name)
      out.push_back(actor);
  return out;
}

std::string trace_rows::add(const std::vector<json>& messages) {
  std::vector<std::vector<std::string>> rows;
  if (widths_.empty() && !messages.empty()) {
    rows.push_back({"TIME", "NODE", "ACTOR", "FROM", "MESSAGE", "BYTES", "HANDLING us", "OUTCOME"});
    widths_.resize(rows[0].size());
  }
  for (const auto& message : messages) {
    const auto& kind = at(message, {"kind"});
    rows.push_back({clock_time(at(message, {"time_us"})), cell(at(message, {"node"})), cell(at(message, {"actor"})),
                    cell(at(message, {"from"})), cell(kind.is_null() ? at(message, {"type"}) : kind),
                    cell(at(message, {"bytes"})), cell(at(message, {"handling_us"})), cell(at(message, {"outcome"}))});
  }
  for (const auto& row : rows)
    for (std::size_t column = 0; column < row.size(); ++column)
      widths_[column] = std::max(widths_[column], width(row[column]));
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column)
      line += row[column] + std::string(widths_[column] - width(row[column]) + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::vector<std::string> actor_names(const json& actors) {
  return distinct(actors, "name");
}

std::vector<std::string> actor_kinds(const json& actors) {
  return distinct(actors, "kind");
}

} // namespace glocal::cli
