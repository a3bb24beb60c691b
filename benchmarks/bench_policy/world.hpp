#pragma once
// The world bench_policy decides in: edges on a map with fibre between them, instances of several classes at the edges,
// flows that come and go. The truth, of which digests are old copies.

#include "actors/policy/chain_planner.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace glocal::bench {

struct parameters {
  std::uint32_t instances = 10'000, edges = 1'000, classes = 5;
  /// Half the instances have the capacity, half twice as much.
  double capacity_flows = 100;
  /// Mean utilisation that arrivals are set to.
  double utilisation = 0.6;
  double flow_s = 20;
  /// A map of this side; light in fibre needs 5 us/km, and no fibre runs straight: 7 us/km. 100 us within a site.
  double side_km = 1000, us_per_km = 7, least_us = 100;
  /// State in a digest is so old when it arrives, and serves for one period.
  double age_s = 1, period_s = 1;
  double warm_up_s = 4, measured_s = 5;
  std::uint64_t seed = 1;
};

using instance_id = std::uint32_t;
/// One instance per class.
using chain = std::array<instance_id, policy::max_layers>;

class world {
public:
  explicit world(const parameters& parameters);

  [[nodiscard]] std::uint32_t class_size() const noexcept { return class_size_; }
  /// Instances of class c are numbered from c x class_size.
  [[nodiscard]] instance_id first_of(std::uint32_t vnf_class) const noexcept { return vnf_class * class_size_; }
  [[nodiscard]] std::uint32_t edge_of(instance_id instance) const noexcept { return edges_[instance]; }
  [[nodiscard]] double capacity(instance_id instance) const noexcept { return capacity_[instance]; }
  [[nodiscard]] const std::string& name(instance_id instance) const noexcept { return names_[instance]; }
  [[nodiscard]] const std::string& edge_name(std::uint32_t edge) const noexcept { return edge_names_[edge]; }
  [[nodiscard]] float delay_us(std::uint32_t from, std::uint32_t to) const noexcept {
    return delays_.delay_us(from, to);
  }
  /// Numbered as the edges here.
  [[nodiscard]] policy::delay_table& delays() noexcept { return delays_; }

  /// Arrivals of all edges that keep the mean utilisation.
  [[nodiscard]] double flows_per_s() const noexcept { return flows_per_s_; }

  std::vector<double> load;
  [[nodiscard]] double utilisation(instance_id instance) const noexcept { return load[instance] / capacity_[instance]; }
  [[nodiscard]] policy::candidate published(instance_id instance, double flows) const {
    return {names_[instance], edge_names_[edges_[instance]], flows, capacity_[instance], true, {}};
  }

private:
  std::uint32_t class_size_;
  std::vector<std::uint32_t> edges_;
  std::vector<double> capacity_;
  std::vector<std::string> names_, edge_names_;
  policy::delay_table delays_;
  double flows_per_s_ = 0;
};

/// Exponential with this mean: times between Poisson events, and times of flows.
[[nodiscard]] double exponential(double mean, policy::random_source& random);

} // namespace glocal::bench
