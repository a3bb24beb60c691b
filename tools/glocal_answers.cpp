#include "tools/glocal_answers.hpp"

#include "node/config_report.hpp"
#include "node/launcher/node_client.hpp"
#include "tools/glocal_clusters.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <future>
#include <iostream>
#include <thread>

#include <unistd.h>

namespace glocal::cli {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr auto ask_timeout = 3s;
constexpr auto watch_interval = 1s;
constexpr std::size_t most_at_once = 32;

template <class Read>
std::vector<answer> ask_each(const node::cluster_state& state, const std::vector<std::string>& nodes,
                             const std::string& target, const std::string& post_body, Read&& read) {
  std::vector<answer> out(nodes.size());
  const auto ask = [&](std::size_t index) {
    auto& into = out[index];
    into.node = nodes[index];
    const auto socket = socket_of(state, into.node);
    const auto said = post_body.empty() ? node::ask_node(socket, target, ask_timeout)
                                        : node::tell_node(socket, target, post_body, ask_timeout);
    if (said) {
      into.reachable = read(into, index, *said);
      if (!into.reachable)
        into.error = "its answer is no JSON object";
    } else {
      into.reachable = said.error().what == node::ask_error::kind::refused;
      into.status = said.error().status;
      into.error = said.error().message;
    }
  };
  for (std::size_t begin = 0; begin < out.size(); begin += most_at_once) {
    std::vector<std::future<void>> running;
    for (auto index = begin; index < std::min(out.size(), begin + most_at_once); ++index)
      running.push_back(std::async(std::launch::async, ask, index));
    for (auto& one : running)
      one.get();
  }
  return out;
}

} // namespace

std::vector<answer> ask_all(const node::cluster_state& state, const std::string& target) {
  return ask_nodes(state, state.nodes, target);
}

std::vector<answer> ask_nodes(const node::cluster_state& state, const std::vector<std::string>& nodes,
                              const std::string& target, const std::string& post_body) {
  auto out = ask_each(state, nodes, target, post_body, [](answer& into, std::size_t, const std::string& text) {
    into.body = json::parse(text, nullptr, false);
    return into.body.is_object();
  });
  for (auto& one : out)
    if (!one.body.is_object())
      one.body = json::object();
  return out;
}

std::vector<answer> ask_nodes(const node::cluster_state& state, const std::vector<std::string>& nodes,
                              const std::string& target,
                              const std::function<bool(std::size_t, const std::string&)>& read) {
  return ask_each(state, nodes, target, {},
                  [&](answer&, std::size_t index, const std::string& text) { return read(index, text); });
}

std::string query_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || std::string_view{"-._~"}.find(c) != std::string_view::npos)) {
      out += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(byte));
    out += code;
  }
  return out;
}

int code_of(const std::vector<answer>& answers) {
  const auto reachable = std::count_if(answers.begin(), answers.end(), [](const auto& one) { return one.reachable; });
  if (static_cast<std::size_t>(reachable) == answers.size())
    return done;
  for (const auto& one : answers)
    if (!one.reachable)
      complain("node " + one.node + " is unreachable: " + one.error);
  return reachable == 0 ? unreachable : partial;
}

int worse(int a, int b) {
  return a == unreachable || b == unreachable ? unreachable : std::max(a, b);
}

std::optional<std::vector<std::string>> nodes_meant(const node::cluster_state& state, const std::string& node) {
  if (node.empty())
    return state.nodes;
  if (std::find(state.nodes.begin(), state.nodes.end(), node) != state.nodes.end())
    return std::vector{node};
  complain("cluster '" + state.cluster + "' has no node " + node::quoted(node) + "; " +
           node::suggest(node, {state.nodes.begin(), state.nodes.end()}, "nodes"));
  return std::nullopt;
}

std::filesystem::path socket_of(const node::cluster_state& state, const std::string& node) {
  return node::socket_path(node::default_run_directory() / state.cluster, node);
}

int repeated(const view_options& options, const std::function<int(const node::cluster_state&)>& once) {
  if (!options.watch) {
    const auto found = find_running(options.cluster);
    return found.state ? once(*found.state) : found.code;
  }
  watch_signals();
  while (!was_interrupted()) {
    // Anew each time: the cluster may go meanwhile.
    const auto found = find_running(options.cluster);
    if (!found.state)
      return found.code;
    // What was asked for is not there; a node that does not answer now may answer the next time.
    if (const auto code = once(*found.state); code == no_match || code == usage)
      return code;
    const auto next = std::chrono::steady_clock::now() + watch_interval;
    while (!was_interrupted() && std::chrono::steady_clock::now() < next)
      std::this_thread::sleep_for(50ms);
  }
  return interrupted;
}

void clear_screen(const view_options& options) {
  if (options.watch && options.format == output::table && ::isatty(STDOUT_FILENO) != 0)
    std::cout << "\033[H\033[2J"; // home, clear
}

} // namespace glocal::cli
