#include "tools/actors_view.hpp"

#include "tools/glocal_cells.hpp"
#include "tools/glocal_table.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <set>
#include <utility>

namespace glocal::cli {

using nlohmann::json;

namespace {

/// node and id: what tells an actor from its successor after a restart.
using identity = std::pair<std::string, std::uint64_t>;

double real(const json& value) {
  return value.is_number() ? value.get<double>() : 0;
}

identity identity_of(const actor_row& actor) {
  return {actor.node, actor.id};
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

/// `250 ms`, `3.2 s`; 0 for an empty mailbox.
std::string shown_wait(double seconds) {
  char text[32];
  if (seconds >= 60)
    return shown_seconds(seconds);
  if (seconds >= 1)
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  else
    std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
  return seconds <= 0 ? "0" : text;
}

/// With one decimal, as the cells of JSON numbers.
std::string shown_real(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string shown_rate(const std::optional<double>& rate) {
  return rate ? shown_real(*rate) : "-";
}

std::string shown_text(const std::string& text) {
  return text.empty() ? "-" : text;
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

} // namespace

std::string actors_table(const actor_rows& actors) {
  constexpr std::size_t widest_error = 48, widest_state = 24;
  table out{{"NAME", "KIND", "NODE", "PARENT", "STATE", "MAILBOX now/peak", "OLDEST", "IN/s", "OUT/s", "p50/p99 us",
             "RESTARTS", "LAST ERROR"}};
  for (const auto& actor : actors)
    out.add({actor.name, actor.kind, actor.node, actor.parent_name.value_or("-"),
             cut(shown_text(actor.state), widest_state),
             std::to_string(actor.mailbox) + "/" + std::to_string(actor.mailbox_peak), shown_wait(actor.oldest_wait_s),
             shown_rate(actor.in_per_s), shown_rate(actor.out_per_s),
             shown_real(actor.handling_p50_us) + "/" + shown_real(actor.handling_p99_us),
             std::to_string(actor.restarts), cut(shown_text(actor.last_error), widest_error)});
  return out.text();
}

std::string actors_tree(const actor_rows& actors) {
  std::map<identity, std::vector<const actor_row*>> children;
  std::set<identity> present;
  std::set<std::string> nodes;
  for (const auto& actor : actors) {
    present.insert(identity_of(actor));
    nodes.insert(actor.node);
  }
  for (const auto& actor : actors) {
    const identity parent{actor.node, actor.parent};
    // An actor is never its own parent: whatever a node sends, the walk below ends.
    const bool is_below = present.contains(parent) && parent != identity_of(actor);
    children[is_below ? parent : identity{actor.node, 0}].push_back(&actor);
  }
  std::string out;
  const auto walk = [&](const auto& self, const identity& of, const std::string& indent) -> void {
    // Moved out, so that a circle of parents is walked once.
    const auto below = std::exchange(children[of], {});
    for (const auto* actor : below) {
      const bool last = actor == below.back();
      out += indent + (last ? "└─ " : "├─ ") + actor->name + "  (" + actor->kind + ", " + shown_text(actor->state) +
             (actor->restarts > 0 ? ", " + std::to_string(actor->restarts) + " restarts" : "") + ")\n";
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
      {"last error", shown_text(cell(at(actor, {"last_error"})))},
      {"mailbox", cell(at(actor, {"mailbox"})) + " now, " + cell(at(actor, {"mailbox_peak"})) + " at most, oldest " +
                      shown_wait(real(at(actor, {"oldest_wait_s"})))},
      {"messages in", cell(at(actor, {"messages_in"})) + " (" + cell(at(actor, {"messages_in_per_s"})) + "/s)"},
      {"messages out", cell(at(actor, {"messages_out"})) + " (" + cell(at(actor, {"messages_out_per_s"})) + "/s)"},
      {"unhandled", cell(at(actor, {"unhandled"}))},
      {"handling", cell(at(actor, {"handling_p50_us"})) + "/" + cell(at(actor, {"handling_p99_us"})) +
                       " us (p50/p99), " + cell(at(actor, {"handling_max_us"})) + " us at most"}};
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

} // namespace glocal::cli
