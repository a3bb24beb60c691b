#include "actors/edge/chain_chooser.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::actors;

namespace {

model::class_digest digest(std::string vnf_class, std::vector<std::pair<std::string, std::uint64_t>> candidates) {
  model::class_digest out{std::move(vnf_class), {}};
  for (auto& [name, flows] : candidates)
    out.candidates.push_back({name, "dc1", {}, flows, 0});
  return out;
}

std::map<std::string, int> tally(chain_chooser& chooser, int flows) {
  std::map<std::string, int> out;
  for (int i = 0; i < flows; ++i) {
    const auto chain = chooser.choose({"firewall", "optimiser"});
    for (const auto& instance : *chain)
      ++out[instance];
  }
  return out;
}

} // namespace

TEST_CASE("a class without a healthy instance is named") {
  chain_chooser chooser{model::policy::least_loaded, 1};
  chooser.update(digest("firewall", {{"fw-1", 0}}));
  CHECK(chooser.choose({"firewall", "optimiser"}).error().vnf_class == "optimiser");
  chooser.update(digest("optimiser", {}));
  CHECK(chooser.choose({"firewall", "optimiser"}).error().vnf_class == "optimiser");
}

TEST_CASE("a burst between two digests is spread, whatever the policy") {
  const auto policy = GENERATE(model::policy::least_loaded, model::policy::round_robin);
  chain_chooser chooser{policy, 42};
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 0}}));
  chooser.update(digest("optimiser", {{"opt-1", 0}, {"opt-2", 0}, {"opt-3", 0}}));
  auto seen = tally(chooser, 300);
  CHECK(seen["fw-1"] == Approx(150).margin(2));
  for (const auto* name : {"opt-1", "opt-2", "opt-3"})
    CHECK(seen[name] == Approx(100).margin(30));
}

TEST_CASE("least loaded sheds new flows from the loaded instance until it is level") {
  chain_chooser chooser{model::policy::least_loaded, 7};
  chooser.update(digest("firewall", {{"fw-1", 100}, {"fw-2", 0}}));
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  auto seen = tally(chooser, 100);
  CHECK(seen["fw-2"] == 100);
  seen = tally(chooser, 100);
  CHECK(seen["fw-1"] == Approx(50).margin(2));
}

TEST_CASE("own choices count until a digest later than the next one, then the published load is believed") {
  chain_chooser chooser{model::policy::least_loaded, 7};
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 5}}));
  (void)tally(chooser, 5);
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 5}}));
  // fw-1 has 0 published and 5 of the period before: level.
  auto seen = tally(chooser, 2);
  CHECK(seen["fw-1"] == 1);
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 5}}));
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 5}}));
  seen = tally(chooser, 5);
  CHECK(seen["fw-1"] == 5);
}

TEST_CASE("a choice that lost to another edge's does not count") {
  chain_chooser chooser{model::policy::least_loaded, 7};
  chooser.update(digest("optimiser", {{"opt-1", 0}}));
  chooser.update(digest("firewall", {{"fw-1", 0}, {"fw-2", 1}}));
  const auto lost = *chooser.choose({"firewall", "optimiser"});
  CHECK(lost.front() == "fw-1");
  chooser.forget(lost);
  CHECK(chooser.choose({"firewall", "optimiser"})->front() == "fw-1");
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
  chain_chooser chooser{model::policy::least_loaded, 7};
  chooser.update({"firewall", {{"fw-1", "dc1", {}, 3, 10}, {"fw-2", "dc1", {}, 1, 20}, {"fw-3", "dc2", {}, 2, 30}}});
  for (int i = 0; i < 20; ++i) {
    auto copy = chooser;
    chain_chooser::explanation why;
    const auto foretold = copy.choose({"firewall"}, &why);
    REQUIRE(why.size() == 1);
    REQUIRE(why[0].size() == 3);
    CHECK(std::count_if(why[0].begin(), why[0].end(), [](const auto& each) { return each.drawn; }) == 2);
    const auto chosen = std::find_if(why[0].begin(), why[0].end(), [](const auto& each) { return each.chosen; });
    REQUIRE(chosen != why[0].end());
    CHECK(chosen->drawn);
    for (const auto& other : why[0])
      if (other.drawn)
        CHECK(chosen->flows + chosen->own_choices <= other.flows + other.own_choices);
    CHECK(foretold.value() == std::vector{chosen->instance});
    CHECK(chooser.choose({"firewall"}).value() == foretold.value());
  }
}
