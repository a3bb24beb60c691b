#include "benchmarks/bench_store/store_load.hpp"

#include "actors/store/actor_store.hpp"
#include "base/histogram.hpp"
#include "runtime/observed.hpp"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include <unistd.h>

namespace glocal::bench {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using store::table;

constexpr auto deadline = 20s;

/// Keys of earlier loads are there: each begins with a number nobody had.
std::atomic<std::uint64_t> fresh_key{std::uint64_t{1} << 40};

std::uint64_t nanoseconds(clock::duration span) {
  return static_cast<std::uint64_t>(span.count());
}

double cpu_seconds(pid_t pid) {
  std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
  std::string line;
  std::getline(stat, line);
  unsigned long long user = 0, system = 0;
  const auto after = line.rfind(')');
  if (after == std::string::npos ||
      std::sscanf(line.c_str() + after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) !=
          2)
    return 0;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// One load; reports when its time is over and its last request answered.
class loader final : public runtime::observed_actor {
public:
  struct shared {
    histogram latency;
    std::atomic<std::uint64_t> operations{0}, failures{0};
    /// By key, from `first_key`: acknowledged.
    std::vector<bool> acknowledged;
    std::uint64_t first_key = 0;
    clock::duration longest_gap{};
    std::promise<void> done;
  };

  loader(caf::actor_config& config, caf::actor client, const load_plan& plan, std::shared_ptr<shared> out, bool keep)
      : runtime::observed_actor{config, "load", "load"}, plan_{plan},
        store_{*this, std::move(client), {.deadline = deadline}}, out_{std::move(out)}, keep_{keep},
        value_(plan.value_bytes, 'v'), last_(plan.clients, clock::now()) {}

  caf::behavior make_behavior() override {
    out_->first_key = fresh_key;
    if (plan_.op == operation::watch)
      watch();
    for (std::size_t client = 0; client < plan_.clients; ++client)
      go_on(client);
    return caf::message_handler{[](runtime::tick_atom) {}}.or_else(store_.handler());
  }

private:
  void watch() {
    (void)store_.watch(table::paths, "", [this](const store::watch_event& event) {
      if (event.what != store::watch_event::kind::put || event.entry.value.size() != sizeof(std::int64_t))
        return;
      std::int64_t sent = 0;
      std::memcpy(&sent, event.entry.value.data(), sizeof sent);
      out_->latency.record(nanoseconds(clock::now() - clock::time_point{clock::duration{sent}}));
    });
  }

  void go_on(std::size_t client) {
    const auto now = clock::now();
    if (now >= until_) {
      if (under_way_ == 0)
        quit();
      return;
    }
    store::batch operations;
    operations.reserve(plan_.batch);
    const auto first = fresh_key.fetch_add(plan_.batch);
    for (std::uint64_t n = first; n < first + plan_.batch; ++n)
      switch (plan_.op) {
      case operation::put_if_absent:
        operations.push_back(store::put_if_absent_op{table::flows, key_of(n), value_, 0});
        break;
      case operation::put: operations.push_back(store::put_op{table::paths, key_of(n % plan_.keys), value_, 0}); break;
      case operation::get: operations.push_back(store::get_op{table::paths, key_of(n % plan_.keys)}); break;
      case operation::watch: {
        const std::int64_t sent = clock::now().time_since_epoch().count();
        operations.push_back(store::put_op{table::paths, key_of(n % plan_.keys),
                                           std::string{reinterpret_cast<const char*>(&sent), sizeof sent}, 0});
        break;
      }
      }
    ++under_way_;
    store_.execute(std::move(operations), [this, client, first, now](const auto& results) {
      --under_way_;
      const auto came = clock::now();
      if (plan_.op != operation::watch)
        out_->latency.record(nanoseconds(came - now));
      if (!results) {
        out_->failures += plan_.batch;
      } else {
        out_->operations += results->size();
        out_->longest_gap = std::max(out_->longest_gap, came - last_[client]);
        last_[client] = came;
        if (keep_)
          for (std::size_t i = 0; i < results->size(); ++i)
            acknowledge(first + i);
      }
      go_on(client);
    });
  }

  void acknowledge(std::uint64_t key) {
    const auto place = key - out_->first_key;
    if (out_->acknowledged.size() <= place)
      out_->acknowledged.resize(2 * place + 1);
    out_->acknowledged[place] = true;
  }

  void on_exit() override { out_->done.set_value(); }

  const load_plan plan_;
  actors::actor_store store_;
  const std::shared_ptr<shared> out_;
  const bool keep_;
  const std::string value_;
  std::vector<clock::time_point> last_;
  const clock::time_point until_ = clock::now() + plan_.time;
  std::size_t under_way_ = 0;
};

/// Runs keys in batches, in order: to load them, or to count those that are not there.
class sweeper final : public runtime::observed_actor {
public:
  static constexpr std::size_t window = 16, batch = 256;

  sweeper(caf::actor_config& config, caf::actor client, std::vector<store::operation> operations,
          std::promise<std::uint64_t>& misses)
      : runtime::observed_actor{config, "sweep", "sweep"}, store_{*this, std::move(client), {.deadline = deadline}},
        operations_{std::move(operations)}, misses_{misses} {}

  caf::behavior make_behavior() override {
    for (std::size_t i = 0; i < window; ++i)
      go_on();
    return caf::message_handler{[](runtime::tick_atom) {}}.or_else(store_.handler());
  }

private:
  void go_on() {
    if (next_ == operations_.size()) {
      if (under_way_ == 0 && !std::exchange(ended_, true)) {
        misses_.set_value(missing_);
        quit();
      }
      return;
    }
    store::batch part;
    while (next_ < operations_.size() && part.size() < batch)
      part.push_back(std::move(operations_[next_++]));
    ++under_way_;
    store_.execute(std::move(part), [this, count = part.size()](const auto& results) {
      --under_way_;
      if (!results)
        missing_ += count;
      else
        for (const auto& result : *results)
          missing_ += !result.ok();
      go_on();
    });
  }

  actors::actor_store store_;
  std::vector<store::operation> operations_;
  std::promise<std::uint64_t>& misses_;
  std::size_t next_ = 0, under_way_ = 0;
  std::uint64_t missing_ = 0;
  bool ended_ = false;
};

std::uint64_t sweep(test::store_processes& cluster, std::vector<store::operation> operations) {
  std::promise<std::uint64_t> misses;
  auto answer = misses.get_future();
  cluster.system().spawn<sweeper>(cluster.client(), std::move(operations), misses);
  return answer.get();
}

} // namespace

load_result run_store(test::store_processes& cluster, const load_plan& plan) {
  if (plan.op != operation::put_if_absent) {
    std::vector<store::operation> keys;
    for (std::size_t i = 0; i < plan.keys; ++i)
      keys.push_back(store::put_op{table::paths, key_of(i), std::string(plan.value_bytes, 'v'), 0});
    if (const auto missed = sweep(cluster, std::move(keys)); missed > 0)
      throw std::runtime_error{std::to_string(missed) + " keys could not be loaded"};
  }
  std::vector<std::pair<std::string, pid_t>> processes{{"client", ::getpid()}};
  for (std::size_t i = 0; i < cluster.size(); ++i)
    processes.emplace_back("s" + std::to_string(i + 1), cluster.at(i).pid());
  std::vector<double> cpu;
  for (const auto& [name, pid] : processes)
    cpu.push_back(cpu_seconds(pid));
  const auto shared = std::make_shared<loader::shared>();
  auto done = shared->done.get_future();
  const auto began = clock::now();
  cluster.system().spawn<loader>(cluster.client(), plan, shared, false);
  done.wait();
  const std::chrono::duration<double> took = clock::now() - began;

  load_result out;
  out.name = "glocal";
  out.operations = shared->operations;
  out.failures = shared->failures;
  const auto operations = static_cast<double>(out.operations);
  out.ops_per_s = operations / took.count();
  const auto at = [&](double quantile) { return static_cast<double>(shared->latency.quantile(quantile)) / 1e3; };
  out.p50_us = at(0.5);
  out.p99_us = at(0.99);
  out.p999_us = at(0.999);
  out.max_us = static_cast<double>(shared->latency.max()) / 1e3;
  for (std::size_t i = 0; i < processes.size(); ++i)
    out.cpu_us_per_op.emplace_back(processes[i].first, (cpu_seconds(processes[i].second) - cpu[i]) * 1e6 / operations);
  return out;
}

fail_over_result fail_over(test::store_processes& cluster, const load_plan& plan) {
  std::size_t victim = 0;
  for (std::size_t i = 1; i < cluster.size(); ++i)
    if (cluster.primaries(i) > cluster.primaries(victim))
      victim = i;
  const auto shared = std::make_shared<loader::shared>();
  auto done = shared->done.get_future();
  cluster.system().spawn<loader>(cluster.client(), plan, shared, true);
  // A third of the load before, the rest after: a fail-over is done in less.
  (void)done.wait_for(plan.time / 3);
  cluster.kill(victim);
  done.wait();
  fail_over_result out;
  out.longest_gap_ms = std::chrono::duration<double, std::milli>(shared->longest_gap).count();
  std::vector<store::operation> reads;
  for (std::uint64_t i = 0; i < shared->acknowledged.size(); ++i)
    if (shared->acknowledged[i])
      reads.push_back(store::get_op{table::flows, key_of(shared->first_key + i)});
  out.acknowledged = reads.size();
  out.lost = sweep(cluster, std::move(reads));
  cluster.start(victim);
  cluster.await_whole(120s);
  return out;
}

} // namespace glocal::bench
