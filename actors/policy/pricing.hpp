#pragma once
// The interface of all policies: what a policy says about one class of a chain for one flow. It prices the candidates,
// and it prices links; the chain as a whole is then the cheapest path (layered_path.hpp). docs/policies.md says when to
// use which and gives the sources.
//
// A policy has no clock and no random source but the one handed in. Not thread-safe: it lives in one chain_planner.

#include "actors/policy/layer.hpp"
#include "actors/policy/random_source.hpp"
#include "actors/policy/settings.hpp"

#include <memory>

namespace glocal::policy {

/// What of a flow a policy may look at.
struct flow_request {
  /// Of the canonical tuple, so that both directions agree. Used by `consistent`.
  std::uint64_t hash = 0;
  /// The same for similar flows; 0 when the flow is like no other.
  std::uint64_t similarity = 0;
  /// Any monotonic clock; used for the age of reused chains only.
  std::chrono::nanoseconds now{0};
  /// Where the chain's packets go in the end, when it is known.
  edge_id egress = unknown_edge;
};

/// What a way between two edges costs; all 0: where instances are does not matter.
struct link_price {
  float per_us = 0;
  /// Between different edges, on top.
  float per_change = 0;

  [[nodiscard]] bool free() const noexcept { return per_us == 0 && per_change == 0; }
};

class pricing {
public:
  pricing() = default;
  pricing& operator=(const pricing&) = delete;
  virtual ~pricing() = default;

  /// Prices as this one would from now on.
  [[nodiscard]] virtual std::unique_ptr<pricing> clone() const = 0;

  /// Prices the candidates of the chain's class number `index`: `costs[i]` for i < `of.size()`, >= 0, or `not_offered`;
  /// at least one is offered. REQUIRES: `of.size()` > 0. Cost: O(candidates), no allocation.
  virtual void offer(std::size_t index, const layer& of, const flow_request& flow, random_source& random,
                     layer_costs& costs) noexcept = 0;
  /// The candidates of a class changed.
  virtual void refreshed(std::size_t /*index*/, const layer& /*of*/) {}
  /// The same for the life of the policy.
  [[nodiscard]] virtual link_price links() const noexcept { return {}; }
  /// How much dearer than the cheapest a chain may be; see layered_path.hpp.
  [[nodiscard]] virtual float spread() const noexcept { return 0; }
  /// The rule in words, for who asks why an instance was chosen.
  [[nodiscard]] virtual std::string reason() const = 0;

protected:
  pricing(const pricing&) = default;
};

[[nodiscard]] std::unique_ptr<pricing> make_pricing(const settings& settings);

/// Time in an instance: `service_us` when idle, and by M/M/1 (Kleinrock 1975) `service_us` / (1 - utilisation); from 95
/// % on its tangent, so that of overfull instances the fuller is still the dearer.
[[nodiscard]] float queueing_us(float utilisation, float service_us) noexcept;

/// `count` different ones of `size` candidates, uniformly, as bits; all when `count` is 0 or not smaller.
/// REQUIRES: 0 < size <= 64.
[[nodiscard]] std::uint64_t sample(std::size_t size, std::size_t count, random_source& random) noexcept;

} // namespace glocal::policy
