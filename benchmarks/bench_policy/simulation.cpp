#include "benchmarks/bench_policy/simulation.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <queue>

namespace glocal::bench {
namespace {

using policy::layer_width;
using clock = std::chrono::steady_clock;

class decider {
public:
  virtual ~decider() = default;
  virtual void begin_period(const std::vector<double>& published, policy::random_source& random) = 0;
  virtual chain decide(std::uint32_t edge) = 0;
  virtual void changed(instance_id /*instance*/) {}
};

class edges_decide final : public decider {
public:
  edges_decide(world& truth, const parameters& p, const policy::settings& rule, digest_kind seen)
      : truth_{truth}, parameters_{p}, digests_{seen, truth, p} {
    for (std::uint32_t c = 0; c < p.classes; ++c)
      classes_.push_back("class-" + std::to_string(c));
    for (std::uint32_t e = 0; e < p.edges; ++e) {
      planners_.push_back(
          std::make_unique<policy::chain_planner>(rule, classes_, truth.edge_name(e), p.seed * 1'000'003 + e));
      planners_.back()->share_delays(truth.delays());
    }
  }

  void begin_period(const std::vector<double>& published, policy::random_source& random) override {
    digests_.publish(published, random);
    std::vector<policy::candidate> candidates;
    for (std::uint32_t e = 0; e < parameters_.edges; ++e)
      for (std::uint32_t c = 0; c < parameters_.classes; ++c) {
        candidates.clear();
        for (const auto instance : digests_.seen(e, c))
          candidates.push_back(truth_.published(instance, published[instance]));
        planners_[e]->update(classes_[c], candidates);
      }
  }

  chain decide(std::uint32_t edge) override {
    policy::flow_request flow;
    flow.hash = ++flows_ * 0x9e3779b97f4a7c15;
    const auto chosen = *planners_[edge]->choose(flow);
    chain out{};
    for (std::uint32_t c = 0; c < parameters_.classes; ++c)
      out[c] = digests_.seen(edge, c)[chosen.candidates[c]];
    return out;
  }

private:
  world& truth_;
  const parameters& parameters_;
  digests digests_;
  std::vector<std::string> classes_;
  std::vector<std::unique_ptr<policy::chain_planner>> planners_;
  std::uint64_t flows_ = 0;
};

/// The least utilised instance of each class at every moment: a tournament per class, O(log) per change.
class centre_by_load final : public decider {
public:
  centre_by_load(const world& truth, const parameters& p)
      : truth_{truth}, leaves_{std::bit_ceil(truth.class_size())}, trees_(p.classes) {
    for (std::uint32_t c = 0; c < p.classes; ++c) {
      trees_[c].assign(2 * leaves_, nobody);
      for (std::uint32_t i = 0; i < truth.class_size(); ++i)
        trees_[c][leaves_ + i] = truth.first_of(c) + i;
      for (auto node = leaves_; --node > 0;)
        play(trees_[c], node);
    }
  }

  void begin_period(const std::vector<double>&, policy::random_source&) override {}
  chain decide(std::uint32_t) override {
    chain out{};
    for (std::size_t c = 0; c < trees_.size(); ++c)
      out[c] = trees_[c][1];
    return out;
  }
  void changed(instance_id instance) override {
    auto& tree = trees_[instance / truth_.class_size()];
    for (auto node = (leaves_ + instance % truth_.class_size()) / 2; node > 0; node /= 2)
      play(tree, node);
  }

private:
  static constexpr instance_id nobody = ~instance_id{0};

  void play(std::vector<instance_id>& tree, std::size_t node) const {
    const auto a = tree[2 * node], b = tree[2 * node + 1];
    tree[node] = b == nobody || (a != nobody && truth_.utilisation(a) <= truth_.utilisation(b)) ? a : b;
  }

  const world& truth_;
  const std::size_t leaves_;
  std::vector<std::vector<instance_id>> trees_;
};

/// The cheapest chain by true load over the instances near the edge. By the triangle inequality no good chain leaves
/// the neighbourhood of an edge whose 64 nearest of a class are not all full.
class centre_by_latency final : public decider {
public:
  centre_by_latency(const world& truth, const parameters& p)
      : truth_{truth}, classes_{p.classes}, near_{digest_kind::near, truth, p}, costs_(p.classes),
        links_(p.classes - 1) {
    problem_.layers = classes_;
    problem_.ingress = &ingress_;
    for (std::uint32_t c = 0; c < classes_; ++c) {
      problem_.nodes[c] = &costs_[c];
      problem_.links[c] = c + 1 < classes_ ? &links_[c] : nullptr;
    }
  }

  void begin_period(const std::vector<double>&, policy::random_source&) override {}
  chain decide(std::uint32_t edge) override {
    for (std::uint32_t c = 0; c < classes_; ++c) {
      const auto& here = near_.seen(edge, c);
      problem_.sizes[c] = here.size();
      costs_[c].fill(policy::not_offered);
      for (std::size_t i = 0; i < here.size(); ++i) {
        costs_[c][i] = policy::queueing_us(static_cast<float>(truth_.utilisation(here[i])), service_us);
        if (c == 0)
          ingress_[i] = truth_.delay_us(edge, truth_.edge_of(here[i]));
        else
          for (std::size_t before = 0; before < problem_.sizes[c - 1]; ++before)
            links_[c - 1].at(before, i) =
                truth_.delay_us(truth_.edge_of(near_.seen(edge, c - 1)[before]), truth_.edge_of(here[i]));
      }
    }
    const auto path = policy::cheapest_path(problem_);
    chain out{};
    for (std::uint32_t c = 0; c < classes_; ++c)
      out[c] = near_.seen(edge, c)[path.nodes[c]];
    return out;
  }

private:
  static constexpr float service_us = 50;

  const world& truth_;
  const std::uint32_t classes_;
  digests near_;
  policy::layered_problem problem_;
  std::vector<policy::layer_costs> costs_;
  std::vector<policy::link_costs> links_;
  policy::layer_costs ingress_{};
};

class simulation {
public:
  simulation(const parameters& p, world& truth, decider& decider)
      : p_{p}, truth_{truth}, decider_{decider}, arrivals_{p.seed + 1}, dealing_{p.seed + 2},
        received_(truth.load.size()) {}

  figures run() {
    populate();
    figures out;
    std::vector<double> published = truth_.load;
    auto next_published = published;
    const auto end = p_.warm_up_s + p_.measured_s;
    auto arrival = exponential(1 / truth_.flows_per_s(), arrivals_);
    const auto samples = 4;
    for (double begin = 0; begin < end; begin += p_.period_s) {
      // What is published now was read `age_s` ago; with an age of a period that is the beginning of the last one.
      published = p_.age_s > 0 ? next_published : truth_.load;
      next_published = truth_.load;
      decider_.begin_period(published, dealing_);
      std::fill(received_.begin(), received_.end(), 0u);
      const bool measured = begin >= p_.warm_up_s;
      for (int sample = 1; sample <= samples; ++sample) {
        const auto until = begin + p_.period_s * sample / samples;
        for (; arrival < until; arrival += exponential(1 / truth_.flows_per_s(), arrivals_)) {
          leave(arrival);
          arrive(arrival, measured, out);
        }
        leave(until);
        if (measured)
          measure_load();
      }
      if (measured)
        measure_herding();
    }
    const auto decisions = static_cast<double>(out.decisions);
    out.max_by_mean = mean(max_by_mean_);
    out.p99_by_mean = mean(p99_by_mean_);
    out.herding = mean(herding_);
    out.overfull_share /= decisions * p_.classes;
    out.latency_us /= decisions;
    out.decide_us /= decisions;
    return out;
  }

private:
  struct departure {
    double at;
    std::uint32_t flow;
    bool operator>(const departure& other) const noexcept { return at > other.at; }
  };

  /// The steady state of a fair lottery, so that warming up is short.
  void populate() {
    const auto flows = static_cast<std::uint32_t>(truth_.flows_per_s() * p_.flow_s);
    for (std::uint32_t i = 0; i < flows; ++i) {
      chain to{};
      for (std::uint32_t c = 0; c < p_.classes; ++c)
        do
          to[c] = truth_.first_of(c) + arrivals_.below(truth_.class_size());
        while (truth_.capacity(to[c]) < 2 * p_.capacity_flows * static_cast<double>(arrivals_.unit()));
      enter(to, exponential(p_.flow_s, arrivals_));
    }
  }

  void enter(const chain& to, double leaves_at) {
    std::uint32_t flow = static_cast<std::uint32_t>(flows_.size());
    if (free_.empty()) {
      flows_.push_back(to);
    } else {
      flow = free_.back();
      free_.pop_back();
      flows_[flow] = to;
    }
    departures_.push({leaves_at, flow});
    for (std::uint32_t c = 0; c < p_.classes; ++c) {
      truth_.load[to[c]] += 1;
      decider_.changed(to[c]);
    }
  }

  void leave(double until) {
    for (; !departures_.empty() && departures_.top().at < until; departures_.pop()) {
      const auto flow = departures_.top().flow;
      for (std::uint32_t c = 0; c < p_.classes; ++c) {
        truth_.load[flows_[flow][c]] -= 1;
        decider_.changed(flows_[flow][c]);
      }
      free_.push_back(flow);
    }
  }

  void arrive(double now, bool measured, figures& out) {
    const auto edge = arrivals_.below(p_.edges);
    const auto begun = clock::now();
    const auto to = decider_.decide(edge);
    const auto took = std::chrono::duration<double, std::micro>{clock::now() - begun}.count();
    if (measured) {
      ++out.decisions;
      out.decide_us += took;
      auto at = edge;
      for (std::uint32_t c = 0; c < p_.classes; ++c) {
        const auto utilisation = truth_.utilisation(to[c]);
        out.overfull_share += utilisation >= 1;
        out.latency_us +=
            truth_.delay_us(at, truth_.edge_of(to[c])) + policy::queueing_us(static_cast<float>(utilisation), 50);
        at = truth_.edge_of(to[c]);
        ++received_[to[c]];
      }
    }
    enter(to, now + exponential(p_.flow_s, arrivals_));
  }

  void measure_load() {
    for (std::uint32_t c = 0; c < p_.classes; ++c) {
      std::vector<double> sorted(truth_.class_size());
      for (std::uint32_t i = 0; i < sorted.size(); ++i)
        sorted[i] = truth_.utilisation(truth_.first_of(c) + i);
      std::sort(sorted.begin(), sorted.end());
      const auto average = mean(sorted);
      max_by_mean_.push_back(sorted.back() / average);
      p99_by_mean_.push_back(sorted[sorted.size() * 99 / 100] / average);
    }
  }

  void measure_herding() {
    for (std::uint32_t c = 0; c < p_.classes; ++c) {
      const auto begin = received_.begin() + truth_.first_of(c), end = begin + truth_.class_size();
      const auto all = std::accumulate(begin, end, 0.0);
      if (all > 0)
        herding_.push_back(*std::max_element(begin, end) * static_cast<double>(truth_.class_size()) / all);
    }
  }

  static double mean(const std::vector<double>& values) {
    return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }

  const parameters& p_;
  world& truth_;
  decider& decider_;
  policy::random_source arrivals_, dealing_;
  std::vector<chain> flows_;
  std::vector<std::uint32_t> free_;
  std::priority_queue<departure, std::vector<departure>, std::greater<>> departures_;
  std::vector<std::uint32_t> received_;
  std::vector<double> max_by_mean_, p99_by_mean_, herding_;
};

} // namespace

figures simulate(const parameters& p, const policy::settings& rule, digest_kind seen) {
  world truth{p};
  edges_decide decider{truth, p, rule, seen};
  auto out = simulation{p, truth, decider}.run();
  out.policy = name(rule.kind);
  if (rule.sample > 0)
    out.policy += " of " + std::to_string(rule.sample);
  if (rule.kind == policy::kind::least_loaded && rule.choices != 2)
    out.policy += " of " + std::to_string(rule.choices);
  out.digest = name(seen);
  return out;
}

figures simulate(const parameters& p, centre_rule rule) {
  world truth{p};
  std::unique_ptr<decider> centre;
  if (rule == centre_rule::least_loaded)
    centre = std::make_unique<centre_by_load>(truth, p);
  else
    centre = std::make_unique<centre_by_latency>(truth, p);
  auto out = simulation{p, truth, *centre}.run();
  out.policy = rule == centre_rule::least_loaded ? "centre: least loaded" : "centre: latency";
  out.digest = "truth";
  return out;
}

} // namespace glocal::bench
