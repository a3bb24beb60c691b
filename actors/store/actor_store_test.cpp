#include "actors/store/store_cluster_test.hpp"

using namespace glocal;
using namespace glocal::actors;

TEST_CASE("the store of three nodes keeps the contract of a store") {
  store_cluster cluster;
  check_store_contract(cluster);
}

TEST_CASE("the store of three nodes keeps the contract in whatever order its actors run") {
  const auto seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  store_cluster cluster{seed};
  check_store_contract(cluster);
}
