#pragma once
// The ports of one switch, by id, and the questions the pipeline asks about them.
//
// Threading: one thread. Descriptions are swapped in and out, so nothing is allocated or freed here after construction.

#include "dataplane/switch/port_config.hpp"

#include <vector>

namespace glocal::dataplane {

class port_table {
public:
  port_table() : ports_(max_ports) {}

  /// nullptr if there is no such port.
  [[nodiscard]] const port_config* find(port_id id) const noexcept {
    return id < max_ports && ports_[id].present ? &ports_[id].config : nullptr;
  }

  /// Takes over `config`, which then holds what was there. REQUIRES: config.id < max_ports.
  void put(port_config& config) noexcept {
    auto& target = ports_[config.id];
    target.present = true;
    std::swap(target.config, config);
  }
  void remove(port_id id) noexcept { ports_[id].present = false; }

  /// The underlay port towards `rloc`: the one whose subnet it is in, else one with a gateway of its family and an
  /// address to send from; nullptr if none. Cost: O(ports), for tunnels that are set up, not for packets.
  [[nodiscard]] const port_config* towards(const ip_address& rloc) const noexcept;

private:
  struct row {
    bool present = false;
    port_config config;
  };
  std::vector<row> ports_;
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
