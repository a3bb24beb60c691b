#include "dataplane/wire/drop_reason.hpp"

namespace glocal::dataplane {

std::string_view to_string(drop_reason reason) noexcept {
  switch (reason) {
    using enum drop_reason;
  case truncated_ethernet: return "truncated_ethernet";
  case stacked_vlan: return "stacked_vlan";
  case unsupported_ethertype: return "unsupported_ethertype";
  case not_for_us: return "not_for_us";
  case bad_arp: return "bad_arp";
  case bad_neighbour_discovery: return "bad_neighbour_discovery";
  case truncated_ip: return "truncated_ip";
  case bad_ip_version: return "bad_ip_version";
  case bad_ip_length: return "bad_ip_length";
  case bad_ip_checksum: return "bad_ip_checksum";
  case ip_options: return "ip_options";
  case bad_ip_extension: return "bad_ip_extension";
  case source_route: return "source_route";
  case fragment: return "fragment";
  case ttl_expired: return "ttl_expired";
  case multicast: return "multicast";
  case truncated_l4: return "truncated_l4";
  case bad_l4_length: return "bad_l4_length";
  case martian_source: return "martian_source";
  case spoofed_source: return "spoofed_source";
  case not_underlay_port: return "not_underlay_port";
  case unknown_rloc: return "unknown_rloc";
  case unexpected_on_underlay: return "unexpected_on_underlay";
  case bad_lisp_header: return "bad_lisp_header";
  case bad_gpe_protocol: return "bad_gpe_protocol";
  case bad_nsh_header: return "bad_nsh_header";
  case nsh_length: return "nsh_length";
  case bad_nsh_protocol: return "bad_nsh_protocol";
  case nsh_ttl_expired: return "nsh_ttl_expired";
  case congestion_not_ecn: return "congestion_not_ecn";
  case unknown_tenant: return "unknown_tenant";
  case unknown_path: return "unknown_path";
  case bad_service_index: return "bad_service_index";
  case encapsulation_no_nsh: return "encapsulation_no_nsh";
  case no_route: return "no_route";
  case no_rule_fallback: return "no_rule_fallback";
  case policy_drop: return "policy_drop";
  case store_unavailable: return "store_unavailable";
  case decision_refused: return "decision_refused";
  case reply_unknown_flow: return "reply_unknown_flow";
  case vnf_unknown_flow: return "vnf_unknown_flow";
  case error_unknown_flow: return "error_unknown_flow";
  case held_flow_full: return "held_flow_full";
  case held_total_full: return "held_total_full";
  case held_port_full: return "held_port_full";
  case packet_in_policed: return "packet_in_policed";
  case hold_timeout: return "hold_timeout";
  case packet_in_ring_full: return "packet_in_ring_full";
  case table_full: return "table_full";
  case neighbour_unresolved: return "neighbour_unresolved";
  case unknown_port: return "unknown_port";
  case no_headroom: return "no_headroom";
  case mtu_exceeded: return "mtu_exceeded";
  case no_buffer: return "no_buffer";
  case tx_full: return "tx_full";
  }
  return "unknown";
}

} // namespace glocal::dataplane
