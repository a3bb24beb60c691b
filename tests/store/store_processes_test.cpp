// Real store nodes and a real etcd: what they acknowledge stays, whoever is killed, stopped or loses its disk.

#include "tests/etcd/etcd_cluster.hpp"
#include "tests/store/checked_load.hpp"
#include "tests/store/store_processes.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace glocal;
using namespace glocal::test;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;

/// Clients at work; everything they did is checked at the end.
class workload {
public:
  explicit workload(store_processes& cluster) : cluster_{cluster} {
    checked_load::options how;
    if (const auto* given = std::getenv("GLOCAL_TEST_SEED"))
      how.seed = std::strtoull(given, nullptr, 10);
    std::printf("seed %llu: GLOCAL_TEST_SEED=%llu repeats its choices\n", static_cast<unsigned long long>(how.seed),
                static_cast<unsigned long long>(how.seed));
    actor_ = cluster.system().spawn<checked_load>(cluster.client(), how, history_);
  }
  ~workload() {
    if (actor_)
      (void)runtime::stop_and_wait(cluster_.system(), actor_, 10s);
  }

  /// Until so many more operations were acknowledged.
  void await_progress(std::size_t operations) const {
    const auto wanted = history_->acknowledged.load() + operations;
    const auto until = std::chrono::steady_clock::now() + patience;
    while (history_->acknowledged.load() < wanted) {
      if (std::chrono::steady_clock::now() > until)
        throw std::runtime_error{"no progress: " + std::to_string(history_->acknowledged.load()) + " operations of " +
                                 std::to_string(wanted)};
      std::this_thread::sleep_for(10ms);
    }
  }

  void end_and_check() {
    caf::anon_send(actor_, runtime::tick_atom_v);
    REQUIRE(runtime::wait_for_end(cluster_.system(), actor_, patience));
    actor_ = nullptr;
    std::size_t keys = 0;
    for (const auto& [key, operations] : history_->operations) {
      ++keys;
      const auto found = sim::check_linearizable(operations);
      INFO("key " << key << "\n" << sim::describe(sim::first_violation(operations)));
      CHECK(found == sim::verdict::linearizable);
    }
    std::printf("%zu operations on %zu keys, %zu unknown, %zu refused; longest without an answer %lld ms\n",
                history_->acknowledged.load(), keys, history_->unknown, history_->refused,
                static_cast<long long>(history_->longest_gap.count()));
    CHECK(history_->acknowledged > 0);
  }

private:
  store_processes& cluster_;
  std::shared_ptr<load_history> history_ = std::make_shared<load_history>();
  caf::actor actor_;
};

std::size_t busiest(const store_processes& cluster) {
  std::size_t out = 0;
  for (std::size_t i = 1; i < cluster.size(); ++i)
    if (cluster.primaries(i) > cluster.primaries(out))
      out = i;
  return out;
}

} // namespace

TEST_CASE("three store nodes with etcd lose no acknowledged write to the death of a primary under load") {
  const etcd_cluster etcd;
  store_processes cluster{{.program = GLOCALD, .etcd = etcd.endpoints()}};
  cluster.await_whole(patience);
  workload load{cluster};
  load.await_progress(500);

  SECTION("kill -9, and it comes back") {
    for (int round = 0; round < 3; ++round) {
      const auto victim = busiest(cluster);
      cluster.kill(victim);
      load.await_progress(500);
      cluster.start(victim);
      cluster.await_whole(patience);
    }
  }
  SECTION("kill -9, and its disk is gone") {
    const auto victim = busiest(cluster);
    cluster.kill(victim);
    cluster.wipe(victim);
    load.await_progress(500);
    cluster.start(victim);
    cluster.await_whole(patience);
    // Now it is needed.
    cluster.kill((victim + 1) % 3);
    load.await_progress(500);
    cluster.start((victim + 1) % 3);
    cluster.await_whole(patience);
  }
  SECTION("it stands still, and goes on as if nothing had been") {
    const auto victim = busiest(cluster);
    cluster.at(victim).stop();
    load.await_progress(500);
    cluster.at(victim).resume();
    load.await_progress(500);
    cluster.await_whole(patience);
  }
  load.end_and_check();
}

TEST_CASE("a member of the register dies with a primary, and the others go on") {
  etcd_cluster etcd;
  store_processes cluster{{.program = GLOCALD, .etcd = etcd.endpoints()}};
  cluster.await_whole(patience);
  workload load{cluster};
  load.await_progress(200);
  etcd.at(0).kill();
  cluster.kill(busiest(cluster));
  load.await_progress(500);
  load.end_and_check();
}

TEST_CASE("what was acknowledged is there after all nodes died at once") {
  store_processes cluster{{.program = GLOCALD}};
  cluster.await_whole(patience);
  workload load{cluster};
  load.await_progress(500);
  for (std::size_t i = 0; i < cluster.size(); ++i)
    cluster.kill(i);
  for (std::size_t i = 0; i < cluster.size(); ++i)
    cluster.start(i);
  load.await_progress(200);
  cluster.await_whole(patience);
  load.end_and_check();
}
