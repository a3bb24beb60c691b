#pragma once
// The local decision as a service module asks for it: digests and links of the global state in, instances out. The
// choosing itself is the pure library actors/policy; here its values meet those of the store's tables.
//
// Deterministic for a seed. Not thread-safe: it lives in one service module.
// Source: paper section "local decisions"; the policies' own: docs/policies.md.

#include "actors/model/model.hpp"
#include "actors/policy/chain_planner.hpp"

#include <chrono>
#include <cstdint>
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
  /// The policy offered it: of two drawn at random the less loaded is chosen, round-robin offers the next in turn.
  bool drawn = false, chosen = false;
  /// Load by capacity, the way from the edge before it on the chain, and its price in the policy's currency.
  double utilisation = 0, delay_us = 0, cost = 0;

  bool operator==(const weighed_candidate&) const = default;
};

/// Copies choose alike from then on: a copy's choice foretells the original's.
class chain_chooser {
public:
  /// @param classes of the chain, in order. @param edge where it is decided.
  chain_chooser(const policy::settings& rule, std::vector<std::string> classes, const std::string& edge,
                std::uint64_t seed);

  /// A newer digest of a class; an empty one means no healthy instance is known.
  void update(const model::class_digest& digest);
  /// A newer measurement between two edges. A lost packet counts as the 200 ms until it is sent again.
  void update(const model::link_state& link);
  /// Nobody measures between these two edges any more.
  void erase_link(const std::string& from, const std::string& to);

  /// Why a choice fell as it did: the rule, and for each class of the chain all candidates before the choice was
  /// counted.
  struct explanation {
    std::string reason;
    double cost = 0;
    bool reused = false;
    std::vector<std::vector<weighed_candidate>> classes;
  };

  /// One instance per class, in order, and counts the choice.
  /// @param now any monotonic clock, for the age of reused chains. Cost: a few us; with `why`, O(candidates) texts.
  [[nodiscard]] expected<std::vector<std::string>, no_candidate>
  choose(model::tenant_id tenant, const five_tuple& tuple, std::chrono::nanoseconds now, explanation* why = nullptr);

  /// A choice that was not used after all (another edge's decision won): it no longer counts.
  void forget(const std::vector<std::string>& instances);

private:
  [[nodiscard]] std::uint64_t similarity(model::tenant_id tenant, const five_tuple& tuple) const;

  policy::chain_planner planner_;
  /// By class of the chain and candidate, for the explanation only.
  std::vector<std::vector<double>> rates_;
};

/// The id a chain is tried under first: a hash of its content, so that two edges that decide the same chain at the same
/// moment share one path. Even and not 0, see model::path_id.
[[nodiscard]] model::path_id first_path_id(const std::string& service, const std::vector<std::string>& instances);
/// The id to try after `id` turned out to hold another chain.
[[nodiscard]] model::path_id next_path_id(model::path_id id) noexcept;

} // namespace glocal::actors
