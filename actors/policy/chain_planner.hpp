#pragma once
// The local decision: which instances a new flow crosses, from watched global state, the chain as a whole.
//
//   layers (digests + own choices) → policy prices candidates → cheapest path over layers and links → counted
//
// Pure: no clock, no actor, and no random source but its seed, so equal inputs give equal chains. Not thread-safe: it
// lives in one service module. `choose` allocates nothing; 5 classes of 64 take a few us (docs/policies.md).

#include "actors/policy/chain_cache.hpp"
#include "actors/policy/pricing.hpp"
#include "base/expected.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace glocal::policy {

/// Positions in the layers as they are now: valid until the next `update`.
struct chosen_chain {
  std::size_t size = 0;
  std::array<std::uint8_t, max_layers> candidates{};
  /// In the policy's currency; 0 for a reused chain.
  float cost = 0;
  /// A similar flow's chain was taken over.
  bool reused = false;
};

/// The class that has no healthy candidate, by its place in the chain.
struct missing_class {
  std::size_t index = 0;
};

/// One candidate as it was when the choice was made, its own choice not counted.
struct explained_candidate {
  std::string instance, edge;
  float published = 0, own = 0, utilisation = 0;
  /// From the edge before it on the chosen chain.
  float delay_us = 0;
  /// Price of the instance itself; infinite when the policy did not offer it.
  float cost = 0;
  bool chosen = false;
};
struct explanation {
  std::string policy, reason; ///< its name, and the rule in words
  float cost = 0;
  bool reused = false;
  /// Per class of the chain.
  std::vector<std::vector<explained_candidate>> classes;
};

class chain_planner {
public:
  /// @param classes of the chain, 1 to max_layers. @param edge where the planner decides.
  chain_planner(settings settings, std::vector<std::string> classes, const std::string& edge, std::uint64_t seed);

  /// A copy chooses as the original from then on: what it chooses foretells what the original will.
  chain_planner(const chain_planner& other);
  chain_planner& operator=(const chain_planner&) = delete;
  ~chain_planner() = default;

  /// What is published of a class now; an empty list means no healthy instance is known. Classes that are not of this
  /// chain are ignored.
  void update(const std::string& vnf_class, std::span<const candidate> candidates);
  /// The delays, to be filled with measurements; the next `choose` takes them in.
  [[nodiscard]] delay_table& delays() noexcept;
  [[nodiscard]] const delay_table& delays() const noexcept { return delays_; }
  /// Borrows delays that many planners share, instead of the own table. REQUIRES: before the first update; the table
  /// outlives the planner; `delays_changed` is called after changes.
  void share_delays(delay_table& shared) noexcept;
  void delays_changed() noexcept { links_stale_ = true; }

  /// Chooses, and counts the choice as load of the chosen.
  [[nodiscard]] expected<chosen_chain, missing_class> choose(const flow_request& flow);
  /// A choice that was not used after all (another edge's decision won) no longer counts.
  void forget(const std::vector<std::string>& instances) noexcept;

  [[nodiscard]] const std::string& instance(std::size_t index, std::uint8_t candidate) const {
    return layers_[index].names()[candidate];
  }
  [[nodiscard]] std::vector<std::string> instances(const chosen_chain& chain) const;
  [[nodiscard]] const std::vector<std::string>& classes() const noexcept { return classes_; }
  [[nodiscard]] const layer& candidates(std::size_t index) const { return layers_[index]; }
  [[nodiscard]] const policy::settings& rule() const noexcept { return settings_; }

  /// Why the latest choice was made. REQUIRES: `latest` is what `choose` returned last, and nothing was called since.
  [[nodiscard]] explanation explain(const chosen_chain& latest) const;

private:
  void refresh_links();
  [[nodiscard]] layered_problem problem() const noexcept;
  [[nodiscard]] float link_cost(edge_id from, edge_id to) const noexcept;
  [[nodiscard]] bool reuse(const flow_request& flow, chosen_chain& chain) const noexcept;
  void remember(const flow_request& flow, const chosen_chain& chain) noexcept;
  void disturb() noexcept;

  const policy::settings settings_;
  const std::vector<std::string> classes_;
  random_source random_;
  const std::unique_ptr<pricing> pricing_;
  const link_price price_;
  delay_table delays_;
  delay_table* table_ = &delays_;
  edge_id edge_;
  std::string edge_name_;
  std::vector<layer> layers_;
  chain_cache cache_;

  // What `choose` works on, kept for the explanation.
  std::vector<layer_costs> costs_, factors_;
  std::vector<link_costs> links_;
  layer_costs ingress_{}, egress_{};
  /// Numbers in [1, 1 + spread), drawn once: a choice takes a random piece of them for each class.
  std::vector<float> noise_;
  bool links_stale_ = true;
};

} // namespace glocal::policy
