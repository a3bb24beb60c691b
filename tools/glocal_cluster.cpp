// check, up, down, exec: the commands that need the cluster file or the sandbox.

#include "node/config_report.hpp"
#include "node/credentials.hpp"
#include "node/launcher/launcher.hpp"
#include "tools/glocal_clusters.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <system_error>

#include <unistd.h>

namespace glocal::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : noun.ends_with("ss") ? "es" : "s");
}

void print(const std::vector<node::diagnostic>& found) {
  for (const auto& what : found)
    std::cerr << to_string(what) << '\n';
  std::cerr << counted(found.size(), "error") << '\n';
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds{static_cast<long long>(seconds * 1000)};
}

int code_of(node::launch_error::kind what) {
  using kind = node::launch_error::kind;
  switch (what) {
  case kind::run_directory:
  case kind::host: return host_unfit;
  case kind::already_up: return usage;
  case kind::busy:
  case kind::node: return unreachable;
  case kind::interrupted: return interrupted;
  }
  return failed;
}

std::string names(const std::vector<node::cluster_state>& clusters) {
  std::string out;
  for (const auto& one : clusters)
    out += (out.empty() ? "" : ", ") + one.cluster;
  return out;
}

bool looks_like_file(const std::string& what) {
  return what.find('/') != std::string::npos || what.ends_with(".yaml") || what.ends_with(".yml");
}

/// The recorded cluster `what` means; one that died too.
std::optional<std::string> cluster_to_stop(const std::string& what, int& code) {
  const auto recorded = node::recorded_clusters(node::default_run_directory());
  if (what.empty()) {
    if (recorded.size() == 1)
      return recorded[0].cluster;
    complain(recorded.empty() ? "no cluster is up" : "several clusters are up: " + names(recorded) + "; say which one");
    code = recorded.empty() ? no_match : usage;
    return std::nullopt;
  }
  if (!looks_like_file(what))
    return what;
  // By the file's path first: the file may have changed since, or gone.
  std::error_code failure;
  const auto path = fs::weakly_canonical(what, failure);
  for (const auto& one : recorded)
    if (one.config == path)
      return one.cluster;
  const auto config = node::load_cluster_file(what);
  if (config)
    return config->name;
  print(config.error());
  code = invalid_config;
  return std::nullopt;
}

std::vector<std::string_view> names_of(const node::cluster_config& config) {
  std::vector<std::string_view> out;
  for (const auto& node : config.nodes)
    out.push_back(node.name);
  return out;
}

std::vector<node::diagnostic> files_wrong(const node::cluster_config& config, const std::string& node) {
  std::vector<node::diagnostic> out;
  for (auto& problem : node::problems_of_files(config, node))
    out.push_back({problem.file.string(), 0, 0, std::move(problem.reason), std::move(problem.remedy)});
  return out;
}

} // namespace

void complain(const std::string& message) {
  std::cerr << "glocal: " << message << '\n';
}

found_cluster find_running(const std::string& name) {
  auto clusters = node::recorded_clusters(node::default_run_directory());
  std::erase_if(clusters, [](const auto& one) { return !one.alive(); });
  if (name.empty() && clusters.size() > 1) {
    complain("several clusters are up: " + names(clusters) + "; say which one with --cluster");
    return {std::nullopt, usage};
  }
  for (const auto& one : clusters)
    if (name.empty() || one.cluster == name)
      return {one, done};
  complain(name.empty()
               ? "no cluster is up; start one with 'glocal up FILE'"
               : "cluster '" + name + "' is not up" + (clusters.empty() ? "" : "; up are: " + names(clusters)));
  return {std::nullopt, no_match};
}

int check(const std::string& file, const std::string& node, output format) {
  auto config = node::load_cluster_file(file);
  if (config && !node.empty()) {
    if (config->find_node(node) == nullptr) {
      complain(file + " has no node " + node::quoted(node) + "; " + node::suggest(node, names_of(*config), "nodes"));
      return usage;
    }
    if (auto wrong = files_wrong(*config, node); !wrong.empty())
      config = unexpected{std::move(wrong)};
  }
  if (format == output::json) {
    json found = json::array();
    if (!config)
      for (const auto& what : config.error())
        found.push_back({{"file", what.file},
                         {"line", what.line},
                         {"column", what.column},
                         {"message", what.message},
                         {"suggestion", what.suggestion}});
    std::cout << json{{"file", file}, {"ok", config.has_value()}, {"errors", found}}.dump(
                     2, ' ', false, json::error_handler_t::replace)
              << '\n';
    return config ? done : invalid_config;
  }
  if (!config) {
    print(config.error());
    return invalid_config;
  }
  std::cout << file << ": ok: cluster " << config->name << " with " << counted(config->nodes.size(), "node") << " ("
            << counted(config->nodes_with(node::role::edge).size(), "edge") << ", "
            << counted(config->nodes_with(node::role::store).size(), "store") << "), "
            << counted(config->vnf_classes.size(), "VNF class") << ", " << counted(config->instances.size(), "instance")
            << ", " << counted(config->services.size(), "service") << '\n';
  return done;
}

int up(const up_options& options) {
  const auto config = node::load_cluster_file(options.file);
  if (!config) {
    print(config.error());
    return invalid_config;
  }
  for (const auto& node : config->nodes)
    if (node.uses_real_devices()) {
      complain("node '" + node.name + "' uses devices of a real machine; there run: glocald --config " + options.file +
               " --node " + node.name);
      return usage;
    }
  node::launch_options launch;
  std::error_code failure;
  launch.daemon = options.daemon.empty() ? fs::read_symlink("/proc/self/exe", failure).parent_path() / "glocald"
                                         : fs::absolute(options.daemon);
  if (::access(launch.daemon.c_str(), X_OK) != 0) {
    complain(launch.daemon.string() + ": " + std::strerror(errno) + "; build it, or say where it is with --glocald");
    return usage;
  }
  launch.timeout = milliseconds(options.timeout_s);
  launch.progress = [](const std::string& line) { std::cerr << line << '\n'; };
  launch.interrupted = was_interrupted;
  watch_signals();
  const auto started = node::up(*config, fs::canonical(options.file, failure), launch);
  if (started)
    return done;
  complain(started.error().message);
  return code_of(started.error().what);
}

int down(const std::string& what, double timeout_s) {
  int code = done;
  const auto cluster = cluster_to_stop(what, code);
  if (!cluster)
    return code;
  node::launch_options launch;
  launch.timeout = milliseconds(timeout_s);
  watch_signals(); // removing goes on to its end
  const auto removed = node::down(*cluster, launch);
  if (!removed) {
    complain(removed.error().message);
    return code_of(removed.error().what);
  }
  if (!*removed) {
    complain("cluster '" + *cluster + "' is not up");
    return no_match;
  }
  std::cerr << "cluster " << *cluster << " is down\n";
  return done;
}

int exec(const std::string& cluster, const std::string& host, const std::vector<std::string>& command) {
  const auto found = find_running(cluster);
  if (!found.state)
    return found.code;
  const auto where = found.state->places.find(host);
  if (where == found.state->places.end()) {
    std::string known;
    for (const auto& [name, network_namespace] : found.state->places)
      known += (known.empty() ? "" : ", ") + name;
    complain("cluster '" + found.state->cluster + "' has no '" + host + "'; it has: " + known);
    return no_match;
  }
  std::error_code failure;
  const auto line = found.state->place()->enter(command, where->second, fs::current_path(failure));
  std::vector<char*> argv;
  argv.reserve(line.size() + 1);
  for (const auto& word : line)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  complain(line[0] + ": " + std::strerror(errno));
  return host_unfit;
}

} // namespace glocal::cli
