#pragma once
// Which exact-match entries one edge holds for one flow: a pure function of the flow, its path and the EID table, used
// by the agent's install_flow and by the lcore itself when a packet of a known path arrives first.
//
// In each direction an edge serves a flow at up to three sorts of places, and each place leads one step further along
// the path (forward steps k = 0..n for n hops; the reverse direction counts the hops from the end):
//   the attachment of a local source         (port, tuple)        → step 0
//   a local hop k, where packets come out    (exit arm, tuple)    → step k + 1
//   an overlay arrival for a local hop k     (SPI, 255 - k, tuple) → step k, when hop k - 1 is elsewhere
//   an overlay arrival at the egress         (SPI, 255 - n, tuple) → step n, when the last hop is elsewhere
// Step k < n delivers to hop k; step n goes on by destination EID. Source: RFC 8300 section 3, RFC 7665 section 4.

#include "dataplane/switch/eid_table.hpp"
#include "dataplane/switch/path_program.hpp"
#include "dataplane/switch/place.hpp"

#include <array>
#include <span>

namespace glocal::dataplane {

/// A position on a path in one direction: "deliver to hop `position`", or to the destination EID behind the last one.
struct path_step {
  direction way = direction::forward;
  std::uint8_t position = 0;

  bool operator==(const path_step&) const = default;
};

/// Packets of the flow's `step.way` that are found at `where` take `step`.
struct flow_entry {
  place where;
  path_step step;

  bool operator==(const flow_entry&) const = default;
};

/// Per direction: one attachment, a leave and an arrival per hop, and the egress.
inline constexpr std::size_t max_flow_entries = 2 * (2 * max_path_hops + 2);

class flow_program {
public:
  /// The entries of the flow whose initiator sent `forward`. REQUIRES: is_valid(path). Cost: O(hops) and two lookups.
  [[nodiscard]] static flow_program make(std::uint32_t tenant, const five_tuple& forward, const path_program& path,
                                         const eid_table& eids) noexcept;

  /// Refused on a temporary: a loop over it would outlive it.
  [[nodiscard]] std::span<const flow_entry> entries() const& noexcept { return {entries_.data(), count_}; }
  std::span<const flow_entry> entries() && = delete;

private:
  void add_direction(direction way, std::uint32_t tenant, const path_program& path, const eid_route* source,
                     const eid_route* destination) noexcept;

  std::array<flow_entry, max_flow_entries> entries_;
  std::size_t count_ = 0;
};

/// The hop `step` delivers to; nullptr at the egress. REQUIRES: step.position <= path.hops.size().
[[nodiscard]] const path_hop* hop_at(const path_program& path, path_step step) noexcept;

} // namespace glocal::dataplane
