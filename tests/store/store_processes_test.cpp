// Real store nodes and a real etcd: what they acknowledge stays, whoever is killed, stopped or loses its disk.

#include "tests/etcd/etcd_cluster.hpp"
#include "tests/store/workload.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>

using namespace glocal;
using namespace glocal::test;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;

/// Clients at work, from the seed that the environment gives.
checked_load::options chosen() {
  checked_load::options how;
  if (const auto* given = std::getenv("GLOCAL_TEST_SEED"))
    how.seed = std::strtoull(given, nullptr, 10);
  std::printf("seed %llu: GLOCAL_TEST_SEED=%llu repeats its choices\n", static_cast<unsigned long long>(how.seed),
              static_cast<unsigned long long>(how.seed));
  return how;
}

void end_and_check(workload& load) {
  const auto found = load.end(patience);
  std::printf("%s\n", describe(found).c_str());
  for (const auto& violation : found.violations)
    FAIL_CHECK(violation);
  CHECK(found.undecided == 0);
  CHECK(found.operations > 0);
}

} // namespace

TEST_CASE("three store nodes with etcd lose no acknowledged write to the death of a primary under load") {
  const etcd_cluster etcd;
  store_processes cluster{{.program = GLOCALD, .etcd = etcd.endpoints()}};
  cluster.await_whole(patience);
  workload load{cluster, chosen()};
  load.await_progress(500, patience);

  SECTION("kill -9, and it comes back") {
    for (int round = 0; round < 3; ++round) {
      const auto victim = busiest(cluster);
      cluster.kill(victim);
      load.await_progress(500, patience);
      cluster.start(victim);
      cluster.await_whole(patience);
    }
  }
  SECTION("kill -9, and its disk is gone") {
    const auto victim = busiest(cluster);
    cluster.kill(victim);
    cluster.wipe(victim);
    load.await_progress(500, patience);
    cluster.start(victim);
    cluster.await_whole(patience);
    // Now it is needed.
    cluster.kill((victim + 1) % 3);
    load.await_progress(500, patience);
    cluster.start((victim + 1) % 3);
    cluster.await_whole(patience);
  }
  SECTION("it stands still, and goes on as if nothing had been") {
    const auto victim = busiest(cluster);
    cluster.at(victim).stop();
    load.await_progress(500, patience);
    cluster.at(victim).resume();
    load.await_progress(500, patience);
    cluster.await_whole(patience);
  }
  end_and_check(load);
}

TEST_CASE("a store node is drained and takes its share again under load, and no acknowledged write is lost") {
  const etcd_cluster etcd;
  store_processes cluster{{.program = GLOCALD, .nodes = 4, .etcd = etcd.endpoints()}};
  cluster.await_whole(patience);
  workload load{cluster, chosen()};
  load.await_progress(500, patience);
  CHECK(cluster.post(0, "drain", R"({"node": "s9"})") == 404);
  REQUIRE(cluster.post(0, "drain", R"({"node": "s2"})") == 200);
  CHECK(cluster.post(2, "drain", R"({"node": "s3"})") == 409);
  load.await_progress(500, patience);
  cluster.await_share(1, 0, patience);
  cluster.await_whole(patience);
  // Nobody needs it any more.
  cluster.kill(1);
  load.await_progress(500, patience);
  cluster.await_whole(patience);
  cluster.start(1);
  REQUIRE(cluster.post(3, "drain", R"({"node": "s2", "undo": true})") == 200);
  load.await_progress(500, patience);
  cluster.await_share(1, 4, patience);
  cluster.await_whole(patience);
  end_and_check(load);
}

TEST_CASE("a member of the register dies with a primary, and the others go on") {
  etcd_cluster etcd;
  store_processes cluster{{.program = GLOCALD, .etcd = etcd.endpoints()}};
  cluster.await_whole(patience);
  workload load{cluster, chosen()};
  load.await_progress(200, patience);
  etcd.at(0).kill();
  cluster.kill(busiest(cluster));
  load.await_progress(500, patience);
  end_and_check(load);
}

TEST_CASE("what was acknowledged is there after all nodes died at once") {
  store_processes cluster{{.program = GLOCALD}};
  cluster.await_whole(patience);
  workload load{cluster, chosen()};
  load.await_progress(500, patience);
  for (std::size_t i = 0; i < cluster.size(); ++i)
    cluster.kill(i);
  for (std::size_t i = 0; i < cluster.size(); ++i)
    cluster.start(i);
  load.await_progress(200, patience);
  cluster.await_whole(patience);
  end_and_check(load);
}
