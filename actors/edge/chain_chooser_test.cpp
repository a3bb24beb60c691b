#include "actors/edge/chain_chooser.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace glocal;
using namespace glocal::actors;
using namespace std::chrono_literals;

namespace {

const auto tuple = *parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80");

model::class_digest digest(std::string vnf_class, std::vector<std::pair<std::string, std::uint64_t>> candidates) {
  model::class_digest out{std::move(vnf_class), {}};
  for (auto& [name, flows] : candidates)
    out.candidates.push_back({name, "dc1", {}, flows, 0});
  return out;
}

chain_chooser make(const policy::settings& rule, std::uint64_t seed = 7) {
  return {rule, {"firewall", "optimiser"}, "sub-edge", seed};
}

std::map<std::string, int> tally(chain_chooser& chooser, int flows) {
  std::map<std::string, int> out;
  for (int i = 0; i < flows; ++i) {
    const auto chain = chooser.choose(0, tuple, 0s);
    for (const auto& instance : *chain)
      ++out[instance];
  }
  return out;
}

} // namespace

TEST_CASE("a class without a healthy instance is named") {
  auto chooser = make(policy::kind::least_loaded);
  chooser.update(digest("firewall", {{"fw-1", 0}}));
  CHECK(chooser.choose(0, tuple, 0s).error().vnf_class == "optimiser");
  chooser.update(digest("optimiser", {}));
  CHECK(chooser.choose(0, tuple, 0s).error().vnf_class == "optimiser");
}

TEST_CASE("a burst between two digests is spread, whatever the policy") {
  const auto policy = GENERATE(policy::kind::least_loaded, policy::kind::round_robin, policy::kind::lowest_latency);
  auto chooser = make(policy, 42);
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 0}}));
  chooser.update(digest("optimiser", {{"opt-1", 0}, {"opt-2", 0}, {"opt-3", 0}}));
  auto seen = tally(chooser, 300);
  CHECK(seen["fw-1"] == Approx(150).margin(5));
  for (const auto* name : {"opt-1", "opt-2", "opt-3"})
    CHECK(seen[name] == Approx(100).margin(30));
}

TEST_CASE("a choice that lost to another edge's does not count") {
  auto chooser = make(policy::kind::least_loaded);
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 1}}));
  const auto lost = *chooser.choose(0, tuple, 0s);
  CHECK(lost.front() == "fw-1");
  chooser.forget(lost);
  CHECK(chooser.choose(0, tuple, 0s)->front() == "fw-1");
}

TEST_CASE("load is measured by capacity") {
  auto chooser = make(policy::kind::least_loaded);
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  auto firewalls = digest("firewall", {{"fw-1", 20}, {"fw-2", 30}});
  firewalls.candidates[0].capacity = 50, firewalls.candidates[1].capacity = 1000;
  chooser.update(firewalls);
  CHECK(tally(chooser, 100)["fw-2"] == 100);
}

TEST_CASE("measured links steer the choice, and a lossy one is a long one") {
  auto chooser = make(policy::kind::lowest_latency);
  auto firewalls = digest("firewall", {{"fw-1", 0}, {"fw-2", 0}});
  firewalls.candidates[1].node = "dc2";
  chooser.update(firewalls);
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  chooser.update(model::link_state{"sub-edge", "dc1", 4000, 0});
  chooser.update(model::link_state{"sub-edge", "dc2", 300, 0});
  chooser.update(model::link_state{"dc2", "dc1", 300, 0});
  CHECK(chooser.choose(0, tuple, 0s)->front() == "fw-2");
  chooser.update(model::link_state{"sub-edge", "dc2", 300, 0.1});
  CHECK(chooser.choose(0, tuple, 0s)->front() == "fw-1");
}

TEST_CASE("both directions of a connection hash alike, and consistent follows the hash") {
  auto chooser = make(policy::kind::consistent);
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 0}, {"fw-3", 0}, {"fw-4", 0}}));
  chooser.update(digest("optimiser", {{"opt-1", 0}, {"opt-2", 0}, {"opt-3", 0}, {"opt-4", 0}}));
  std::map<std::vector<std::string>, int> chains;
  for (std::uint16_t port = 1024; port < 1124; ++port) {
    auto flow = tuple;
    flow.source_port = port;
    auto back = flow;
    std::swap(back.source, back.destination);
    std::swap(back.source_port, back.destination_port);
    const auto chain = chooser.choose(0, flow, 0s).value();
    CHECK(chooser.choose(0, back, 0s).value() == chain);
    ++chains[chain];
  }
  CHECK(chains.size() > 8);
}

TEST_CASE("flows of one source share a chain where the service says so, those of another tenant do not") {
  policy::settings rule{policy::kind::round_robin};
  rule.reuse = policy::similarity::source;
  rule.reuse_for = 10s;
  auto chooser = make(rule);
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 0}}));
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  const auto first = chooser.choose(0, tuple, 1s).value();
  auto other_port = tuple;
  other_port.source_port = 7;
  chain_chooser::explanation why;
  CHECK(chooser.choose(0, other_port, 2s, &why).value() == first);
  CHECK(why.reused);
  CHECK(why.reason == "the chain of a similar flow");
  CHECK(chooser.choose(1, tuple, 2s).value() != first);
  (void)chooser.choose(0, tuple, 11s, &why);
  CHECK(!why.reused);
}

TEST_CASE("equal chains begin with equal path ids, which are even and inside 24 bits") {
  CHECK(first_path_id("web", {"fw-1", "opt-1"}) == first_path_id("web", {"fw-1", "opt-1"}));
  CHECK(first_path_id("web", {"fw-1", "opt-1"}) != first_path_id("web", {"opt-1", "fw-1"}));
  for (int i = 0; i < 1000; ++i) {
    const auto id = first_path_id("web", {"fw-" + std::to_string(i)});
    CHECK((id % 2 == 0 && id != 0 && id <= 0xfffffe));
  }
  CHECK(next_path_id(0xfffffe) == 2);
  CHECK(next_path_id(2) == 4);
}

TEST_CASE("a choice explains itself, and a copy foretells it") {
  chain_chooser chooser{policy::kind::least_loaded, {"firewall"}, "sub-edge", 7};
  chooser.update(model::class_digest{
      "firewall", {{"fw-1", "dc1", {}, 3, 10}, {"fw-2", "dc1", {}, 1, 20}, {"fw-3", "dc2", {}, 2, 30}}});
  for (int i = 0; i < 20; ++i) {
    auto copy = chooser;
    chain_chooser::explanation why;
    const auto foretold = copy.choose(0, tuple, 0s, &why);
    CHECK(why.reason == "the least loaded of 2 random candidates of each class");
    REQUIRE(why.classes.size() == 1);
    const auto& seen = why.classes[0];
    REQUIRE(seen.size() == 3);
    CHECK((seen[2].instance == "fw-3" && seen[2].node == "dc2" && seen[2].rate_pps == 30));
    CHECK(std::count_if(seen.begin(), seen.end(), [](const auto& each) { return each.drawn; }) == 2);
    const auto chosen = std::find_if(seen.begin(), seen.end(), [](const auto& each) { return each.chosen; });
    REQUIRE(chosen != seen.end());
    CHECK(chosen->drawn);
    for (const auto& other : seen)
      if (other.drawn)
        CHECK(chosen->flows + chosen->own_choices <= other.flows + other.own_choices);
    CHECK(foretold.value() == std::vector{chosen->instance});
    CHECK(chooser.choose(0, tuple, 0s).value() == foretold.value());
  }
}
