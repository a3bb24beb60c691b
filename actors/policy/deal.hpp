#pragma once
// How a class with more instances than a digest holds is shared out: sorted by load and dealt like cards into hands of
// at most `layer_width`, so that each hand has the same mean load. An edge sees one hand; which, a hash of its name
// says.
//
// Why not the least loaded of all in one digest: then every edge sends every flow of a period to the same 64 instances,
// whatever its policy. Of 2,000 instances the fullest had 11 times the mean load that way, and 1.3 times with hands
// (docs/policies.md). Subsets as such: Beyer et al., Site Reliability Engineering, 2016, chapter 20.

#include "actors/policy/random_source.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace glocal::policy {

/// Hands that `count` candidates fill; at least one.
[[nodiscard]] std::size_t hands_for(std::size_t count) noexcept;

/// `count` candidates in order of load, as positions by hand; each hand in order of load. Round after round begins at
/// a random hand, so that nobody gets the fuller of each round.
[[nodiscard]] std::vector<std::vector<std::size_t>> deal(std::size_t count, random_source& random);

/// The hand an edge sees. REQUIRES: hands > 0.
[[nodiscard]] std::uint32_t hand_of(std::string_view edge, std::uint32_t hands) noexcept;

} // namespace glocal::policy
