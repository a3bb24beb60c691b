#pragma once
// The local decision: which instances a new flow crosses, from watched global state.
//
// Published load is about a second old, so on top of it the chooser counts its own choices of the last two digest
// periods: without them every flow of a burst would go to the instance that was least loaded a second ago.
// Deterministic for a seed. Not thread-safe: it lives in one service module.
// Source: paper section "local decisions"; two choices: Mitzenmacher, "The Power of Two Choices", IEEE TPDS 2001.

#include "actors/model/model.hpp"

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace glocal::actors {

/// The class that had no healthy instance.
struct no_candidate {
  std::string vnf_class;
};

/// An instance as a choice saw it.
struct weighed_candidate {
  std::string instance, node;
  /// Load: flows as published, and own choices since that are not in it yet.
  std::uint64_t flows = 0, own_choices = 0;
  double rate_pps = 0;
  /// Of two drawn at random the less loaded is chosen; round-robin draws none.
  bool drawn = false, chosen = false;

  bool operator==(const weighed_candidate&) const = default;
};

/// Copies choose alike from then on: a copy's choice foretells the original's.
class chain_chooser {
public:
  chain_chooser(model::policy policy, std::uint64_t seed) : policy_{policy}, random_{seed} {}

  /// A newer digest of a class; an empty one means no healthy instance is known.
  void update(const model::class_digest& digest);

  /// Why a choice fell as it did: for each class of the chain, all candidates before the choice was counted.
  using explanation = std::vector<std::vector<weighed_candidate>>;

  /// One instance per class, in order, and counts the choice. Cost: O(classes); with `why`, O(candidates).
  [[nodiscard]] expected<std::vector<std::string>, no_candidate> choose(const std::vector<std::string>& classes,
                                                                        explanation* why = nullptr);

  /// A choice that was not used after all (another edge's decision won): it no longer counts.
  void forget(const std::vector<std::string>& instances);

private:
  struct candidate {
    std::string name;
    std::uint64_t published = 0, previous_choices = 0, choices = 0;
    std::string node;
    double rate_pps = 0;

    [[nodiscard]] std::uint64_t load() const noexcept { return published + previous_choices + choices; }
  };
  struct class_state {
    std::vector<candidate> candidates;
    std::size_t next = 0;
  };

  struct picked {
    std::size_t chosen = 0;
    /// Equal when there is one candidate; npos with round-robin.
    std::size_t first = std::string::npos, second = std::string::npos;
  };
  picked pick(class_state& state);

  const model::policy policy_;
  std::mt19937_64 random_;
  std::map<std::string, class_state, std::less<>> classes_;
};

/// The id a chain is tried under first: a hash of its content, so that two edges that decide the same chain at the same
/// moment share one path. Even and not 0, see model::path_id.
[[nodiscard]] model::path_id first_path_id(const std::string& service, const std::vector<std::string>& instances);
/// The id to try after `id` turned out to hold another chain.
[[nodiscard]] model::path_id next_path_id(model::path_id id) noexcept;

} // namespace glocal::actors
