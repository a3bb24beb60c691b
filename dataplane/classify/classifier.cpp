#include "dataplane/classify/classifier.hpp"

namespace glocal::dataplane {
namespace {

bool has_ports(std::uint8_t protocol) noexcept {
  return protocol == ip_protocol::tcp || protocol == ip_protocol::udp || protocol == ip_protocol::sctp;
}

bool is_icmp(std::uint8_t protocol) noexcept {
  return protocol == ip_protocol::icmp || protocol == ip_protocol::icmp6;
}

template <class Value>
bool allows(const std::optional<Value>& wanted, Value seen) noexcept {
  return !wanted || *wanted == seen;
}

bool allows(const std::optional<ip_prefix>& wanted, const ip_address& seen) noexcept {
  return !wanted || wanted->contains(seen);
}

} // namespace

packet_fields make_packet_fields(const parsed_packet& parsed, port_id in_port) noexcept {
  packet_fields out;
  out.source = parsed.tuple.source;
  out.destination = parsed.tuple.destination;
  if (has_ports(parsed.tuple.protocol)) {
    out.source_port = parsed.tuple.source_port;
    out.destination_port = parsed.tuple.destination_port;
  }
  out.in_port = in_port;
  out.vlan = parsed.vlan;
  out.protocol = parsed.tuple.protocol;
  out.dscp = parsed.dscp;
  out.tcp_flags = parsed.tcp_flags;
  out.icmp_type = parsed.icmp_type;
  return out;
}

bool matches(const rule_match& match, const packet_fields& packet) noexcept {
  // TCP flags and ICMP type have protocols as prerequisites (OpenFlow 1.3.5 section 7.2.3.8).
  return allows(match.destination, packet.destination) && allows(match.source, packet.source) &&
         allows(match.protocol, packet.protocol) && match.destination_ports.contains(packet.destination_port) &&
         match.source_ports.contains(packet.source_port) && allows(match.in_port, packet.in_port) &&
         allows(match.vlan, packet.vlan) && allows(match.dscp, packet.dscp) &&
         (match.tcp_flags_mask == 0 || (packet.protocol == ip_protocol::tcp &&
                                        (packet.tcp_flags & match.tcp_flags_mask) == match.tcp_flags_value)) &&
         (!match.icmp_type || (is_icmp(packet.protocol) && *match.icmp_type == packet.icmp_type));
}

std::optional<build_error> find_build_error(std::span<const rule> rules) noexcept {
  if (rules.size() > max_rules)
    return build_error{build_error::code::too_many_rules, max_rules};
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (find_contradiction(rules[i].match))
      return build_error{build_error::code::contradictory_rule, i};
  return {};
}

std::string_view to_string(build_error::code code) noexcept {
  switch (code) {
  case build_error::code::too_many_rules: return "too many rules";
  case build_error::code::too_many_masks: return "more than 16384 combinations of prefix lengths and fields";
  case build_error::code::too_many_shapes: return "the rules need more than 16384 kinds of tree nodes";
  case build_error::code::too_many_lines:
    return "one packet would have to be compared with more rules than 128 cache lines hold, which nothing but ranges "
           "or "
           "priorities tells apart";
  case build_error::code::out_of_memory: return "there is not enough memory for the rules";
  case build_error::code::contradictory_rule: return "the rule contradicts itself";
  }
  return "unknown";
}

} // namespace glocal::dataplane
