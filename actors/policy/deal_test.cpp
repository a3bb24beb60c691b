#include "actors/policy/deal.hpp"

#include "actors/policy/layered_path.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

using namespace glocal::policy;

TEST_CASE("every candidate is dealt once, to as few hands as hold them, in order of load") {
  random_source random{3};
  for (const std::size_t count : {0u, 1u, 64u, 65u, 128u, 129u, 2000u}) {
    const auto hands = deal(count, random);
    CHECK(hands.size() == std::max<std::size_t>(1, (count + 63) / 64));
    std::set<std::size_t> all;
    for (const auto& hand : hands) {
      CHECK(hand.size() <= layer_width);
      CHECK(hand.size() + 1 >= count / hands.size());
      CHECK(std::is_sorted(hand.begin(), hand.end()));
      all.insert(hand.begin(), hand.end());
    }
    CHECK(all.size() == count);
  }
}

TEST_CASE("hands have the same mean load") {
  random_source random{3};
  for (const auto& hand : deal(2000, random)) {
    const auto mean = std::accumulate(hand.begin(), hand.end(), 0.0) / static_cast<double>(hand.size());
    CHECK(mean == Approx(1000).margin(35));
  }
}

TEST_CASE("edges spread over the hands") {
  std::vector<int> edges(32);
  for (int i = 0; i < 1000; ++i)
    ++edges[hand_of("edge-" + std::to_string(i), 32)];
  CHECK(*std::min_element(edges.begin(), edges.end()) > 10);
}
