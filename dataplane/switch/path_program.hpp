#pragma once
// A service function path as an edge programs it: the whole chain, in the initiator's order, with what is local here.
//
// On the wire (RFC 8300 sections 2.3 and 3): a path owns an even service path identifier (SPI) for the forward
// direction and the odd one above it for the reverse. The service index (SI) starts at 255 and falls by one per hop: SI
// = 255 - k reads "to be delivered to hop k", counted in the packet's own direction; k == hops.size() is the egress,
// where the packet goes on by its destination EID. Forward traffic enters an instance by its `in` arm and leaves by
// `out`; reverse traffic the other way around.

#include "base/net.hpp"
#include "dataplane/switch/port_config.hpp"

#include <cstdint>
#include <vector>

namespace glocal::dataplane {

/// Chains longer than this are refused. It bounds the entries one flow needs, and so the work of one install.
inline constexpr std::size_t max_path_hops = 16;

/// SI of a packet on its way to the first hop (RFC 8300 section 2.3: the initial value SHOULD be 255).
inline constexpr std::uint8_t initial_service_index = 255;

/// SPIs are 24 bits wide.
inline constexpr std::uint32_t max_spi = 0xff'ffff;

/// One VNF instance of a chain: its arms when it is on this edge, else the RLOC of the edge where it is.
struct path_hop {
  bool local = false;
  port_id in_arm = no_port, out_arm = no_port;
  ip_address rloc;

  bool operator==(const path_hop&) const = default;
};

struct path_program {
  /// Even; the reverse direction is `id + 1`.
  std::uint32_t id = 0;
  /// Initiator's order; at most `max_path_hops`. Empty is legal: straight to the destination EID.
  std::vector<path_hop> hops;

  bool operator==(const path_program&) const = default;
};

/// Which way along a path.
enum class direction : std::uint8_t { forward, reverse };

[[nodiscard]] constexpr direction opposite(direction way) noexcept {
  return way == direction::forward ? direction::reverse : direction::forward;
}

/// The path an SPI belongs to, and the way it stands for.
[[nodiscard]] constexpr std::uint32_t path_of_spi(std::uint32_t spi) noexcept {
  return spi & ~1u;
}
[[nodiscard]] constexpr direction direction_of_spi(std::uint32_t spi) noexcept {
  return (spi & 1u) != 0 ? direction::reverse : direction::forward;
}
[[nodiscard]] constexpr std::uint32_t spi_of(std::uint32_t path, direction way) noexcept {
  return way == direction::forward ? path : path + 1;
}

/// True when an lcore can hold it: even id below 2^24, at most `max_path_hops` hops, local hops with two arms of
/// their own below `max_ports`, remote ones with a unicast RLOC.
[[nodiscard]] bool is_valid(const path_program& path) noexcept;

} // namespace glocal::dataplane
