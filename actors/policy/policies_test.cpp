// Each policy for itself: what it chooses from, and what becomes of a crowd of edges that see the same old state.
#include "actors/policy/chain_planner.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>

using namespace glocal::policy;

namespace {

candidate at(std::string instance, std::string edge, double flows, double capacity = 0) {
  return {std::move(instance), std::move(edge), flows, capacity, true, {}};
}

std::vector<candidate> many(std::size_t count, double flows = 0, double capacity = 0) {
  std::vector<candidate> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(at("fw-" + std::to_string(i), "dc-" + std::to_string(i % 8), flows, capacity));
  return out;
}

std::string choose(chain_planner& planner, std::uint64_t hash = 0) {
  flow_request flow;
  flow.hash = hash;
  return planner.instances(*planner.choose(flow)).at(0);
}

/// What `edges` edges choose that decide once each, all from the same published state.
std::map<std::string, int> crowd(const settings& rule, const std::vector<candidate>& published, int edges) {
  std::map<std::string, int> out;
  for (int edge = 0; edge < edges; ++edge) {
    chain_planner planner{rule, {"fw"}, "edge", static_cast<std::uint64_t>(edge)};
    planner.update("fw", published);
    ++out[choose(planner)];
  }
  return out;
}

int greatest(const std::map<std::string, int>& tally) {
  return std::max_element(tally.begin(), tally.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->second;
}

} // namespace

TEST_CASE("a sample is of the size asked for, of different candidates, and reaches every candidate") {
  random_source random{1};
  for (const std::size_t size : {1u, 2u, 5u, 63u, 64u})
    for (const std::size_t count : {0u, 1u, 2u, 40u, 63u, 64u, 100u}) {
      std::uint64_t reached = 0;
      for (int round = 0; round < 2000; ++round) {
        const auto drawn = sample(size, count, random);
        REQUIRE(std::popcount(drawn) == static_cast<int>(count == 0 ? size : std::min(size, count)));
        reached |= drawn;
      }
      CHECK(std::popcount(reached) == static_cast<int>(size));
    }
}

TEST_CASE("queueing grows with load and has no pole") {
  CHECK(queueing_us(0, 50) == 50);
  CHECK(queueing_us(0.5f, 50) == Approx(100));
  float before = 0;
  for (float utilisation = 0; utilisation < 3; utilisation += 0.01f) {
    const auto here = queueing_us(utilisation, 50);
    REQUIRE(here > before);
    REQUIRE(std::isfinite(here));
    before = here;
  }
}

TEST_CASE("a crowd of edges does not herd to the instance that was least loaded a second ago") {
  auto published = many(64, 100);
  published[13].flows = 0;
  // By two choices an instance is looked at by 2 of 64 edges and wins then; by all 64, it wins every time.
  CHECK(greatest(crowd(kind::least_loaded, published, 4000)) == Approx(4000.0 * 2 / 64).epsilon(0.3));
  settings all{kind::least_loaded};
  all.choices = 64;
  CHECK(crowd(all, published, 200)["fw-13"] == 200);
}

TEST_CASE("edges that start together spread at once, whatever the policy") {
  const auto rule =
      GENERATE(kind::least_loaded, kind::round_robin, kind::weighted, kind::lowest_latency, kind::combined);
  CAPTURE(name(rule));
  const auto tally = crowd(rule, many(16), 1600);
  CHECK(tally.size() == 16);
  CHECK(greatest(tally) < 160);
}

TEST_CASE("a sample of the candidates spreads a crowd over unequal instances too") {
  auto published = many(64, 50, 100);
  published[13].flows = 10;
  settings rule{kind::lowest_latency};
  CHECK(crowd(rule, published, 500)["fw-13"] == 500);
  rule.sample = 4;
  CHECK(crowd(rule, published, 2000)["fw-13"] == Approx(2000.0 * 4 / 64).epsilon(0.3));
}

TEST_CASE("round robin takes every instance in turn") {
  chain_planner planner{kind::round_robin, {"fw"}, "edge", 7};
  planner.update("fw", many(5));
  std::set<std::string> seen;
  for (int i = 0; i < 5; ++i)
    seen.insert(choose(planner));
  CHECK(seen.size() == 5);
}

TEST_CASE("weighted gives each instance its share, and none to weight 0") {
  settings rule{kind::weighted};
  rule.weights = {{"fw-0", 3}, {"fw-2", 0}};
  chain_planner planner{rule, {"fw"}, "edge", 7};
  planner.update("fw", many(3));
  std::map<std::string, int> tally;
  for (int i = 0; i < 8000; ++i)
    ++tally[choose(planner)];
  CHECK(tally["fw-0"] == Approx(6000).epsilon(0.05));
  CHECK(tally["fw-1"] == Approx(2000).epsilon(0.1));
  CHECK(tally["fw-2"] == 0);
}

TEST_CASE("weights that leave nothing leave chance") {
  settings rule{kind::weighted};
  rule.weights = {{"fw-0", 0}, {"fw-1", 0}};
  CHECK(crowd(rule, many(2), 100).size() == 2);
}

TEST_CASE("consistent sends a connection to the same instance from every edge, before and after others change") {
  const auto published = many(20);
  chain_planner one{kind::consistent, {"fw"}, "edge-1", 1}, other{kind::consistent, {"fw"}, "edge-2", 2};
  one.update("fw", published);
  auto reordered = published;
  std::reverse(reordered.begin(), reordered.end());
  other.update("fw", reordered);
  std::map<std::uint64_t, std::string> before;
  for (std::uint64_t hash = 0; hash < 2000; ++hash) {
    before[hash] = choose(one, hash * 0x9e3779b97f4a7c15);
    REQUIRE(choose(other, hash * 0x9e3779b97f4a7c15) == before[hash]);
  }
  reordered.pop_back(); // fw-0
  other.update("fw", reordered);
  int moved = 0;
  for (const auto& [hash, instance] : before)
    moved += instance != "fw-0" && choose(other, hash * 0x9e3779b97f4a7c15) != instance;
  CHECK(moved < 2000 * 5 / 100);
}

TEST_CASE("consistent hashes the classes of a chain apart") {
  chain_planner planner{kind::consistent, {"fw", "opt"}, "edge", 1};
  planner.update("fw", many(8));
  planner.update("opt", many(8));
  int same = 0;
  for (std::uint64_t hash = 0; hash < 800; ++hash) {
    flow_request flow;
    flow.hash = hash;
    const auto chain = *planner.choose(flow);
    same += chain.candidates[0] == chain.candidates[1];
  }
  CHECK(same == Approx(100).margin(50));
}

TEST_CASE("lowest latency weighs a near busy instance against a far idle one") {
  chain_planner planner{kind::lowest_latency, {"fw"}, "here", 7};
  auto& delays = planner.delays();
  delays.set(delays.number("here"), delays.number("far"), 400);
  planner.update("fw", std::vector{at("near", "here", 500, 1000), at("remote", "far", 0, 1000)});
  CHECK(choose(planner) == "near"); // 100 us against 400 + 50
  planner.update("fw", std::vector{at("near", "here", 920, 1000), at("remote", "far", 0, 1000)});
  CHECK(choose(planner) == "remote"); // 625 us against 450
  planner.delays().set(0, 1, 900);
  CHECK(choose(planner) == "near");
}

TEST_CASE("locality stays at its edge until the instance there is full, then goes to the nearest") {
  chain_planner planner{kind::locality, {"fw"}, "here", 7};
  auto& delays = planner.delays();
  delays.set(delays.number("here"), delays.number("next"), 100);
  delays.set(delays.number("here"), delays.number("far"), 5000);
  const auto published = [](double local) {
    return std::vector{at("local", "here", local, 100), at("near", "next", 50, 100), at("remote", "far", 0, 100)};
  };
  planner.update("fw", published(75));
  for (int i = 0; i < 6; ++i)
    CHECK(choose(planner) == "local");
  CHECK(choose(planner) == "near"); // own choices filled it past 80 %
  planner.update("fw", published(10));
  CHECK(choose(planner) == "local");
}

TEST_CASE("the weights of the combined cost decide what counts") {
  settings rule{kind::combined};
  const auto decide = [&] {
    chain_planner planner{rule, {"fw"}, "here", 7};
    auto& delays = planner.delays();
    delays.set(delays.number("here"), delays.number("far"), 1000);
    planner.update("fw", std::vector{at("near", "here", 60, 100), at("remote", "far", 10, 100)});
    return choose(planner);
  };
  rule.latency_weight = 10, rule.load_weight = 10, rule.locality_weight = 0;
  CHECK(decide() == "near"); // 10 x 0.125 ms + 10 x 0.6 = 7.25 against 10 x 1.06 + 10 x 0.1 = 11.6
  rule.load_weight = 40;
  CHECK(decide() == "remote"); // 25.3 against 14.6
  rule.locality_weight = 100;
  CHECK(decide() == "near");
}

TEST_CASE("who prices links says so") {
  for (int i = 0; i <= static_cast<int>(last_kind); ++i)
    CHECK(weighs_links(static_cast<kind>(i)) != make_pricing(static_cast<kind>(i))->links().free());
}

TEST_CASE("names of policies are read back") {
  for (int i = 0; i <= static_cast<int>(last_kind); ++i)
    CHECK(parse_kind(name(static_cast<kind>(i))) == static_cast<kind>(i));
  CHECK(!parse_kind("least_loaded"));
  CHECK(name(static_cast<kind>(99)) == "?");
}
