// The paper's scale-out claim by simulation: decisions at the edges against decisions at a centre, for the same costs.

#include "benchmarks/bench_scaleout/plot.hpp"
#include "benchmarks/bench_scaleout/simulation.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>

using namespace glocal::bench;

namespace {

struct arrangement {
  std::string name;
  std::uint32_t centre_cores;
  const char* colour;
};

struct row {
  std::string arrangement;
  point figures;
};

nlohmann::json to_json(const costs& c, const std::vector<row>& rows) {
  nlohmann::json out;
  out["parameters"] = {{"flows_per_edge_s", c.flows_per_edge_s},
                       {"decide_us", c.decide_us},
                       {"program_us", c.program_us},
                       {"write_us", c.write_us},
                       {"backup_us", c.backup_us},
                       {"sync_us", c.sync_us},
                       {"delay_us", {c.near_us, c.far_us}},
                       {"edges_per_store_node", c.edges_per_store_node},
                       {"hold_ms", c.hold_ms},
                       {"measured_s", c.measured_s},
                       {"seed", c.seed}};
  for (const auto& [name, p] : rows)
    out["points"].push_back({{"arrangement", name},
                             {"edges", p.edges},
                             {"offered_per_s", p.offered_per_s},
                             {"decided_per_s", p.decided_per_s},
                             {"p50_ms", p.p50_ms},
                             {"p99_ms", p.p99_ms},
                             {"refused_share", p.refused_share}});
  return out;
}

void print(const costs& c, const std::vector<row>& rows) {
  std::printf(
      "Flow set-up, simulated: %g flows/s per edge; decide %g us, program %g us, write %g us at the primary and "
      "%g us at each of two backups, sync %g us;\none-way delays %g to %g us; a store node per %u edges; held "
      "for %g ms; seed %llu\n\n",
      c.flows_per_edge_s, c.decide_us, c.program_us, c.write_us, c.backup_us, c.sync_us, c.near_us, c.far_us,
      c.edges_per_store_node, c.hold_ms, static_cast<unsigned long long>(c.seed));
  std::printf("%-18s %6s %12s %12s %9s %9s %9s\n", "", "edges", "offered/s", "decided/s", "p50 ms", "p99 ms",
              "refused %");
  for (const auto& [name, p] : rows)
    std::printf("%-18s %6u %12.0f %12.0f %9.2f %9.2f %9.2f\n", name.c_str(), p.edges, p.offered_per_s, p.decided_per_s,
                p.p50_ms, p.p99_ms, 100 * p.refused_share);
}

bool write_svg(const std::string& file, const std::vector<arrangement>& arrangements, const std::vector<row>& rows) {
  panel rate{"decisions per second", "edges", "decisions/s", {}}, latency{"flow set-up, p99", "edges", "ms", {}};
  for (const auto& one : arrangements) {
    auto& rates = rate.curves.emplace_back(curve{one.name, one.colour, {}});
    auto& latencies = latency.curves.emplace_back(curve{one.name, one.colour, {}});
    for (const auto& [name, p] : rows)
      if (name == one.name) {
        rates.points.emplace_back(p.edges, p.decided_per_s);
        latencies.points.emplace_back(p.edges, p.p99_ms);
      }
  }
  std::ofstream out{file};
  out << to_svg("Local decisions scale with the edges; a centre does not", {rate, latency});
  return static_cast<bool>(out.flush());
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Flow set-up decided at 1 to 1,000 simulated edges or at a centre, with the same costs.\n"
               "Deterministic for a seed.\n\n"
               "  bench_scaleout --svg scaleout.svg\n"
               "  bench_scaleout --json --edges 1,10,100\n"
               "  bench_scaleout --centre-cores 1,32 --decide-us 5"};
  costs c;
  bool json = false;
  std::string svg;
  std::vector<std::uint32_t> edges{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}, cores{1, 8};
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", json, "print JSON");
  app.add_option("--svg", svg, "write the plot to this file");
  app.add_option("--edges", edges, "numbers of edges")->delimiter(',')->check(CLI::Range(1u, 10'000u));
  app.add_option("--centre-cores", cores, "cores of the centres compared with")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1024u));
  app.add_option("--flows-per-edge", c.flows_per_edge_s, "per second")->check(CLI::Range(1.0, 1e6));
  app.add_option("--decide-us", c.decide_us, "")->check(CLI::Range(0.0, 1e6));
  app.add_option("--program-us", c.program_us, "")->check(CLI::Range(0.0, 1e6));
  app.add_option("--write-us", c.write_us, "at the store's primary")->check(CLI::Range(0.0, 1e6));
  app.add_option("--backup-us", c.backup_us, "at each backup")->check(CLI::Range(0.0, 1e6));
  app.add_option("--sync-us", c.sync_us, "")->check(CLI::Range(0.0, 1e6));
  app.add_option("--edges-per-store-node", c.edges_per_store_node, "")->check(CLI::Range(1u, 10'000u));
  app.add_option("--hold-ms", c.hold_ms, "")->check(CLI::Range(1.0, 60'000.0));
  app.add_option("--warm-up", c.warm_up_s, "simulated seconds")->check(CLI::Range(0.0, 1e4));
  app.add_option("--measured", c.measured_s, "simulated seconds")->check(CLI::Range(0.1, 1e4));
  app.add_option("--seed", c.seed, "");
  CLI11_PARSE(app, argc, argv);

  std::vector<arrangement> arrangements{{"local", 0, "#1b7f3b"}};
  const char* const colours[] = {"#c0392b", "#d68910", "#7d3c98", "#2e86c1"};
  for (std::size_t i = 0; i < cores.size(); ++i)
    arrangements.push_back({"centre, " + std::to_string(cores[i]) + (cores[i] == 1 ? " core" : " cores"), cores[i],
                            colours[i % std::size(colours)]});
  std::vector<row> rows;
  for (const auto& one : arrangements)
    for (const auto count : edges)
      rows.push_back({one.name, simulate(c, count, one.centre_cores)});

  if (json)
    std::cout << to_json(c, rows).dump(2) << '\n';
  else
    print(c, rows);
  if (!svg.empty() && !write_svg(svg, arrangements, rows)) {
    std::cerr << "bench_scaleout: cannot write " << svg << '\n';
    return 1;
  }
}
