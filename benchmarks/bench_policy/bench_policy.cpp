// Every policy at scale, by simulation: how well it balances from state that is a second old, whether edges herd, how
// far it is from a centre that knows everything; and one decision by itself: its time and its distance to the optimum.

#include "benchmarks/bench_policy/chain_choice.hpp"
#include "benchmarks/bench_policy/simulation.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <iostream>
#include <utility>

using namespace glocal;
using namespace glocal::bench;
using policy::kind;

namespace {

policy::settings sampled(kind what, std::uint32_t count) {
  policy::settings out{what};
  (what == kind::least_loaded ? out.choices : out.sample) = count;
  return out;
}

void print_choices(const parameters& p, const std::vector<choice_figures>& choices) {
  std::printf("One decision: %u classes, 64 candidates each of %u instances, seed %llu\n", p.classes, p.instances,
              static_cast<unsigned long long>(p.seed));
  std::printf("  %-22s %9s %9s %9s %12s %12s\n", "policy", "p50 us", "p99 us", "cold us", "mean ratio", "max ratio");
  for (const auto& each : choices) {
    std::printf("  %-22s %9.2f %9.2f %9.2f", each.policy.c_str(), each.p50_us, each.p99_us, each.cold_p50_us);
    if (each.max_ratio > 0)
      std::printf(" %12.4f %12.4f\n", each.mean_ratio, each.max_ratio);
    else
      std::printf(" %12s %12s\n", "-", "-");
  }
  std::printf("  ratio: cost by the exact optimum over the same candidates\n\n");
}

void print_head(const parameters& p) {
  std::printf("At scale: %u instances, %u edges, state %g s old, serving %g s; flows of %g s, mean utilisation %g\n",
              p.instances, p.edges, p.age_s, p.period_s, p.flow_s, p.utilisation);
  std::printf("  %-22s %-7s %9s %9s %9s %10s %11s %9s\n", "policy", "digest", "max/mean", "p99/mean", "herding",
              "overfull %", "latency us", "decide us");
}

void print_row(const figures& each) {
  std::printf("  %-22s %-7s %9.2f %9.2f %9.1f %10.2f %11.0f %9.2f\n", each.policy.c_str(), each.digest.c_str(),
              each.max_by_mean, each.p99_by_mean, each.herding, 100 * each.overfull_share, each.latency_us,
              each.decide_us);
  std::fflush(stdout);
}

void print_foot() {
  std::printf("  max/mean, p99/mean: of the instances' utilisation. herding: flows of the most chosen instance of a "
              "period by the mean.\n");
}

nlohmann::json to_json(const parameters& p, const std::vector<choice_figures>& choices,
                       const std::vector<figures>& all) {
  nlohmann::json out;
  out["parameters"] = {{"instances", p.instances},     {"edges", p.edges},           {"classes", p.classes},
                       {"utilisation", p.utilisation}, {"flow_s", p.flow_s},         {"age_s", p.age_s},
                       {"period_s", p.period_s},       {"measured_s", p.measured_s}, {"seed", p.seed}};
  for (const auto& each : choices)
    out["choice"].push_back({{"policy", each.policy},
                             {"p50_us", each.p50_us},
                             {"p99_us", each.p99_us},
                             {"cold_p50_us", each.cold_p50_us},
                             {"mean_ratio", each.mean_ratio},
                             {"max_ratio", each.max_ratio}});
  for (const auto& each : all)
    out["scale"].push_back({{"policy", each.policy},
                            {"digest", each.digest},
                            {"decisions", each.decisions},
                            {"max_by_mean", each.max_by_mean},
                            {"p99_by_mean", each.p99_by_mean},
                            {"herding", each.herding},
                            {"overfull_share", each.overfull_share},
                            {"latency_us", each.latency_us},
                            {"decide_us", each.decide_us}});
  return out;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Policies at scale, by simulation with real deciders; and the time and cost of one decision.\n"
               "Deterministic for a seed but for measured times.\n\n"
               "  bench_policy                     everything, about two minutes\n"
               "  bench_policy --only choice       time and cost ratio of one decision\n"
               "  bench_policy --json > out.json\n"
               "  bench_policy --instances 500 --edges 50 --measured 5"};
  parameters p;
  bool json = false;
  std::string only;
  std::size_t rounds = 20'000;
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", json, "print JSON");
  app.add_option("--only", only, "choice or scale")->check(CLI::IsMember({"choice", "scale"}));
  app.add_option("--instances", p.instances, "of all classes")->check(CLI::Range(10u, 1'000'000u));
  app.add_option("--edges", p.edges, "")->check(CLI::Range(1u, static_cast<unsigned>(policy::max_edges)));
  app.add_option("--classes", p.classes, "in the chain")->check(CLI::Range(2u, 16u));
  app.add_option("--utilisation", p.utilisation, "mean of all instances")->check(CLI::Range(0.01, 0.99));
  app.add_option("--flow-seconds", p.flow_s, "mean time of a flow")->check(CLI::Range(0.1, 10'000.0));
  app.add_option("--warm-up", p.warm_up_s, "simulated seconds before measuring")->check(CLI::Range(0.0, 1e6));
  app.add_option("--measured", p.measured_s, "simulated seconds measured")->check(CLI::Range(1.0, 1e6));
  app.add_option("--rounds", rounds, "decisions timed")->check(CLI::Range(100, 100'000'000));
  app.add_option("--seed", p.seed, "");
  CLI11_PARSE(app, argc, argv);

  std::vector<choice_figures> choices;
  if (only != "scale") {
    for (const auto& rule :
         {policy::settings{kind::least_loaded}, policy::settings{kind::round_robin}, policy::settings{kind::weighted},
          policy::settings{kind::consistent}, policy::settings{kind::lowest_latency}, sampled(kind::lowest_latency, 16),
          policy::settings{kind::locality}, policy::settings{kind::combined}})
      choices.push_back(measure_choice(p, rule, rounds));
    if (!json)
      print_choices(p, choices);
  }

  std::vector<figures> all;
  if (only != "choice") {
    const auto take = [&](const figures& row) {
      all.push_back(row);
      if (!json)
        print_row(row);
    };
    if (!json)
      print_head(p);
    take(simulate(p, centre_rule::least_loaded));
    take(simulate(p, centre_rule::latency));
    for (const auto seen : {digest_kind::least, digest_kind::dealt})
      for (const auto& rule :
           {policy::settings{kind::least_loaded}, sampled(kind::least_loaded, 64), policy::settings{kind::round_robin},
            policy::settings{kind::weighted}, policy::settings{kind::consistent}, policy::settings{kind::combined}})
        take(simulate(p, rule, seen));
    for (const auto seen : {digest_kind::dealt, digest_kind::near})
      for (const auto& rule :
           {policy::settings{kind::lowest_latency}, sampled(kind::lowest_latency, 8), policy::settings{kind::locality}})
        take(simulate(p, rule, seen));
    if (!json)
      print_foot();
  }
  if (json)
    std::cout << to_json(p, choices, all).dump(2) << '\n';
}
