#include "dataplane/switch/port_table.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

v4_port v4_of(const port_config& config) noexcept {
  v4_port out;
  out.is_present = true;
  out.kind = config.kind;
  out.router = config.via_v4 ? config.via_v4->v4_value() : 0;
  out.peer = config.peer_v4 ? config.peer_v4->v4_value() : 0;
  out.mtu = config.mtu;
  out.mac = config.mac;
  out.where = place::port(config.tenant, config.id);
  for (const auto& own : config.addresses)
    if (own.address.is_v4() && out.owned < max_port_addresses) {
      out.own[out.owned] = own.address.v4_value();
      out.mask[out.owned++] = own.length == 0 ? 0 : 0xffff'ffffu << (32 - own.length);
    }
  return out;
}

} // namespace

void port_table::put(port_config& config) noexcept {
  v4_[config.id] = v4_of(config);
  auto& target = ports_[config.id];
  target.present = true;
  std::swap(target.config, config);
}

const port_config* port_table::towards(const ip_address& rloc) const noexcept {
  const port_config* routed = nullptr;
  for (const auto& [present, config] : ports_) {
    if (!present || config.kind != port_kind::underlay || own_address_for(config, rloc).is_unspecified())
      continue;
    if (is_on_link(config, rloc))
      return &config;
    if (routed == nullptr && (rloc.is_v4() ? config.via_v4 : config.via_v6))
      routed = &config;
  }
  return routed;
}

bool owns(const port_config& port, const ip_address& address) noexcept {
  return std::ranges::any_of(port.addresses, [&](const auto& own) { return own.address == address; });
}

bool is_on_link(const port_config& port, const ip_address& address) noexcept {
  return std::ranges::any_of(port.addresses, [&](const auto& own) { return own.subnet().contains(address); });
}

ip_address own_address_for(const port_config& port, const ip_address& target) noexcept {
  ip_address fallback;
  fallback.family = target.family;
  for (const auto& own : port.addresses) {
    if (own.subnet().contains(target))
      return own.address;
    if (own.address.family == target.family && fallback.is_unspecified())
      fallback = own.address;
  }
  return fallback;
}

ip_address next_hop(const port_config& port, const ip_address& destination) noexcept {
  if (const auto& peer = destination.is_v4() ? port.peer_v4 : port.peer_v6)
    return *peer;
  const auto& router = destination.is_v4() ? port.via_v4 : port.via_v6;
  return router && !is_on_link(port, destination) ? *router : destination;
}

} // namespace glocal::dataplane
