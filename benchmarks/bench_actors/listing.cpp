#include "benchmarks/bench_actors/rows.hpp"

#include "node/daemon/api.hpp"
#include "node/daemon/rate_sampler.hpp"
#include "node/launcher/cluster_state.hpp"
#include "node/launcher/node_client.hpp"
#include "node/process.hpp"
#include "runtime/observed.hpp"

#include <caf/all.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <unistd.h>

namespace glocal::bench {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr auto cluster = "bench";
constexpr auto node_name = "n1";

/// Says as much of itself as a service module does.
class idler : public runtime::observed_actor {
public:
  idler(caf::actor_config& cfg, std::string name) : runtime::observed_actor{cfg, "service module", std::move(name)} {}
  caf::behavior make_behavior() override {
    return {[this](int) { ++handled_; }};
  }
  [[nodiscard]] runtime::state_entries state_summary() const override {
    runtime::state_entries out{{"service", "web"}, {"ready", "true"}};
    for (const auto* key : {"packet_ins", "cached", "decided", "adopted", "ended", "no_candidate", "store_failures",
                            "paths_made", "paths_known", "flows_remembered", "publish_p50_ns", "publish_p99_ns"})
      out.emplace_back(key, std::to_string(handled_));
    return out;
  }

private:
  std::uint64_t handled_ = 0;
};

struct run_directory {
  fs::path path;
  run_directory() {
    std::string name = "/tmp/bench_actors.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"no directory can be made in /tmp"};
    path = name;
    ::setenv("GLOCAL_RUN_DIR", name.c_str(), 1);
    fs::create_directory(path / cluster);
    fs::permissions(path / cluster, fs::perms::owner_all);
    node::cluster_state state;
    state.cluster = cluster;
    state.phase = node::cluster_phase::running;
    state.nodes = {node_name};
    // This process stands for the sandbox that keeps a real cluster.
    state.holder = node::identify(::getpid());
    if (const auto written = node::write_state(path / cluster, state); !written)
      throw std::runtime_error{written.error()};
  }
  ~run_directory() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  [[nodiscard]] fs::path socket() const { return node::socket_path(path / cluster, node_name); }
};

double milliseconds_since(clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(clock::now() - begin).count();
}

double run_glocal(const std::string& glocal, const std::vector<std::string>& arguments, const fs::path& output) {
  node::command what;
  what.argv = {glocal};
  what.argv.insert(what.argv.end(), arguments.begin(), arguments.end());
  what.log = output.string();
  const auto begin = clock::now();
  const auto done = node::run(what);
  const auto took = milliseconds_since(begin);
  if (!done || !done->ok())
    throw std::runtime_error{node::shown(what.argv) + " failed; it said: " + output.string()};
  return took;
}

} // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<row> measure_listing(std::size_t actors, unsigned runs, const std::string& glocal) {
  const run_directory directory;
  runtime::system_options options;
  options.node = node_name;
  runtime::system_config config{options};
  caf::actor_system system{config};
  std::vector<caf::actor> alive;
  for (std::size_t i = 0; i < actors; ++i)
    alive.push_back(system.spawn<idler>("edge/n1/service/s" + std::to_string(i)));

  node::node_config self;
  self.name = node_name;
  runtime::transport transport;
  transport.node = node_name;
  transport.directory = std::make_shared<runtime::directory>();
  std::vector<row> out;
  {
    const node::rate_sampler rates{config.observatory()};
    node::http_api api{
        directory.socket(),
        node::make_api(system, transport, {self, config.observatory(), clock::now(), nullptr, {}, 0}, 1)};
    if (const auto started = api.start(); !started)
      throw std::runtime_error{started.error()};
    const auto output = directory.path / "out";
    const auto count = std::to_string(actors);
    const auto list = [&](const std::vector<std::string>& arguments) {
      fs::remove(output);
      return run_glocal(glocal, arguments, output);
    };
    const auto several = [&](const std::vector<std::string>& arguments) {
      std::vector<double> times;
      for (unsigned run = 0; run < runs; ++run)
        times.push_back(list(arguments));
      return times;
    };
    constexpr double target = 200;
    out.push_back({"actors ls of " + count + ", the first ever", "ms", list({"actors", "ls"}), target});
    for (const auto& [what, arguments] :
         {std::pair{"actors ls of ", std::vector<std::string>{"actors", "ls"}},
          std::pair{"actors ls -o json of ", std::vector<std::string>{"actors", "ls", "-o", "json"}},
          std::pair{"actors tree of ", std::vector<std::string>{"actors", "tree"}}}) {
      const auto times = several(arguments);
      out.push_back({what + count + ", median", "ms", median(times), target});
      out.push_back({what + count + ", slowest", "ms", *std::max_element(times.begin(), times.end()), 0});
    }
    // All of them with something new to say.
    std::vector<double> woken;
    for (unsigned run = 0; run < runs; ++run) {
      for (const auto& one : alive)
        caf::anon_send(one, 1);
      while (
          std::ranges::any_of(config.observatory().snapshot(), [](const auto& one) { return one.mailbox_depth > 0; }))
        std::this_thread::yield();
      woken.push_back(list({"actors", "ls"}));
    }
    out.push_back({"actors ls of " + count + ", all have handled something since", "ms", median(woken), target});
    std::vector<double> asked, bytes;
    for (unsigned run = 0; run < runs; ++run) {
      const auto begin = clock::now();
      const auto answer = node::ask_node(directory.socket(), "/api/v1/actors", std::chrono::seconds{10});
      asked.push_back(milliseconds_since(begin));
      bytes.push_back(answer ? static_cast<double>(answer->size()) : 0);
    }
    out.push_back({"of which the node's answer", "ms", median(asked), 0});
    out.push_back({"its size", "KiB", median(bytes) / 1024, 0});
    out.push_back({"glocal without asking anything", "ms", median(several({"--version"})), 0});
  }
  return out;
}

} // namespace glocal::bench
