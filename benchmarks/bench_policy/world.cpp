#include "benchmarks/bench_policy/world.hpp"

#include <cmath>

namespace glocal::bench {

world::world(const parameters& p) : class_size_{p.instances / p.classes} {
  policy::random_source random{p.seed};
  std::vector<std::pair<double, double>> places;
  for (std::uint32_t e = 0; e < p.edges; ++e) {
    edge_names_.push_back("e" + std::to_string(e));
    (void)delays_.number(edge_names_.back());
    places.emplace_back(p.side_km * random.unit(), p.side_km * random.unit());
  }
  for (std::uint32_t a = 0; a < p.edges; ++a)
    for (std::uint32_t b = 0; b < p.edges; ++b) {
      const auto km = std::hypot(places[a].first - places[b].first, places[a].second - places[b].second);
      delays_.set(a, b, static_cast<float>(p.least_us + km * p.us_per_km));
    }
  double capacity_of_class = 0;
  for (instance_id i = 0; i < class_size_ * p.classes; ++i) {
    names_.push_back("i" + std::to_string(i));
    edges_.push_back(random.below(p.edges));
    capacity_.push_back(p.capacity_flows * (i % 2 + 1));
    load.push_back(0);
    if (i < class_size_)
      capacity_of_class += capacity_.back();
  }
  flows_per_s_ = capacity_of_class * p.utilisation / p.flow_s;
}

double exponential(double mean, policy::random_source& random) {
  return -mean * std::log1p(-static_cast<double>(random.unit()));
}

} // namespace glocal::bench
