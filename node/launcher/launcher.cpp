#include "node/launcher/launcher.hpp"

#include "node/credentials.hpp"
#include "node/drivers/netns_driver.hpp"
#include "node/launcher/local_etcd.hpp"
#include "node/launcher/node_client.hpp"
#include "node/launcher/topology.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <optional>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr auto poll_interval = 50ms;
constexpr std::size_t log_tail_lines = 15;
/// A node whose supervisors gave up, or that crashed, comes back; one that can't live is better seen to have ended.
constexpr auto restarts_within_a_minute = "5";

std::string seconds(clock::duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

std::string tail(const fs::path& log) {
  std::ifstream stream{log};
  std::deque<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line.substr(0, 500));
    if (lines.size() > log_tail_lines)
      lines.pop_front();
  }
  std::string out;
  for (const auto& line : lines)
    out += "\n    " + line;
  return out.empty() ? "\n    (its log is empty)" : out;
}

/// The end of a pipe whose other end only a node holds: readable when the node is gone, whatever its pid is.
class life_line {
public:
  life_line() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) == 0) {
      read_ = ends[0];
      write_ = ends[1];
    }
  }
  life_line(life_line&& other) noexcept
      : read_{std::exchange(other.read_, -1)}, write_{std::exchange(other.write_, -1)} {}
  life_line& operator=(life_line&&) = delete;
  ~life_line() {
    hand_over();
    if (read_ >= 0)
      ::close(read_);
  }
  [[nodiscard]] int node_end() const { return write_; }
  /// Once the node has its copy.
  void hand_over() {
    if (write_ >= 0)
      ::close(std::exchange(write_, -1));
  }
  [[nodiscard]] bool cut() const {
    pollfd watched{read_, POLLIN, 0};
    return ::poll(&watched, 1, 0) > 0;
  }

private:
  int read_ = -1, write_ = -1;
};

std::map<std::string, std::string> places_of(const cluster_config& config) {
  std::map<std::string, std::string> out;
  for (const auto& router : config.underlay.routers)
    out[router] = router;
  for (const auto& node : config.nodes) {
    out[node.name] = node.name;
    for (const auto& attachment : node.attachments)
      if (attachment.host)
        out[attachment.host->name] = attachment.host->name;
  }
  for (const auto& instance : config.instances)
    out[instance.name] = vnf_namespace(instance.name);
  return out;
}

/// Brings one cluster up; what it made is undone by `remove` from the record alone.
class launch {
public:
  launch(const cluster_config& config, const fs::path& file, const launch_options& options)
      : config_{config}, options_{options}, directory_{options.run / config.name}, deadline_{clock::now() +
                                                                                             options.timeout} {
    state_.cluster = config.name;
    state_.config = file;
    for (const auto& node : config.nodes)
      state_.nodes.push_back(node.name);
    state_.places = places_of(config);
  }

  expected<void, launch_error> run() {
    const auto began = clock::now();
    if (auto done = make_sandbox(); !done)
      return done;
    if (auto done = make_topology(); !done)
      return done;
    if (auto done = make_certificates(); !done)
      return done;
    if (auto done = start_etcd(); !done)
      return done;
    if (auto done = start_nodes(); !done)
      return done;
    if (auto done = wait_until_ready(); !done)
      return done;
    state_.phase = cluster_phase::running;
    if (auto written = write_state(directory_, state_); !written)
      return error(launch_error::kind::run_directory, written.error());
    options_.progress("cluster " + config_.name + " is up after " + seconds(clock::now() - began));
    return {};
  }

  [[nodiscard]] const cluster_state& state() const { return state_; }

private:
  using result = expected<void, launch_error>;

  static unexpected<launch_error> error(launch_error::kind what, std::string message) {
    return unexpected{launch_error{what, std::move(message)}};
  }

  std::optional<launch_error> stop_early() const {
    if (options_.interrupted())
      return launch_error{launch_error::kind::interrupted, "interrupted"};
    if (clock::now() >= deadline_)
      return launch_error{launch_error::kind::node,
                          "not up after " + seconds(options_.timeout) + "; --timeout allows more"};
    return std::nullopt;
  }

  std::chrono::milliseconds left() const {
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now()), 1ms);
  }

  result make_sandbox() {
    if (auto written = write_state(directory_, state_); !written)
      return error(launch_error::kind::run_directory, written.error());
    auto made = sandbox::create(directory_, [&](const sandbox& place) {
      state_.holder = place.holder();
      state_.user_namespace = place.has_user_namespace();
      return write_state(directory_, state_).has_value();
    });
    if (!made)
      return error(launch_error::kind::host,
                   "namespaces cannot be made: " + made.error() + "; 'glocal doctor' says what the machine lacks");
    place_ = *made;
    options_.progress(std::string{"sandbox made"} + (made->has_user_namespace() ? " in a user namespace" : ""));
    return {};
  }

  result make_topology() {
    const auto steps = plan_topology(config_);
    for (const auto& step : steps) {
      if (auto stop = stop_early())
        return unexpected{*stop};
      command what;
      what.argv = place_->enter(step.argv, step.network_namespace);
      what.input = step.input;
      what.timeout = std::min(left(), std::chrono::milliseconds{30s});
      if (const auto done = run_checked(what); !done)
        return error(launch_error::kind::host, step.what + ": " + done.error().message);
    }
    options_.progress("topology made: " + std::to_string(config_.nodes.size()) + " nodes, " +
                      std::to_string(config_.underlay.routers.size()) + " routers");
    return {};
  }

  result make_certificates() {
    if (!config_.uses_tls())
      return {};
    if (auto made = make_cluster_certificates(certificates_, config_); !made)
      return error(launch_error::kind::run_directory, to_string(made.error()));
    options_.progress("certificates made: nodes speak TLS to each other");
    return {};
  }

  /// @param line the process holds its node end for as long as it lives.
  result start(const std::string& what, const std::vector<std::string>& argv, const std::string& where,
               const fs::path& log, life_line& line) {
    if (auto stop = stop_early())
      return unexpected{*stop};
    command run;
    // setsid --fork: it becomes a child of the sandbox's init, and this command is done at once.
    std::vector<std::string> detached{"setsid", "--fork"};
    detached.insert(detached.end(), argv.begin(), argv.end());
    run.argv = place_->enter(detached, where);
    run.log = log.string();
    run.inherited = line.node_end();
    run.timeout = std::min(left(), std::chrono::milliseconds{10s});
    const auto started = run_checked(run);
    line.hand_over();
    if (!started)
      return error(launch_error::kind::node, what + " cannot be started: " + started.error().message + tail(log));
    return {};
  }

  /// Before those who ask it, all its members at once: none is healthy without most of the others.
  result start_etcd() {
    const auto hosts = config_.etcd_hosts();
    if (hosts.empty())
      return {};
    for (const auto program : {etcd_program, health_program})
      if (!in_path(std::string{program}))
        return error(launch_error::kind::host, "'etcd: local' needs the program " + std::string{program} +
                                                   ": install the package " +
                                                   std::string{program == etcd_program ? etcd_package : program});
    std::deque<life_line> lines;
    const auto log = [&](const node_config& host) { return directory_ / (host.name + ".etcd.log"); };
    for (const auto* host : hosts)
      if (auto done = start("etcd at " + host->name, etcd_command(config_, *host, directory_), host->name, log(*host),
                            lines.emplace_back());
          !done)
        return done;
    for (std::size_t i = 0; i < hosts.size();) {
      const auto& host = *hosts[i];
      if (lines[i].cut())
        return error(launch_error::kind::node,
                     "etcd at " + host.name + " ended before it was healthy; the end of its log:" + tail(log(host)));
      const auto answer = node::run({.argv = place_->enter(etcd_health_command(host), host.name)});
      if (answer && says_healthy(answer->output)) {
        ++i;
        continue;
      }
      if (auto stop = stop_early()) {
        if (stop->what == launch_error::kind::node)
          stop->message += "\n  etcd at " + host.name + " is not healthy; the end of its log:" + tail(log(host));
        return unexpected{*stop};
      }
      std::this_thread::sleep_for(poll_interval);
    }
    options_.progress("etcd is healthy: " + std::to_string(hosts.size()) +
                      (hosts.size() == 1 ? " member" : " members"));
    return {};
  }

  result start_nodes() {
    for (const auto& node : config_.nodes) {
      std::vector<std::string> argv{
          options_.daemon.string(), "--config",   state_.config.string(),  "--node", node.name, "--run-dir",
          directory_.string(),      "--restarts", restarts_within_a_minute};
      if (config_.uses_tls())
        argv.insert(argv.end(), {"--certificates", certificates_.string()});
      if (auto done =
              start("node " + node.name, argv, node.name, log_path(directory_, node.name), lines_.emplace_back());
          !done)
        return done;
    }
    return {};
  }

  bool is_ready(const std::string& node) const {
    const auto answer = ask_node(socket_path(directory_, node), "/api/v1/status", 500ms);
    if (!answer)
      return false;
    const auto status = nlohmann::json::parse(*answer, nullptr, false);
    return status.is_object() && status.value("ready", nlohmann::json{}) == true;
  }

  result wait_until_ready() {
    std::vector<std::size_t> waiting(config_.nodes.size());
    for (std::size_t i = 0; i < waiting.size(); ++i)
      waiting[i] = i;
    while (!waiting.empty()) {
      for (auto at = waiting.begin(); at != waiting.end();) {
        const auto& name = config_.nodes[*at].name;
        if (lines_[*at].cut())
          return error(launch_error::kind::node, "node " + name + " ended before it was ready; the end of its log:" +
                                                     tail(log_path(directory_, name)));
        if (is_ready(name)) {
          options_.progress("node " + name + " is ready");
          at = waiting.erase(at);
        } else {
          ++at;
        }
      }
      if (waiting.empty())
        break;
      if (auto stop = stop_early()) {
        if (stop->what == launch_error::kind::node)
          for (const auto index : waiting)
            stop->message += "\n  node " + config_.nodes[index].name + " is not ready; the end of its log:" +
                             tail(log_path(directory_, config_.nodes[index].name));
        return unexpected{*stop};
      }
      std::this_thread::sleep_for(poll_interval);
    }
    return {};
  }

  const cluster_config& config_;
  const launch_options& options_;
  fs::path directory_;
  const fs::path certificates_ = directory_ / "tls";
  clock::time_point deadline_;
  cluster_state state_;
  std::optional<sandbox> place_;
  std::vector<life_line> lines_;
};

unexpected<launch_error> run_directory_error(std::string message) {
  return unexpected{launch_error{launch_error::kind::run_directory, std::move(message)}};
}

/// Ends a recorded cluster and empties its directory. REQUIRES: its lock is held.
expected<void, launch_error> clear(const fs::path& directory, cluster_state state, const launch_options& options) {
  if (state.alive()) {
    state.phase = cluster_phase::stopping;
    if (auto written = write_state(directory, state); !written)
      return run_directory_error(written.error());
    if (!state.place()->destroy(options.timeout))
      return unexpected{launch_error{launch_error::kind::host, "process " + std::to_string(state.holder->pid) +
                                                                   ", which holds the cluster's namespaces, does not "
                                                                   "end"}};
  }
  std::error_code failure;
  // The state goes last: until then a crash leaves something that says whose the rest is.
  for (const auto& entry : fs::directory_iterator{directory, failure})
    if (entry.path().filename() != "state.json")
      fs::remove_all(entry.path(), failure);
  fs::remove(directory / "state.json", failure);
  if (failure)
    return run_directory_error(directory.string() + ": " + failure.message());
  return {};
}

/// The same, and the directory goes, RUN too when it is the default one and nothing else is in it.
expected<void, launch_error> remove(const fs::path& directory, const cluster_state& state,
                                    const launch_options& options) {
  if (auto cleared = clear(directory, state, options); !cleared)
    return cleared;
  if (::rmdir(directory.c_str()) != 0)
    return run_directory_error(directory.string() + ": " + std::strerror(errno));
  if (std::getenv("GLOCAL_RUN_DIR") == nullptr && options.run == default_run_directory())
    ::rmdir(options.run.c_str()); // fails while other clusters are in it
  return {};
}

expected<void, launch_error> make_directory(const fs::path& directory, const launch_options& options) {
  for (const auto& path : {options.run, directory})
    if (auto made = ensure_private_directory(path); !made)
      return run_directory_error(made.error());
  return {};
}

} // namespace

expected<cluster_state, launch_error> up(const cluster_config& config, const fs::path& file,
                                         const launch_options& options) {
  const auto directory = options.run / config.name;
  for (const auto& node : config.nodes)
    if (const auto path = socket_path(directory, node.name).string(); path.size() >= sizeof(sockaddr_un::sun_path))
      return run_directory_error(path +
                                 ": longer than a Unix socket's name may be; set GLOCAL_RUN_DIR to a shorter path");
  if (auto made = make_directory(directory, options); !made)
    return unexpected{made.error()};
  const auto lock = cluster_lock::try_take(directory);
  if (!lock)
    return unexpected{
        launch_error{launch_error::kind::busy, "another glocal works on cluster " + config.name + " right now"}};
  std::error_code failure;
  fs::remove(directory / "state.json.new", failure); // all a crash leaves before the first state is whole
  if (const auto old = read_state(directory)) {
    if (old->alive() && old->phase == cluster_phase::running)
      return unexpected{
          launch_error{launch_error::kind::already_up,
                       "cluster " + config.name + " is up already; 'glocal down " + config.name + "' stops it"}};
    options.progress("removing what an earlier run of " + config.name + " left");
    if (auto cleared = clear(directory, *old, options); !cleared)
      return unexpected{cleared.error()};
  } else if (!fs::is_empty(directory, failure)) {
    return run_directory_error(directory.string() + ": holds files but no state of a cluster; move them away");
  }
  launch work{config, fs::absolute(file), options};
  if (auto done = work.run(); !done) {
    auto why = done.error();
    if (auto undone = remove(directory, work.state(), options); !undone)
      why.message += "\nand undoing it failed: " + undone.error().message;
    return unexpected{std::move(why)};
  }
  return work.state();
}

expected<bool, launch_error> down(const std::string& cluster, const launch_options& options) {
  const auto directory = options.run / cluster;
  std::error_code failure;
  if (!fs::exists(directory / "state.json", failure))
    return false;
  if (auto ours = make_directory(directory, options); !ours)
    return unexpected{ours.error()};
  const auto lock = cluster_lock::try_take(directory);
  if (!lock)
    return unexpected{
        launch_error{launch_error::kind::busy, "another glocal works on cluster " + cluster + " right now"}};
  const auto state = read_state(directory);
  if (!state)
    return run_directory_error((directory / "state.json").string() +
                               ": cannot be understood; if no process of the cluster runs, remove " +
                               directory.string());
  if (auto removed = remove(directory, *state, options); !removed)
    return unexpected{removed.error()};
  return true;
}

} // namespace glocal::node
