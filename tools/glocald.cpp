// glocald: one node of a cluster. Roles, ports and peers come from the cluster file.

#include "base/log.hpp"
#include "node/config.hpp"
#include "node/daemon/daemon.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace {

/// DESIGN section 7.
enum exit_code { done = 0, failed = 1, usage = 2, invalid_config = 3, host_unfit = 4 };

/// The signals this process ends by, blocked in every thread so that main() alone takes them, one after the other.
sigset_t block_ending_signals() {
  sigset_t ending;
  sigemptyset(&ending);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1})
    sigaddset(&ending, number);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  // A peer that went away is an error code of a write, not the end of the process.
  signal(SIGPIPE, SIG_IGN);
  return ending;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"glocald: runs one node of a glocal cluster until SIGTERM.\n\n"
               "Example:\n  glocald --config figure3.yaml --node dc1 --run-dir /run/glocal"};
  std::string config_path, node_name, run_dir = "/run/glocal", certificates, log_level = "info";
  app.add_option("--config", config_path, "cluster file")->required();
  app.add_option("--node", node_name, "which of its nodes this is")->required();
  app.add_option("--run-dir", run_dir, "directory for the node's socket and data")->capture_default_str();
  app.add_option("--certificates", certificates,
                 "directory of ca.crt, NODE.crt and NODE.key; default: as the cluster file says")
      ->option_text("DIR");
  app.add_option("--log-level", log_level, "trace, debug, info, warn, error or off")->capture_default_str();
  app.set_version_flag("--version", GLOCAL_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? done : usage;
  }

  const auto config = glocal::node::load_cluster_file(config_path);
  if (!config) {
    for (const auto& what : config.error())
      std::fprintf(stderr, "%s\n", to_string(what).c_str());
    return invalid_config;
  }
  if (config->find_node(node_name) == nullptr) {
    std::fprintf(stderr, "glocald: %s has no node '%s'\n", config_path.c_str(), node_name.c_str());
    return usage;
  }

  glocal::start_logging(node_name, log_level);
  const auto ending = block_ending_signals();
  std::string failure;
  auto daemon = glocal::node::daemon::start(*config, node_name, {run_dir, certificates}, [&](std::string why) {
    failure = std::move(why);
    kill(getpid(), SIGUSR1);
  });
  if (!daemon) {
    spdlog::critical("{}", daemon.error());
    return host_unfit;
  }
  int received = 0;
  sigwait(&ending, &received);
  if (received == SIGUSR1) {
    spdlog::critical("giving up: {}", failure);
    return failed;
  }
  spdlog::info("ending: {}", strsignal(received));
  daemon->reset();
  return done;
}
