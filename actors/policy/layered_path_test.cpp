#include "actors/policy/layered_path.hpp"

#include "actors/policy/random_source.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <vector>

using namespace glocal::policy;

namespace {

/// A random problem, and the exact optimum by a way that shares nothing with the solver: every chain for small ones,
/// Bellman's recursion in double precision for large ones.
struct random_problem {
  random_problem(std::size_t layers, std::size_t size, random_source& random, bool with_links = true)
      : nodes(layers), factors(layers), links(layers - 1) {
    problem.layers = layers;
    for (std::size_t l = 0; l < layers; ++l) {
      problem.sizes[l] = size;
      problem.nodes[l] = &nodes[l];
      nodes[l].fill(not_offered);
      factors[l].fill(1);
      for (std::size_t i = 0; i < size; ++i)
        nodes[l][i] = 500 * random.unit();
      if (l + 1 < layers && with_links) {
        problem.links[l] = &links[l];
        for (std::size_t i = 0; i < size; ++i)
          for (std::size_t j = 0; j < size; ++j)
            links[l].at(i, j) = random.below(5) == 0 ? 0 : 1000 * random.unit();
      }
    }
    for (std::size_t i = 0; i < size; ++i) {
      ingress[i] = 1000 * random.unit();
      egress[i] = 1000 * random.unit();
    }
    problem.ingress = &ingress;
    problem.egress = &egress;
  }

  [[nodiscard]] double link(std::size_t layer, std::size_t from, std::size_t to) const {
    return problem.links[layer] == nullptr ? 0 : links[layer].at(from, to);
  }

  [[nodiscard]] double by_enumeration(std::size_t layer = 0, std::size_t from = 0) const {
    if (layer == problem.layers)
      return egress[from];
    double best = not_offered;
    for (std::size_t j = 0; j < problem.sizes[layer]; ++j) {
      const double step = layer == 0 ? ingress[j] : link(layer - 1, from, j);
      best = std::min(best, step + nodes[layer][j] + by_enumeration(layer + 1, j));
    }
    return best;
  }

  [[nodiscard]] double by_recursion() const {
    std::vector<double> to_end(egress.begin(), egress.end());
    for (auto layer = problem.layers; layer-- > 0;) {
      std::vector<double> here(problem.sizes[layer], not_offered);
      for (std::size_t j = 0; j < here.size(); ++j)
        here[j] = nodes[layer][j] + to_end[j];
      to_end.assign(layer == 0 ? 1 : problem.sizes[layer - 1], not_offered);
      for (std::size_t i = 0; i < to_end.size(); ++i)
        for (std::size_t j = 0; j < here.size(); ++j)
          to_end[i] = std::min(to_end[i], (layer == 0 ? ingress[j] : link(layer - 1, i, j)) + here[j]);
    }
    return to_end[0];
  }

  layered_problem problem;
  std::vector<layer_costs> nodes, factors;
  std::vector<link_costs> links;
  layer_costs ingress{}, egress{};
};

} // namespace

TEST_CASE("the chain found is the cheapest of all chains") {
  const auto seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
  CAPTURE(seed);
  random_source random{seed};
  const random_problem some{1 + random.below(4), 1 + random.below(9), random, random.below(4) != 0};
  const auto found = cheapest_path(some.problem);
  CHECK(found.cost == Approx(some.by_enumeration()).epsilon(1e-5));
  CHECK(cost_of(some.problem, found.nodes) == Approx(found.cost).epsilon(1e-5));
}

TEST_CASE("five classes of 64 candidates: the exact optimum") {
  const auto seed = GENERATE(11u, 12u, 13u);
  CAPTURE(seed);
  random_source random{seed};
  const auto some = std::make_unique<random_problem>(5, 64, random);
  CHECK(cost_of(some->problem, cheapest_path(some->problem).nodes) == Approx(some->by_recursion()).epsilon(1e-5));
}

TEST_CASE("under factors of up to 1.05 a chain is dearer than the optimum by 5 % at most, and not always the same") {
  random_source random{21};
  const auto some = std::make_unique<random_problem>(5, 64, random);
  // Many chains are nearly as cheap as the cheapest.
  for (auto& layer : some->nodes)
    for (auto& node : layer)
      node = 100 + node / 50;
  for (auto& layer : some->links)
    for (std::size_t i = 0; i < layer_width; ++i)
      for (std::size_t j = 0; j < layer_width; ++j)
        layer.at(i, j) = 100 + layer.at(i, j) / 50;
  const auto optimum = some->by_recursion();
  std::vector<std::array<std::uint8_t, max_layers>> seen;
  for (int round = 0; round < 500; ++round) {
    for (std::size_t l = 0; l < some->problem.layers; ++l) {
      for (auto& factor : some->factors[l])
        factor = 1 + 0.05f * random.unit();
      some->problem.factors[l] = &some->factors[l];
    }
    const auto found = cheapest_path(some->problem);
    REQUIRE(cost_of(some->problem, found.nodes) <= optimum * 1.05 * (1 + 1e-5));
    if (std::find(seen.begin(), seen.end(), found.nodes) == seen.end())
      seen.push_back(found.nodes);
  }
  CHECK(seen.size() > 50);
}

TEST_CASE("what is not offered is not chosen, and without any offer there is no path") {
  random_source random{31};
  random_problem some{3, 20, random};
  for (std::size_t l = 0; l < 3; ++l)
    for (std::size_t i = 0; i < 20; ++i)
      if (i != 7 + l)
        some.nodes[l][i] = not_offered;
  const auto only = cheapest_path(some.problem);
  CHECK((only.nodes[0] == 7 && only.nodes[1] == 8 && only.nodes[2] == 9));
  some.nodes[1][8] = not_offered;
  CHECK(cheapest_path(some.problem).cost == not_offered);
  CHECK(cheapest_path({}).cost == not_offered);
}

TEST_CASE("a greedy choice would fall for a cheap first hop; the path does not") {
  random_source random{41};
  random_problem some{2, 2, random};
  some.ingress = {};
  some.egress = {};
  some.nodes[0][0] = 1, some.nodes[0][1] = 2, some.nodes[1][0] = 1, some.nodes[1][1] = 1;
  some.links[0].at(0, 0) = some.links[0].at(0, 1) = 100, some.links[0].at(1, 0) = 50, some.links[0].at(1, 1) = 3;
  const auto found = cheapest_path(some.problem);
  CHECK((found.nodes[0] == 1 && found.nodes[1] == 1));
  CHECK(found.cost == 6);
}
