#pragma once
// One class of a chain as deciders see it: its candidates as last published, and the own choices since.
//
// Published load is about a second old, so on top of it a layer counts its owner's choices of the last two periods:
// without them every flow of a burst would go to the instance that was least loaded a second ago.
//
// Two guesses fill gaps, both neutral. Old load says little (Mitzenmacher, "How Useful Is Old Information?", IEEE TPDS
// 2000): it fades towards the mean of the layer as e^(-age / 10 s). An instance of unknown capacity has the mean of the
// known ones; when none is known, twice the mean load, so that relative load is what counts.
//
// Not thread-safe. No allocation but in `update`.

#include "actors/policy/delay_table.hpp"
#include "actors/policy/layered_path.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::policy {

/// A candidate instance, as published.
struct candidate {
  std::string instance, edge;
  /// Flows it carries, and how many it carries well; 0 is unknown.
  double flows = 0, capacity = 0;
  bool healthy = true;
  /// How old this was when it arrived.
  std::chrono::milliseconds age{0};
};

class layer {
public:
  static constexpr std::chrono::milliseconds fading{10'000};

  /// What was published now, which ends a period. Unhealthy candidates and those past `layer_width` are left out.
  void update(std::span<const candidate> candidates, delay_table& delays);

  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  [[nodiscard]] edge_id edge(std::size_t i) const noexcept { return edges_[i]; }
  [[nodiscard]] float published(std::size_t i) const noexcept { return published_[i]; }
  /// Own choices that the published load may not contain yet.
  [[nodiscard]] float own(std::size_t i) const noexcept { return chosen_[i] + chosen_before_[i]; }
  [[nodiscard]] float load(std::size_t i) const noexcept { return published_[i] + own(i); }
  /// > 0, guessed when unknown.
  [[nodiscard]] float capacity(std::size_t i) const noexcept { return capacity_[i]; }
  /// Load by capacity: 1 is full, and more is possible.
  [[nodiscard]] float utilisation(std::size_t i) const noexcept { return load(i) / capacity_[i]; }

  void count(std::size_t i) noexcept { chosen_[i] += 1; }
  /// One choice of this period was not used; nothing when it is not counted.
  void uncount(std::string_view instance) noexcept;
  /// Position of an instance by the hash of its name; `size()` when it is no candidate.
  [[nodiscard]] std::size_t find(std::uint64_t id) const noexcept;
  [[nodiscard]] std::uint64_t id(std::size_t i) const noexcept { return ids_[i]; }

private:
  using numbers = std::array<float, layer_width>;

  std::vector<std::string> names_;
  std::array<std::uint64_t, layer_width> ids_{};
  std::array<edge_id, layer_width> edges_{};
  numbers published_{}, capacity_{}, chosen_{}, chosen_before_{};
};

} // namespace glocal::policy
