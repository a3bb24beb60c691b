#include "benchmarks/bench_policy/chain_choice.hpp"

#include <algorithm>
#include <chrono>
#include <memory>

namespace glocal::bench {
namespace {

using clock = std::chrono::steady_clock;

double us_since(clock::time_point begun) {
  return std::chrono::duration<double, std::micro>{clock::now() - begun}.count();
}

/// More than the last-level cache's share of a core.
class cache_flusher {
public:
  void flush() {
    for (std::size_t i = 0; i < memory_.size(); i += 64)
      ++memory_[i];
  }

private:
  std::vector<unsigned char> memory_ = std::vector<unsigned char>(64u << 20);
};

/// Exact cheapest chain by backward recursion over the policy's own prices: shares no code with the solver.
double optimum(const policy::explanation& all, const policy::settings& rule, const policy::delay_table& delays,
               policy::edge_id edge, const std::vector<std::vector<policy::edge_id>>& edges) {
  const auto price = make_pricing(rule)->links();
  const auto link = [&](policy::edge_id from, policy::edge_id to) {
    return static_cast<double>(price.per_us) * static_cast<double>(delays.delay_us(from, to)) +
           (from == to ? 0.0 : static_cast<double>(price.per_change));
  };
  std::vector<double> to_end;
  for (auto layer = all.classes.size(); layer-- > 0;) {
    const auto& here = all.classes[layer];
    std::vector<double> from_here(here.size());
    for (std::size_t i = 0; i < here.size(); ++i) {
      double onward = layer + 1 == all.classes.size() ? 0.0 : 1e300;
      for (std::size_t j = 0; j < to_end.size(); ++j)
        onward = std::min(onward, link(edges[layer][i], edges[layer + 1][j]) + to_end[j]);
      from_here[i] = static_cast<double>(here[i].cost) + onward;
    }
    to_end = std::move(from_here);
  }
  double best = 1e300;
  for (std::size_t j = 0; j < to_end.size(); ++j)
    best = std::min(best, link(edge, edges[0][j]) + to_end[j]);
  return best;
}

} // namespace

choice_figures measure_choice(const parameters& p, const policy::settings& rule, std::size_t rounds) {
  world truth{p};
  policy::random_source random{p.seed + 7};
  for (instance_id i = 0; i < truth.load.size(); ++i)
    truth.load[i] = truth.capacity(i) * static_cast<double>(random.unit());
  std::vector<std::string> classes;
  for (std::uint32_t c = 0; c < p.classes; ++c)
    classes.push_back("class-" + std::to_string(c));
  const auto edge = random.below(p.edges);
  policy::chain_planner planner{rule, classes, truth.edge_name(edge), p.seed};
  planner.share_delays(truth.delays());
  digests seen{digest_kind::dealt, truth, p};
  seen.publish(truth.load, random);
  std::vector<std::vector<policy::edge_id>> edges(p.classes);
  for (std::uint32_t c = 0; c < p.classes; ++c) {
    std::vector<policy::candidate> candidates;
    for (const auto instance : seen.seen(edge, c)) {
      candidates.push_back(truth.published(instance, truth.load[instance]));
      edges[c].push_back(truth.edge_of(instance));
    }
    planner.update(classes[c], candidates);
  }

  choice_figures out;
  out.policy = name(rule.kind);
  if (rule.sample > 0)
    out.policy += " of " + std::to_string(rule.sample);
  const bool comparable = weighs_links(rule.kind);
  auto everything = rule;
  everything.sample = 0;
  std::vector<double> times;
  policy::flow_request flow;
  (void)planner.choose(flow); // takes the links in, once per digest
  for (std::size_t round = 0; round < rounds; ++round) {
    flow.hash = random.next();
    const auto begun = clock::now();
    const auto chosen = *planner.choose(flow);
    times.push_back(us_since(begun));
    planner.forget(planner.instances(chosen));
  }
  // Apart from the timing: the check is a thousand times the work, and would leave the caches to the next decision.
  for (std::size_t round = 0; comparable && round < rounds / 16; ++round) {
    const auto chosen = *planner.choose(flow);
    auto why = planner.explain(chosen);
    // Prices of what a sampling policy did not offer are those of the same candidates with all offered.
    for (std::size_t c = 0; c < why.classes.size(); ++c)
      for (std::size_t i = 0; i < why.classes[c].size(); ++i)
        if (!(why.classes[c][i].cost < policy::not_offered)) {
          policy::layer_costs costs;
          make_pricing(everything)->offer(c, planner.candidates(c), flow, random, costs);
          why.classes[c][i].cost = costs[i];
        }
    const auto ratio = static_cast<double>(chosen.cost) / optimum(why, rule, planner.delays(), edge, edges);
    out.mean_ratio += ratio;
    out.max_ratio = std::max(out.max_ratio, ratio);
    ++out.decisions;
    planner.forget(planner.instances(chosen));
  }
  if (out.decisions > 0)
    out.mean_ratio /= static_cast<double>(out.decisions);
  out.decisions = rounds;
  std::sort(times.begin(), times.end());
  out.p50_us = times[times.size() / 2];
  out.p99_us = times[times.size() * 99 / 100];
  cache_flusher caches;
  times.clear();
  for (int round = 0; round < 101; ++round) {
    caches.flush();
    const auto begun = clock::now();
    const auto chosen = *planner.choose(flow);
    times.push_back(us_since(begun));
    planner.forget(planner.instances(chosen));
  }
  std::sort(times.begin(), times.end());
  out.cold_p50_us = times[times.size() / 2];
  return out;
}

} // namespace glocal::bench
