// bench_actors: what it costs to look at actors, and to be looked at.

#include "benchmarks/bench_actors/rows.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <iostream>

int main(int argc, char** argv) {
  CLI::App app{"bench_actors: 'glocal actors ls' on a node of many actors, and the cost of observation.\n\n"
               "Example:\n  bench_actors --actors 10000 --json"};
  std::size_t actors = 10'000, messages = 200'000;
  unsigned runs = 11;
  bool as_json = false;
  std::string glocal = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../../tools/glocal")
                           .lexically_normal()
                           .string();
  app.add_option("--actors", actors, "how many a node has")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--messages", messages, "of a game between two actors")
      ->check(CLI::Range(100, 100'000'000))
      ->capture_default_str();
  app.add_option("--runs", runs, "of each row; medians are shown")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--glocal", glocal, "the command line")->capture_default_str();
  app.add_flag("--json", as_json, "one JSON document");
  CLI11_PARSE(app, argc, argv);
  try {
    auto rows = glocal::bench::measure_listing(actors, runs, glocal);
    for (auto& row : glocal::bench::measure_overhead(messages, runs))
      rows.push_back(std::move(row));
    if (as_json) {
      auto out = nlohmann::json::array();
      for (const auto& row : rows)
        out.push_back({{"what", row.what},
                       {"value", row.value},
                       {"unit", row.unit},
                       {"target", row.target > 0 ? nlohmann::json(row.target) : nlohmann::json()}});
      std::cout << nlohmann::json{{"benchmark", "actors"}, {"rows", out}}.dump(2) << "\n";
    } else {
      for (const auto& row : rows) {
        std::printf("%-62s %10.2f %s", row.what.c_str(), row.value, row.unit.c_str());
        if (row.target > 0)
          std::printf("   (target: < %g: %s)", row.target, row.value < row.target ? "met" : "missed");
        std::printf("\n");
      }
    }
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_actors: %s\n", failure.what());
    return 1;
  }
  return 0;
}
