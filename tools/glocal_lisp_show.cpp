// lisp registrations, subscribers, cache, map, unmap: the Map-Server of a running cluster.

#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>

namespace glocal::cli {
namespace {

using nlohmann::json;

/// The first node's answer that has one: registrations and subscribers are the same at all of them.
struct found_answer {
  json body;
  int code = unreachable;
};
found_answer ask_any(const node::cluster_state& state, const std::string& target, const std::string& post = {}) {
  std::string why = "no node answers";
  for (const auto& node : state.nodes) {
    const auto answers = ask_nodes(state, {node}, target, post);
    if (answers.front().reachable && answers.front().status == 0)
      return {answers.front().body, done};
    if (answers.front().reachable) {
      // A refusal would be the same anywhere.
      complain(answers.front().error);
      return {{}, failed};
    }
    why = answers.front().error;
  }
  complain(why);
  return {};
}

std::string eid_text(const json& row) {
  const auto& tenant = at(row, {"tenant"});
  const bool plain = !tenant.is_number() || tenant.get<std::uint32_t>() == 0;
  return (plain ? "" : "[" + cell(tenant) + "]") + cell(at(row, {"eid"}));
}

std::string locators_text(const json& row) {
  std::string out;
  for (const auto& one : list(at(row, {"locators"})))
    out += (out.empty() ? "" : ", ") + cell(at(one, {"rloc"})) + " " + cell(at(one, {"priority"})) + "/" +
           cell(at(one, {"weight"}));
  return out.empty() ? "-" : out;
}

int shown(const view_options& options, const std::string& target, const char* member,
          const std::vector<std::string>& header, const std::function<std::vector<std::string>(const json&)>& row) {
  return repeated(options, [&](const node::cluster_state& state) {
    auto answer = ask_any(state, target);
    if (answer.code != done)
      return answer.code;
    clear_screen(options);
    if (options.format == output::json) {
      std::cout << dump(answer.body, options.watch);
      return static_cast<int>(done);
    }
    table out{header};
    for (const auto& one : list(at(answer.body, {member})))
      out.add(row(one));
    std::cout << out.text();
    return static_cast<int>(done);
  });
}

} // namespace

int lisp_registrations(const view_options& options) {
  return shown(options, "lisp/registrations", "registrations",
               {"EID", "SITE", "FROM", "TTL min", "ANSWERS", "LOCATORS priority/weight"}, [](const json& one) {
                 const bool ours = at(one, {"site"}).is_null();
                 const auto& proxied = at(one, {"proxy_reply"});
                 const bool server = ours || (proxied.is_boolean() && proxied.get<bool>());
                 return std::vector<std::string>{eid_text(one),
                                                 ours ? "-" : cell(at(one, {"site"})),
                                                 ours ? cell(at(one, {"node"})) : cell(at(one, {"source"})),
                                                 cell(at(one, {"ttl_minutes"})),
                                                 server ? "map-server" : "etr",
                                                 locators_text(one)};
               });
}

int lisp_subscribers(const view_options& options) {
  return shown(options, "lisp/subscribers", "subscribers",
               {"EID", "SITE", "RLOC", "NONCE", "TOLD BY", "XTR-ID SITE-ID"}, [](const json& one) {
                 return std::vector<std::string>{eid_text(one),
                                                 cell(at(one, {"site"})),
                                                 cell(at(one, {"rloc"})),
                                                 cell(at(one, {"nonce"})),
                                                 cell(at(one, {"server"})),
                                                 cell(at(one, {"xtr"}))};
               });
}

int lisp_cache(const view_options& options, const std::string& node) {
  return repeated(options, [&](const node::cluster_state& state) -> int {
    const auto meant = nodes_meant(state, node);
    if (!meant)
      return usage;
    const auto answers = ask_nodes(state, *meant, "lisp/requesters");
    clear_screen(options);
    json all = json::array();
    table out{{"NODE", "ASKED FOR", "ITR-RLOC", "ITS OWN EID", "FOR"}};
    for (const auto& one : answers)
      for (const auto& row : list(at(one.body, {"requesters"}))) {
        auto with_node = row;
        with_node["node"] = one.node;
        all.push_back(std::move(with_node));
        const auto& left = at(row, {"left_s"});
        out.add({one.node, cell(at(row, {"eid"})), cell(at(row, {"rloc"})), cell(at(row, {"own_eid"})),
                 left.is_number() ? shown_seconds(left.get<double>()) : "-"});
      }
    if (options.format == output::json)
      std::cout << dump({{"requesters", all}}, options.watch);
    else
      std::cout << out.text();
    return code_of(answers);
  });
}

int lisp_map(const lisp_map_options& options) {
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  const json body{{"tenant", options.tenant}, {"eid", options.eid}, {"rlocs", options.rlocs}};
  return ask_any(*found.state, options.rlocs.empty() ? "lisp/unmap" : "lisp/map", body.dump()).code;
}

} // namespace glocal::cli
