// glocald: one node of a cluster. Roles, ports and peers come from the cluster file.

#include "base/log.hpp"
#include "node/config.hpp"
#include "node/daemon/daemon.hpp"
#include "tools/keeper.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>

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

struct arguments {
  std::string config, node, run_dir = "/run/glocal", certificates, log_level = "info";
  glocal::log_format log_format = glocal::log_format::text;
  std::size_t restarts = 0;
};

int run_node(const arguments& given) {
  const auto config = glocal::node::load_cluster_file(given.config);
  if (!config) {
    for (const auto& what : config.error())
      std::fprintf(stderr, "%s\n", to_string(what).c_str());
    return invalid_config;
  }
  if (config->find_node(given.node) == nullptr) {
    std::fprintf(stderr, "glocald: %s has no node '%s'\n", given.config.c_str(), given.node.c_str());
    return usage;
  }

  glocal::start_logging(given.node, given.log_level, given.log_format);
  const auto ending = block_ending_signals();
  std::string failure;
  auto daemon =
      glocal::node::daemon::start(*config, given.node, {given.run_dir, given.certificates}, [&](std::string why) {
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

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"glocald: runs one node of a glocal cluster until SIGTERM.\n\n"
               "Example:\n  glocald --config figure3.yaml --node dc1 --run-dir /run/glocal"};
  arguments given;
  app.add_option("--config", given.config, "cluster file")->required();
  app.add_option("--node", given.node, "which of its nodes this is")->required();
  app.add_option("--run-dir", given.run_dir, "directory for the node's socket and data")->capture_default_str();
  app.add_option("--certificates", given.certificates,
                 "directory of ca.crt, NODE.crt and NODE.key; default: as the cluster file says")
      ->option_text("DIR");
  app.add_option("--log-level", given.log_level, "trace, debug, info, warn, error or off")->capture_default_str();
  app.add_option("--log-format", given.log_format, "of the log, on standard error: text, or one JSON object a line")
      ->transform(CLI::CheckedTransformer(std::map<std::string, glocal::log_format>{
          {"text", glocal::log_format::text}, {"json", glocal::log_format::json}}))
      ->option_text("text|json");
  app.add_option("--restarts", given.restarts,
                 "start the node again when it fails, so often within a minute (systemd does it better: 0)")
      ->capture_default_str();
  app.set_version_flag("--version", GLOCAL_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? done : usage;
  }
  if (given.restarts == 0)
    return run_node(given);
  glocal::keeper_options keeping;
  keeping.max_restarts = given.restarts;
  keeping.final_statuses = {usage, invalid_config, host_unfit};
  keeping.on_failure = [&](int status, bool again) {
    glocal::start_logging(given.node, given.log_level, given.log_format);
    if (again)
      spdlog::error("the node ended with status {}; starting it again", status);
    else
      spdlog::critical("the node ended with status {}; leaving it ended", status);
    spdlog::shutdown();
  };
  return glocal::keep_running(keeping, [&] { return run_node(given); });
}
