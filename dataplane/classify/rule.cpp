#include "dataplane/classify/rule.hpp"

#include <utility>

namespace glocal::dataplane {
namespace {

bool is_bad(const std::optional<ip_prefix>& prefix) noexcept {
  return prefix && (prefix->length > prefix->address.bits() ||
                    ip_prefix::make(prefix->address, prefix->length).address != prefix->address);
}

} // namespace

rule_match rule_match::mirrored() const {
  auto out = *this;
  std::swap(out.source, out.destination);
  std::swap(out.source_ports, out.destination_ports);
  out.in_port.reset();
  out.tcp_flags_value = out.tcp_flags_mask = 0;
  out.icmp_type.reset();
  return out;
}

std::optional<rule_error> find_contradiction(const rule_match& match) noexcept {
  if (match.source_ports.low > match.source_ports.high || match.destination_ports.low > match.destination_ports.high)
    return rule_error::empty_port_range;
  if (is_bad(match.source) || is_bad(match.destination))
    return rule_error::bad_prefix;
  if (match.source && match.destination && match.source->address.family != match.destination->address.family)
    return rule_error::mixed_families;
  if (match.vlan && *match.vlan > 4094)
    return rule_error::vlan_out_of_range;
  if (match.dscp && *match.dscp > 63)
    return rule_error::dscp_out_of_range;
  if ((match.tcp_flags_value & ~match.tcp_flags_mask) != 0)
    return rule_error::tcp_flags_beyond_mask;
  if (match.tcp_flags_mask != 0 && match.icmp_type)
    return rule_error::flags_and_icmp_type;
  return {};
}

std::string_view to_string(rule_error error) noexcept {
  switch (error) {
  case rule_error::empty_port_range: return "the port range ends before it begins";
  case rule_error::mixed_families: return "source and destination are of different IP versions";
  case rule_error::bad_prefix: return "the prefix has bits set beyond its length";
  case rule_error::vlan_out_of_range: return "VLANs go from 0 (none) to 4094";
  case rule_error::dscp_out_of_range: return "DSCP values go from 0 to 63";
  case rule_error::tcp_flags_beyond_mask: return "the TCP flags have a bit that their mask leaves out";
  case rule_error::flags_and_icmp_type: return "no packet has both TCP flags and an ICMP type";
  }
  return "unknown";
}

} // namespace glocal::dataplane
