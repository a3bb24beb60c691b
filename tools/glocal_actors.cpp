// actors, metrics, log: looking into the nodes of a running cluster, and the two things one may change there.

#include "base/log.hpp"
#include "node/config_report.hpp"
#include "node/launcher/node_client.hpp"
#include "tools/actors_view.hpp"
#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_table.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace glocal::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto metrics_timeout = 3s;

struct sample {
  actor_rows rows;
  /// The JSON of each, in the same order; only when it was asked for.
  std::vector<std::string> texts{};
  int code = done;
};

/// What to ask for.
struct question {
  /// Of one name; empty: all.
  std::string name{};
  /// The whole of each, as the nodes send it.
  bool with_texts = false;
};

sample take_sample(const node::cluster_state& state, const std::vector<std::string>& nodes, const question& wanted) {
  struct part {
    actor_rows rows;
    std::vector<std::string> texts;
  };
  std::vector<part> parts(nodes.size());
  auto target = std::string{"/api/v1/actors?state="} + (wanted.with_texts ? "full" : "brief");
  if (!wanted.name.empty())
    target += "&name=" + query_value(wanted.name);
  sample out;
  out.code = code_of(ask_nodes(state, nodes, target, [&](std::size_t index, const std::string& text) {
    auto rows = parse_actors(text, wanted.with_texts ? &parts[index].texts : nullptr);
    if (rows)
      parts[index].rows = std::move(*rows);
    return rows.has_value();
  }));
  std::vector<std::string> texts;
  for (auto& each : parts) {
    for (auto& row : each.rows) {
      row.place += texts.size();
      out.rows.push_back(std::move(row));
    }
    std::move(each.texts.begin(), each.texts.end(), std::back_inserter(texts));
  }
  sort_actors(out.rows);
  if (wanted.with_texts)
    for (auto& row : out.rows) {
      out.texts.push_back(std::move(texts[row.place]));
      row.place = out.texts.size() - 1;
    }
  return out;
}

/// Now, with the nodes' own rates; or, when the options ask for it, with those between two samples.
sample described(const actor_options& options, const node::cluster_state& state, const std::vector<std::string>& nodes,
                 const question& wanted) {
  if (options.sample_s <= 0)
    return take_sample(state, nodes, wanted);
  const auto former = take_sample(state, nodes, {.name = wanted.name}).rows;
  std::this_thread::sleep_for(std::chrono::duration<double>{options.sample_s});
  auto now = take_sample(state, nodes, wanted);
  take_rates(former, now.rows);
  if (wanted.with_texts) {
    const auto values = described_actors(now.rows, now.texts);
    std::transform(values.begin(), values.end(), now.texts.begin(), [](const json& one) { return one.dump(); });
  }
  return now;
}

/// Complains that nobody has the name. A node that did not answer may have it.
int no_such_actor(const node::cluster_state& state, const std::vector<std::string>& nodes, const std::string& name) {
  const auto all = take_sample(state, nodes, {});
  const auto names = actor_names(all.rows);
  complain("there is no actor " + node::quoted(name) + "; " +
           node::suggest(name, {names.begin(), names.end()}, "actors"));
  return all.code == done ? static_cast<int>(no_match) : all.code;
}

int show_repeatedly(const actor_options& options, const std::function<std::string(const actor_rows&)>& shown) {
  return repeated(options.view, [&](const node::cluster_state& state) -> int {
    const auto nodes = nodes_meant(state, options.node);
    if (!nodes)
      return no_match;
    const bool as_json = options.view.format == output::json;
    const auto now = described(options, state, *nodes, {.with_texts = as_json});
    const auto text = as_json ? actors_document(now.texts, options.view.watch) : shown(now.rows);
    clear_screen(options.view);
    std::cout << text << std::flush;
    return now.code;
  });
}

} // namespace

int actors_list(const actor_options& options) {
  return show_repeatedly(options, actors_table);
}

int actors_tree(const actor_options& options) {
  return show_repeatedly(options, [](const actor_rows& actors) { return actors_tree(actors); });
}

int actors_top(const actor_options& options) {
  return show_repeatedly(options,
                         [&](const actor_rows& actors) { return actors_table(busiest_actors(actors, options.rows)); });
}

int actors_show(const actor_options& options, const std::string& name) {
  return repeated(options.view, [&](const node::cluster_state& state) -> int {
    const auto nodes = nodes_meant(state, options.node);
    if (!nodes)
      return no_match;
    const auto now = described(options, state, *nodes, {name, true});
    if (now.rows.empty())
      return no_such_actor(state, *nodes, name);
    clear_screen(options.view);
    if (options.view.format == output::json)
      std::cout << dump({{"actors", described_actors(now.rows, now.texts)}}, options.view.watch);
    else
      for (const auto& actor : now.texts)
        std::cout << (&actor == &now.texts.front() ? "" : "\n") << actor_page(json::parse(actor));
    std::cout.flush();
    return now.code;
  });
}

int actors_dead_letters(const actor_options& options) {
  return repeated(options.view, [&](const node::cluster_state& state) -> int {
    const auto nodes = nodes_meant(state, options.node);
    if (!nodes)
      return no_match;
    const auto answers = ask_nodes(state, *nodes, "/api/v1/deadletters");
    auto letters = json::array();
    table out{{"NODE", "FROM", "TO", "MESSAGE", "COUNT", "WHAT"}};
    for (const auto& one : answers)
      for (auto letter : list(at(one.body, {"dead_letters"}))) {
        out.add({one.node, cell(at(letter, {"from"})), cell(at(letter, {"to"})), cell(at(letter, {"kind"})),
                 cell(at(letter, {"messages"})), at(letter, {"returned"}) == true ? "came back" : "dropped"});
        letter["node"] = one.node;
        letters.push_back(std::move(letter));
      }
    clear_screen(options.view);
    if (options.view.format == output::json)
      std::cout << dump({{"dead_letters", letters}}, options.view.watch);
    else
      std::cout << (letters.empty() ? "no message went to an actor that was not there\n" : out.text());
    std::cout.flush();
    return code_of(answers);
  });
}

int actors_kill(const actor_options& options, const std::string& name) {
  const auto found = find_running(options.view.cluster);
  if (!found.state)
    return found.code;
  const auto nodes = nodes_meant(*found.state, options.node);
  if (!nodes)
    return no_match;
  const auto named = take_sample(*found.state, *nodes, {.name = name}).rows;
  if (named.empty())
    return no_such_actor(*found.state, *nodes, name);
  if (named.size() > 1) {
    std::string where;
    for (const auto& actor : named)
      where += (where.empty() ? "" : ", ") + actor.node;
    complain("several nodes have an actor " + node::quoted(name) + ": " + where + "; say which one with --node");
    return usage;
  }
  const auto& node = named[0].node;
  const auto said = ask_nodes(*found.state, {node}, "/api/v1/actors/kill", json{{"name", name}}.dump());
  if (!said[0].error.empty()) {
    complain("node " + node + ": " + said[0].error);
    return said[0].reachable ? failed : unreachable;
  }
  std::cerr << name << " on " << node << " was killed; " << cell(at(said[0].body, {"supervisor"}))
            << " starts it again\n";
  return done;
}

int metrics(const std::string& cluster, const std::string& node) {
  const auto found = find_running(cluster);
  if (!found.state)
    return found.code;
  const auto nodes = nodes_meant(*found.state, node);
  if (!nodes)
    return no_match;
  std::size_t reached = 0;
  for (const auto& one : *nodes) {
    const auto text = node::ask_node(socket_of(*found.state, one), "/metrics", metrics_timeout);
    if (text) {
      std::cout << *text;
      ++reached;
    } else {
      complain("node " + one + ": " + text.error().message);
    }
  }
  return reached == nodes->size() ? done : reached == 0 ? unreachable : partial;
}

int log_level(const view_options& view, const std::string& node, const std::string& level) {
  const auto found = find_running(view.cluster);
  if (!found.state)
    return found.code;
  const auto nodes = nodes_meant(*found.state, node);
  if (!nodes)
    return no_match;
  const auto levels = log_levels();
  if (!level.empty() && std::find(levels.begin(), levels.end(), level) == levels.end()) {
    complain("there is no log level " + node::quoted(level) + "; " +
             node::suggest(level, {levels.begin(), levels.end()}, "levels"));
    return no_match;
  }
  const auto answers =
      ask_nodes(*found.state, *nodes, "/api/v1/log", level.empty() ? "" : json{{"level", level}}.dump());
  auto shown = json::array();
  table out{{"NODE", "LEVEL"}};
  for (const auto& one : answers) {
    out.add({one.node, cell(at(one.body, {"level"}))});
    shown.push_back({{"node", one.node}, {"level", at(one.body, {"level"})}});
  }
  if (view.format == output::json)
    std::cout << dump({{"nodes", shown}}, false);
  else
    std::cout << out.text();
  return code_of(answers);
}

} // namespace glocal::cli
