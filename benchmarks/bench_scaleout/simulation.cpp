#include "benchmarks/bench_scaleout/simulation.hpp"

#include "actors/policy/random_source.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <vector>

namespace glocal::bench {
namespace {

using policy::random_source;

/// Cores that serve one queue in order of arrival.
class server {
public:
  explicit server(std::uint32_t cores = 1) : free_at_(cores, 0) {}

  /// When a job that comes now would begin.
  [[nodiscard]] double begins(double now) const noexcept { return std::max(now, free_at_.front()); }
  /// When it is done.
  double serve(double now, double cost) {
    std::pop_heap(free_at_.begin(), free_at_.end(), std::greater<>{});
    free_at_.back() = std::max(now, free_at_.back()) + cost;
    const auto done = free_at_.back();
    std::push_heap(free_at_.begin(), free_at_.end(), std::greater<>{});
    return done;
  }

private:
  std::vector<double> free_at_; ///< heap, earliest first
};

/// What happens to a flow next; times are in seconds.
enum class step : std::uint8_t { arrives, at_decider, at_primary, at_backup, acknowledged, answered, installed };

class simulation {
public:
  simulation(const costs& costs, std::uint32_t edges, std::uint32_t centre_cores)
      : costs_{costs}, central_{centre_cores > 0}, edge_count_{edges}, random_{costs.seed},
        edges_(central_ ? 0 : edges), centre_{std::max(1u, centre_cores)},
        stores_(std::max(3u, edges / costs.edges_per_store_node)) {}

  point run() {
    const auto end = costs_.warm_up_s + costs_.measured_s;
    const auto rate = costs_.flows_per_edge_s * edge_count_;
    schedule(gap(rate), 0, step::arrives);
    flows_.push_back({});
    while (!events_.empty() && events_.top().at < end) {
      const auto now = events_.top();
      events_.pop();
      if (now.what == step::arrives) {
        begin(now);
        const auto next = static_cast<std::uint32_t>(flows_.size());
        flows_.push_back({});
        schedule(now.at + gap(rate), next, step::arrives);
      } else {
        proceed(now);
      }
    }
    point out;
    out.edges = edge_count_;
    out.offered_per_s = rate;
    out.decided_per_s = static_cast<double>(latencies_.size()) / costs_.measured_s;
    out.refused_share = latencies_.empty() && refused_ == 0
                            ? 0
                            : static_cast<double>(refused_) / static_cast<double>(refused_ + latencies_.size());
    std::sort(latencies_.begin(), latencies_.end());
    if (!latencies_.empty()) {
      out.p50_ms = 1e3 * latencies_[latencies_.size() / 2];
      out.p99_ms = 1e3 * latencies_[latencies_.size() * 99 / 100];
    }
    return out;
  }

private:
  struct flow {
    double arrived = 0;
    std::uint32_t edge = 0, primary = 0;
    std::uint8_t acks = 0;
  };
  struct event {
    double at;
    std::uint32_t flow;
    step what;
    std::uint32_t where; ///< the store node of `at_backup`
    bool operator>(const event& other) const noexcept { return at > other.at; }
  };

  double gap(double rate) { return -std::log1p(-static_cast<double>(random_.unit())) / rate; }
  void schedule(double at, std::uint32_t flow, step what, std::uint32_t where = 0) {
    events_.push({at, flow, what, where});
  }

  /// One-way delay between two places, the same every time.
  double delay(std::uint64_t a, std::uint64_t b) const {
    const auto [low, high] = std::minmax(a, b);
    const auto lot = random_source::mix(low << 32 ^ high ^ costs_.seed << 56);
    return 1e-6 * (costs_.near_us + (costs_.far_us - costs_.near_us) * static_cast<double>(lot >> 11) * 0x1p-53);
  }
  static constexpr std::uint64_t centre_place = 1u << 30, store_place = 1u << 29;
  std::uint64_t decider_of(const flow& one) const { return central_ ? centre_place : one.edge; }
  server& decider(const flow& one) { return central_ ? centre_ : edges_[one.edge]; }

  void begin(const event& now) {
    auto& one = flows_[now.flow];
    one.arrived = now.at;
    one.edge = random_.below(edge_count_);
    one.primary = random_.below(static_cast<std::uint32_t>(stores_.size()));
    schedule(now.at + (central_ ? delay(one.edge, centre_place) : 0), now.flow, step::at_decider);
  }

  void proceed(const event& now) {
    auto& one = flows_[now.flow];
    const auto stores = static_cast<std::uint32_t>(stores_.size());
    switch (now.what) {
    case step::arrives: break;
    case step::at_decider:
      if (decider(one).begins(now.at) - now.at > 1e-3 * costs_.hold_ms / 4) {
        refused_ += now.at >= costs_.warm_up_s;
        return;
      }
      return schedule(decider(one).serve(now.at, 1e-6 * costs_.decide_us) +
                          delay(decider_of(one), store_place + one.primary),
                      now.flow, step::at_primary);
    case step::at_primary: {
      const auto written = stores_[one.primary].serve(now.at, 1e-6 * costs_.write_us);
      for (std::uint32_t k = 1; k <= 2; ++k) {
        const auto backup = (one.primary + k) % stores;
        schedule(written + delay(store_place + one.primary, store_place + backup), now.flow, step::at_backup, backup);
      }
      return;
    }
    case step::at_backup: {
      // The primary's own sync runs meanwhile and is over before a backup's answer is back.
      const auto written = stores_[now.where].serve(now.at, 1e-6 * costs_.backup_us) + 1e-6 * costs_.sync_us;
      return schedule(written + delay(store_place + now.where, store_place + one.primary), now.flow,
                      step::acknowledged);
    }
    case step::acknowledged:
      if (++one.acks == 2)
        schedule(now.at + delay(store_place + one.primary, decider_of(one)), now.flow, step::answered);
      return;
    case step::answered:
      return schedule(decider(one).serve(now.at, 1e-6 * costs_.program_us) +
                          (central_ ? delay(centre_place, one.edge) : 0),
                      now.flow, step::installed);
    case step::installed: {
      const auto took = now.at - one.arrived;
      if (now.at < costs_.warm_up_s)
        return;
      if (took > 1e-3 * costs_.hold_ms)
        ++refused_;
      else
        latencies_.push_back(took);
      return;
    }
    }
  }

  const costs costs_;
  const bool central_;
  const std::uint32_t edge_count_;
  random_source random_;
  std::vector<server> edges_;
  server centre_;
  std::vector<server> stores_;
  std::vector<flow> flows_;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::vector<double> latencies_;
  std::uint64_t refused_ = 0;
};

} // namespace

point simulate(const costs& costs, std::uint32_t edges, std::uint32_t centre_cores) {
  return simulation{costs, edges, centre_cores}.run();
}

} // namespace glocal::bench
