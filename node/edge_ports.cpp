#include "node/edge_ports.hpp"

#include "base/hash.hpp"

#include <string>

namespace glocal::node {

using dataplane::port_config;
using dataplane::port_kind;

edge_ports edge_ports_of(const cluster_config& config, const node_config& self) {
  edge_ports out;
  port_config underlay;
  underlay.id = out.first_free++;
  underlay.name = "underlay";
  underlay.kind = port_kind::underlay;
  underlay.device = "af_packet:" + underlay_interface(config, self.name);
  underlay.addresses = {self.underlay->rloc};
  (self.underlay->gateway.is_v4() ? underlay.via_v4 : underlay.via_v6) = self.underlay->gateway;
  underlay.mtu = config.underlay.mtu;
  out.ports.push_back(std::move(underlay));
  for (const auto& attachment : self.attachments) {
    port_config port;
    port.id = out.first_free++;
    port.name = attachment.name;
    port.kind = port_kind::attachment;
    port.device = "af_packet:" + attachment_interface(config, self.name, attachment.name);
    port.addresses = attachment.gateways;
    port.tenant = attachment.tenant;
    port.mtu = attachment.mtu;
    out.attachments.push_back({port.id, attachment.tenant, attachment.prefixes});
    out.ports.push_back(std::move(port));
  }
  return out;
}

std::uint64_t fingerprint_of(const edge_ports& ports) {
  std::string text;
  for (const auto& port : ports.ports) {
    text += std::to_string(port.id) + ' ' + port.name + ' ' + port.device + ' ' + std::to_string(port.tenant);
    for (const auto& address : port.addresses)
      text += ' ' + to_string(address);
    text += '\n';
  }
  return hash_text(text);
}

} // namespace glocal::node
