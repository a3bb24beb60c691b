#include "actors/policy/chain_planner.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <map>

using namespace glocal::policy;
using namespace std::chrono_literals;

namespace {

std::vector<candidate> digest(const std::vector<std::pair<std::string, double>>& flows) {
  std::vector<candidate> out;
  for (const auto& [name, load] : flows)
    out.push_back({name, "dc1", load, 0, true, {}});
  return out;
}

std::map<std::string, int> tally(chain_planner& planner, int flows) {
  std::map<std::string, int> out;
  for (int i = 0; i < flows; ++i)
    for (const auto& instance : planner.instances(*planner.choose({})))
      ++out[instance];
  return out;
}

} // namespace

TEST_CASE("a class without a healthy candidate is named") {
  chain_planner planner{kind::least_loaded, {"firewall", "optimiser"}, "edge", 1};
  planner.update("firewall", digest({{"fw-1", 0}}));
  CHECK(planner.choose({}).error().index == 1);
  auto ill = digest({{"opt-1", 0}});
  ill[0].healthy = false;
  planner.update("optimiser", ill);
  CHECK(planner.choose({}).error().index == 1);
  planner.update("no class of this chain", digest({{"x", 0}}));
  CHECK(planner.choose({}).error().index == 1);
}

TEST_CASE("least loaded sheds new flows from the loaded instance until it is level") {
  chain_planner planner{kind::least_loaded, {"firewall"}, "edge", 7};
  planner.update("firewall", digest({{"fw-1", 100}, {"fw-2", 0}}));
  CHECK(tally(planner, 100)["fw-2"] == 100);
  CHECK(tally(planner, 100)["fw-1"] == Approx(50).margin(2));
}

TEST_CASE("own choices count until a digest later than the next one, then the published load is believed") {
  chain_planner planner{kind::least_loaded, {"firewall"}, "edge", 7};
  const auto published = digest({{"fw-1", 0}, {"fw-2", 5}});
  planner.update("firewall", published);
  CHECK(tally(planner, 5)["fw-1"] == 5);
  planner.update("firewall", published);
  CHECK(planner.candidates(0).load(0) == 5);
  CHECK(planner.candidates(0).own(1) == 0);
  planner.update("firewall", published);
  CHECK(planner.candidates(0).load(0) == 0);
}

TEST_CASE("a choice that lost to another edge's does not count") {
  chain_planner planner{kind::least_loaded, {"firewall", "optimiser"}, "edge", 7};
  planner.update("optimiser", digest({{"opt-1", 0}}));
  planner.update("firewall", digest({{"fw-1", 0}, {"fw-2", 1}}));
  const auto lost = planner.instances(*planner.choose({}));
  CHECK(planner.candidates(0).own(0) == 1);
  planner.forget(lost);
  planner.forget(lost);
  planner.forget({"nobody", "opt-1", "one too many"});
  CHECK(planner.candidates(0).own(0) == 0);
}

TEST_CASE("a chain is chosen as a whole: a dear first hop may be the way to a cheap chain") {
  chain_planner planner{kind::lowest_latency, {"firewall", "optimiser"}, "sub", 7};
  auto& delays = planner.delays();
  const auto link = [&](const char* from, const char* to, float us) {
    delays.set(delays.number(from), delays.number(to), us);
  };
  link("sub", "dc1", 100), link("sub", "dc2", 300), link("dc1", "dc2", 5000);
  planner.update("firewall",
                 std::vector<candidate>{{"fw-1", "dc1", 0, 10, true, {}}, {"fw-2", "dc2", 0, 10, true, {}}});
  planner.update("optimiser", std::vector<candidate>{{"opt-2", "dc2", 0, 10, true, {}}});
  for (int i = 0; i < 3; ++i)
    CHECK(planner.instances(*planner.choose({})) == std::vector<std::string>{"fw-2", "opt-2"});
  // The way out counts when it is known.
  planner.update("optimiser",
                 std::vector<candidate>{{"opt-1", "dc1", 0, 10, true, {}}, {"opt-2", "dc2", 0, 10, true, {}}});
  flow_request flow;
  flow.egress = planner.delays().number("dc2");
  CHECK(planner.instances(*planner.choose(flow)) == std::vector<std::string>{"fw-2", "opt-2"});
}

TEST_CASE("links that nobody measured are neutral") {
  chain_planner planner{kind::lowest_latency, {"firewall"}, "sub", 7};
  planner.update("firewall",
                 std::vector<candidate>{{"fw-1", "dc1", 60, 100, true, {}}, {"fw-2", "dc2", 20, 100, true, {}}});
  CHECK(tally(planner, 10)["fw-2"] == 10);
  auto& delays = planner.delays();
  CHECK(delays.neutral_us() == 0);
  delays.set(delays.number("sub"), delays.number("dc1"), 200);
  delays.set(delays.number("sub"), delays.number("dc3"), 400);
  CHECK(delays.delay_us(delays.number("sub"), delays.number("dc2")) == 300);
  CHECK(delays.delay_us(delays.number("dc1"), delays.number("sub")) == 200); // the other direction's
  delays.set(delays.number("sub"), delays.number("dc3"), -1);
  CHECK(delays.delay_us(delays.number("sub"), delays.number("dc2")) == 200);
  CHECK(delays.delay_us(unknown_edge, 0) == 200);
  delays.set(0, 1, std::numeric_limits<float>::quiet_NaN());
  CHECK(delays.measured() == 0);
}

TEST_CASE("the number of edges with known delays is bounded") {
  delay_table delays;
  for (std::size_t i = 0; i < max_edges; ++i)
    REQUIRE(delays.number("edge-" + std::to_string(i)) == i);
  CHECK(delays.number("one-more") == unknown_edge);
  CHECK(delays.number("edge-5") == 5);
  delays.set(5, max_edges - 1, 7);
  CHECK(delays.delay_us(5, max_edges - 1) == 7);
}

TEST_CASE("old load fades towards the mean") {
  delay_table delays;
  layer some;
  auto published = digest({{"fw-1", 0}, {"fw-2", 100}});
  published[1].age = 10s;
  some.update(published, delays);
  CHECK(some.load(0) == 0);
  CHECK(some.load(1) == Approx(50 + 50 * std::exp(-1.0)));
}

TEST_CASE("an unknown capacity is the mean of the known ones") {
  delay_table delays;
  layer some;
  auto published = digest({{"fw-1", 30}, {"fw-2", 30}, {"fw-3", 30}});
  published[0].capacity = 100, published[1].capacity = 200;
  some.update(published, delays);
  CHECK(some.utilisation(2) == Approx(0.2));
  some.update(digest({{"fw-1", 30}, {"fw-2", 90}}), delays);
  CHECK(some.utilisation(0) == Approx(0.25));
}

TEST_CASE("hostile numbers in a digest stay harmless") {
  delay_table delays;
  layer some;
  auto published = digest({{"fw-1", std::numeric_limits<double>::quiet_NaN()}, {"fw-2", 1e300}, {"fw-3", -5}});
  published[0].capacity = std::numeric_limits<double>::infinity(), published[1].age = -5s;
  some.update(published, delays);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK((std::isfinite(some.utilisation(i)) && some.utilisation(i) >= 0));
}

TEST_CASE("similar flows share a chain while it is fresh and its instances are candidates") {
  settings rule{kind::round_robin};
  rule.reuse = similarity::source;
  rule.reuse_for = 10s;
  chain_planner planner{rule, {"firewall"}, "edge", 7};
  planner.update("firewall", digest({{"fw-1", 0}, {"fw-2", 0}, {"fw-3", 0}}));
  const auto choose = [&](std::uint64_t like, std::chrono::nanoseconds now) {
    flow_request flow;
    flow.similarity = like;
    flow.now = now;
    return *planner.choose(flow);
  };
  const auto first = planner.instances(choose(99, 0s));
  for (int i = 0; i < 5; ++i) {
    const auto again = choose(99, 9s);
    CHECK(again.reused);
    CHECK(planner.instances(again) == first);
  }
  CHECK(!choose(98, 9s).reused);
  CHECK(!choose(0, 9s).reused);
  CHECK(!choose(99, 10s).reused);
  const auto now = planner.instances(choose(99, 11s))[0];
  auto rest = digest({{"fw-1", 0}, {"fw-2", 0}, {"fw-3", 0}});
  std::erase_if(rest, [&](const auto& each) { return each.instance == now; });
  planner.update("firewall", rest);
  CHECK(!choose(99, 12s).reused);
}

TEST_CASE("equal seeds and inputs give equal chains") {
  const auto rule = GENERATE(kind::least_loaded, kind::weighted, kind::lowest_latency);
  const auto run = [&] {
    chain_planner planner{rule, {"firewall"}, "edge", 42};
    planner.update("firewall", digest({{"fw-1", 3}, {"fw-2", 2}, {"fw-3", 2}}));
    std::string out;
    for (int i = 0; i < 50; ++i)
      out += planner.instances(*planner.choose({}))[0];
    return out;
  };
  CHECK(run() == run());
}

TEST_CASE("a copy foretells what the original chooses next") {
  for (int what = 0; what <= static_cast<int>(last_kind); ++what) {
    settings rule{static_cast<kind>(what)};
    rule.reuse = similarity::source;
    chain_planner planner{rule, {"firewall", "optimiser"}, "edge", 42};
    planner.update("firewall", digest({{"fw-1", 3}, {"fw-2", 2}, {"fw-3", 2}}));
    planner.update("optimiser", digest({{"opt-1", 3}, {"opt-2", 2}}));
    planner.delays().set(0, 1, 300);
    flow_request flow;
    for (int i = 0; i < 30; ++i) {
      flow.hash = static_cast<std::uint64_t>(i), flow.similarity = static_cast<std::uint64_t>(i % 7);
      auto copy = planner;
      const auto foretold = *copy.choose(flow);
      const auto chosen = *planner.choose(flow);
      CHECK(foretold.candidates == chosen.candidates);
      CHECK(foretold.cost == chosen.cost);
    }
  }
}

TEST_CASE("a choice explains itself: the candidates, their prices, and the rule") {
  chain_planner planner{kind::least_loaded, {"firewall"}, "edge", 7};
  planner.update("firewall", digest({{"fw-1", 100}, {"fw-2", 0}}));
  (void)planner.choose({});
  const auto chain = *planner.choose({});
  const auto why = planner.explain(chain);
  CHECK(why.policy == "least-loaded");
  CHECK(why.reason == "the least loaded of 2 random candidates of each class");
  REQUIRE(why.classes.size() == 1);
  REQUIRE(why.classes[0].size() == 2);
  const auto& chosen = why.classes[0][1];
  CHECK((chosen.chosen && chosen.instance == "fw-2" && chosen.edge == "dc1"));
  CHECK(chosen.own == 1);
  CHECK(chosen.cost < why.classes[0][0].cost);
  CHECK(!why.classes[0][0].chosen);
}
