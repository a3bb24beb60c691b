#pragma once
// What a service says about the choice of its instances: a policy and its parameters. A value; docs/policies.md has the
// meaning of each policy, docs/cluster-file.md the ranges.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::policy {

/// Numbers are those of the schema: they never change meaning.
enum class kind : std::uint8_t {
  least_loaded = 0,
  round_robin = 1,
  lowest_latency = 2,
  locality = 3,
  weighted = 4,
  consistent = 5,
  combined = 6,
};
inline constexpr kind last_kind = kind::combined;

/// `least-loaded`, as cluster files write it.
[[nodiscard]] std::string_view name(kind what) noexcept;
[[nodiscard]] std::optional<kind> parse_kind(std::string_view text) noexcept;

/// Whether delays between edges matter to a policy: only then is table `links` watched.
[[nodiscard]] constexpr bool weighs_links(kind what) noexcept {
  return what == kind::lowest_latency || what == kind::locality || what == kind::combined;
}

/// Which flows are similar, and therefore share a chain while it is fresh.
enum class similarity : std::uint8_t {
  none = 0,        ///< every flow is decided by itself
  source = 1,      ///< flows from one address: a subscriber
  destination = 2, ///< flows to one address
  pair = 3,        ///< flows between the same two addresses
};
inline constexpr similarity last_similarity = similarity::pair;

struct instance_weight {
  std::string instance;
  std::uint32_t weight = 1;

  bool operator==(const instance_weight&) const = default;
};

struct settings {
  policy::kind kind = policy::kind::least_loaded;
  /// least_loaded: how many random candidates of a class are compared.
  std::uint32_t choices = 2;
  /// lowest_latency, locality, combined: how many random candidates of a class are considered; 0 means all.
  std::uint32_t sample = 0;
  /// lowest_latency, locality, combined: a chain may cost so much more than the cheapest. What keeps edges that see the
  /// same old state from all doing the same.
  std::uint32_t spread_percent = 5;
  /// lowest_latency, combined: time an idle instance keeps a packet.
  std::uint32_t service_us = 50;
  /// locality: an instance fuller than this is passed over for one further away.
  std::uint32_t spill_percent = 80;
  /// combined: price of a millisecond, of a full instance, and of a change of edge, in one currency.
  std::uint32_t latency_weight = 10, load_weight = 10, locality_weight = 1;
  /// weighted: instances not named have weight 1.
  std::vector<instance_weight> weights;
  similarity reuse = similarity::none;
  /// How long a chain is reused, from its decision.
  std::chrono::milliseconds reuse_for{10'000};

  settings() = default;
  settings(policy::kind what) : kind{what} {} // NOLINT(google-explicit-constructor): a kind is a policy with defaults

  bool operator==(const settings&) const = default;
};

} // namespace glocal::policy
