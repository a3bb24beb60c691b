// glocal-sim: runs seeds of the simulated store and says which of them broke a promise.

#include "tests/sim/world.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>

using namespace glocal;

int main(int argc, char** argv) {
  CLI::App app{"Runs the replicated store in virtual time under faults and checks what it promises:\n"
               "per-key linearizability, equal state per index, one primary per epoch, no acknowledged write lost,\n"
               "no gap in a watch, no lease ended early, and a whole slot after everything has healed."};
  app.footer("Examples:\n  glocal-sim --seeds 1..500\n  glocal-sim --seeds 1..100 --scenario wiped_disk\n"
             "  glocal-sim --seeds 42..42 --verbose\n"
             "Exit codes: 0 no violation; 1 a violation; 2 usage.");
  std::string range = "1..100", scenario = "mixed";
  bool verbose = false;
  std::vector<std::string> names;
  for (const auto& each : sim::all_scenarios())
    names.push_back(each.name);
  app.add_option("--seeds", range, "First and last seed, as A..B (or one seed)")->capture_default_str();
  app.add_option("--scenario", scenario, "Which faults")->check(CLI::IsMember(names))->capture_default_str();
  app.add_flag("--verbose", verbose, "Print what happens in each run");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  unsigned long long first = 0, last = 0;
  int used = 0;
  if (std::sscanf(range.c_str(), "%llu..%llu%n", &first, &last, &used) == 2 && used == static_cast<int>(range.size())) {
  } else if (std::sscanf(range.c_str(), "%llu%n", &first, &used) == 1 && used == static_cast<int>(range.size())) {
    last = first;
  } else {
    std::fprintf(stderr, "--seeds %s: give A..B, for example 1..500\n", range.c_str());
    return 2;
  }

  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16); // a run that is stopped has still said what it found
  const auto began = std::chrono::steady_clock::now();
  std::size_t runs = 0, failed = 0, operations = 0, acknowledged = 0, undecided = 0, views = 0;
  for (auto seed = first; seed <= last; ++seed) {
    const auto result = sim::run({seed, scenario, verbose});
    ++runs;
    operations += result.operations;
    acknowledged += result.acknowledged;
    undecided += result.undecided;
    views += result.views;
    if (verbose)
      std::printf("seed %llu, %s\n%s", seed, scenario.c_str(), result.log.c_str());
    if (result.violations.empty())
      continue;
    ++failed;
    for (const auto& each : result.violations)
      std::printf("seed %llu: %s\n", seed, each.c_str());
    std::printf("replay: %s --seeds %llu..%llu --scenario %s --verbose\n", argv[0], seed, seed, scenario.c_str());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%zu runs of %s: %zu with violations; %zu operations, %zu writes acknowledged, %zu view changes, "
              "%zu keys undecided; %.1f s, %.0f ms a run\n",
              runs, scenario.c_str(), failed, operations, acknowledged, views, undecided, took.count(),
              took.count() * 1000 / static_cast<double>(runs));
  return failed == 0 ? 0 : 1;
}
