// glocal store drain and rebalance: where the store's slots are to be.

#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_store.hpp"
#include "tools/glocal_table.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>
#include <thread>

namespace glocal::cli {

using namespace std::chrono_literals;
using nlohmann::json;
using clock = std::chrono::steady_clock;

namespace {

constexpr auto look_again = 500ms;
/// Nodes hear of a decision within a moment of each other; what they say before that is of the one before.
constexpr int quiet_looks = 3;

std::string names_in(const json& list_of_names) {
  std::string out;
  for (const auto& name : list(list_of_names))
    (out += out.empty() ? "" : ",") += cell(name);
  return out;
}

void print_moves(const store_steer_options& options, const json& body, const std::string& nothing) {
  if (options.how.format == output::json) {
    std::cout << body.dump() << '\n';
    return;
  }
  const auto& moves = list(at(body, {"moves"}));
  if (moves.empty()) {
    std::cout << nothing << '\n';
    return;
  }
  if (!options.dry_run) {
    std::cout << moves.size() << (moves.size() == 1 ? " slot moves" : " slots move")
              << "; 'glocal store status' shows how far it is\n";
    return;
  }
  table rows{{"SLOT", "FROM", "TO"}};
  for (const auto& move : moves)
    rows.add({cell(at(move, {"slot"})), names_in(at(move, {"from"})), names_in(at(move, {"to"}))});
  std::cout << rows.text();
}

/// Until no slot has to move any more; says on standard error how far it is.
int wait_for_moves(const node::cluster_state& state, double timeout_s) {
  const auto end = clock::now() + std::chrono::milliseconds{static_cast<std::int64_t>(timeout_s * 1e3)};
  std::uint64_t said = 0;
  for (int quiet = 0; quiet < quiet_looks;) {
    if (was_interrupted()) {
      complain("the moves go on; 'glocal store status' shows how far they are");
      return interrupted;
    }
    if (clock::now() >= end) {
      complain("slots still have to move; they go on moving: 'glocal store status' shows how far they are");
      return unreachable;
    }
    const auto health = ask_health(state);
    const bool answered = std::ranges::any_of(health.nodes, &node_health::reachable);
    quiet = answered && !health.is_moving() ? quiet + 1 : 0;
    if (!health.placement_fault.empty()) {
      complain(health.placement_fault);
      return failed;
    }
    if (health.to_move != said && health.to_move > 0)
      std::cerr << "glocal: " << health.to_move << (health.to_move == 1 ? " slot has" : " slots have")
                << " to move yet\n";
    said = health.to_move;
    std::this_thread::sleep_for(look_again);
  }
  return done;
}

int steer(const store_steer_options& options, const std::string& target, const json& body, const std::string& nothing) {
  int code = done;
  auto nodes = store_nodes::find(options.how, code);
  if (!nodes)
    return code;
  watch_signals();
  store_nodes::reply reply;
  // Both may be said twice. Nodes without the role say so.
  for (std::size_t tries = 0; tries < nodes->state().nodes.size(); ++tries) {
    reply = nodes->call(target, body.dump(), true);
    if (reply.status != 421)
      break;
    nodes->next();
  }
  if (reply.status != 200)
    return complain_of(reply);
  if (!options.wait || options.how.format == output::table)
    print_moves(options, reply.body, nothing);
  if (!options.wait)
    return done;
  code = wait_for_moves(nodes->state(), options.how.timeout_s);
  if (options.how.format == output::json)
    std::cout << json{{"moves", at(reply.body, {"moves"})}, {"done", code == done}}.dump() << '\n';
  else if (code == done)
    std::cout << "done\n";
  return code;
}

} // namespace

int store_drain(const store_steer_options& options) {
  return steer(options, "/api/v1/store/drain", {{"node", options.drained}, {"undo", options.undo}},
               options.undo ? "nothing has to move" : "it holds nothing");
}

int store_rebalance(const store_steer_options& options) {
  return steer(options, "/api/v1/store/rebalance", {{"dry_run", options.dry_run}},
               "every node has its share of copies and primaries");
}

} // namespace glocal::cli
