#pragma once
// The ports of one switch, by id, and the questions the pipeline asks about them.
//
// Threading: one thread. Descriptions are swapped in and out, so nothing is allocated or freed here after construction.

#include "dataplane/switch/place.hpp"
#include "dataplane/switch/port_config.hpp"

#include <array>
#include <vector>

namespace glocal::dataplane {

/// What a packet of IPv4 asks of a port, side by side. All zeros: there is no such port.
struct v4_port {
  bool is_present = false;
  port_kind kind = port_kind::attachment;
  /// 0.0.0.0 where there is none: see port_config.
  std::uint32_t router = 0, peer = 0;
  std::uint16_t mtu = 0;
  mac_address mac;
  /// Packets that come in here are at.
  place where;
  /// Own addresses and the masks of their subnets, `owned` of them.
  std::uint8_t owned = 0;
  std::array<std::uint32_t, max_port_addresses> own{}, mask{};

  [[nodiscard]] bool owns(std::uint32_t address) const noexcept {
    bool out = false;
    for (std::size_t i = 0; i < owned; ++i)
      out |= own[i] == address;
    return out;
  }
  /// As next_hop() below.
  [[nodiscard]] std::uint32_t next_hop(std::uint32_t destination) const noexcept {
    if (peer != 0)
      return peer;
    if (router == 0)
      return destination;
    for (std::size_t i = 0; i < owned; ++i)
      if (((own[i] ^ destination) & mask[i]) == 0)
        return destination;
    return router;
  }
};

class port_table {
public:
  port_table() : ports_(max_ports), v4_(max_ports) {}

  /// nullptr if there is no such port.
  [[nodiscard]] const port_config* find(port_id id) const noexcept {
    return id < max_ports && ports_[id].present ? &ports_[id].config : nullptr;
  }

  /// Takes over `config`, which then holds what was there. REQUIRES: config.id < max_ports.
  void put(port_config& config) noexcept;
  void remove(port_id id) noexcept {
    ports_[id].present = false;
    v4_[id] = {};
  }

  /// REQUIRES: id < max_ports.
  [[nodiscard]] const v4_port& v4(port_id id) const noexcept { return v4_[id]; }

  /// The underlay port towards `rloc`: the one whose subnet it is in, else one with a gateway of its family and an
  /// address to send from; nullptr if none. Cost: O(ports), for tunnels that are set up, not for packets.
  [[nodiscard]] const port_config* towards(const ip_address& rloc) const noexcept;

private:
  struct row {
    bool present = false;
    port_config config;
  };
  std::vector<row> ports_;
  std::vector<v4_port> v4_;
};

/// True when the edge itself answers for `address` at this port.
[[nodiscard]] bool owns(const port_config& port, const ip_address& address) noexcept;

[[nodiscard]] bool is_on_link(const port_config& port, const ip_address& address) noexcept;

/// The address to ask or send from at this port: of `target`'s subnet if there is one, else of its family; unspecified
/// if there is none of the family.
[[nodiscard]] ip_address own_address_for(const port_config& port, const ip_address& target) noexcept;

/// Whom to hand a packet for `destination` to: the function behind an arm, a neighbour on-link, or the router.
[[nodiscard]] ip_address next_hop(const port_config& port, const ip_address& destination) noexcept;

} // namespace glocal::dataplane
