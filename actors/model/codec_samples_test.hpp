#pragma once
// One of each value of the global state and of each message between MANO and VNF hosts, for the codec's test and its
// fuzzer.

#include "actors/model/codec.hpp"

#include <tuple>

namespace glocal::model::samples {

inline service web() {
  service out{"web", 7, 100, {}, {"firewall", "tcp-optimiser"}, policy::kind::round_robin, fallback::pass};
  out.affinity = affinity::provisional;
  out.policy.choices = 3, out.policy.sample = 16, out.policy.spread_percent = 7, out.policy.service_us = 80;
  out.policy.spill_percent = 90, out.policy.latency_weight = 1, out.policy.load_weight = 2;
  out.policy.locality_weight = 3, out.policy.weights = {{"fw-1", 3}, {"fw-2", 0}};
  out.policy.reuse = policy::similarity::pair, out.policy.reuse_for = std::chrono::milliseconds{1234};
  dataplane::rule_match match;
  match.in_port = 3;
  match.vlan = 12;
  match.source = *parse_prefix("10.1.0.0/24");
  match.destination = *parse_prefix("2001:db8::/32");
  match.protocol = ip_protocol::tcp;
  match.dscp = 46;
  match.source_ports = {1024, 65535};
  match.destination_ports = {80, 80};
  match.tcp_flags_value = 2;
  match.tcp_flags_mask = 0x12;
  match.icmp_type = 8;
  out.matches = {match, dataplane::rule_match{}};
  return out;
}

inline auto all() {
  const auto rloc = *parse_ip("172.16.1.2");
  const auto tuple = *parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80");
  const vnf_class firewall{"firewall", "netns", true, {"nft add table inet fw", "true"}, 1000};
  const vnf_instance fw1{"fw-1", "firewall", "dc1", *parse_ip("2001:db8::2"), 500};
  return std::tuple{
      firewall,
      fw1,
      web(),
      service_path{0xabcdee, "web", {"fw-1", "opt-2"}},
      flow_record{"web", "sub-edge", 0xabcdee, tuple, 7},
      instance_status{"fw-1", "firewall", 3, 9, true, 100, 12345, 678910, 1.5},
      class_digest{"firewall", {{"fw-1", "dc1", rloc, 10, 2.5, 1000}, {"fw-2", "dc1", rloc, 11, 0}}, 3, 32},
      link_state{"sub-edge", "dc1", 350.5, 0.01},
      eid_mapping{7, *parse_prefix("10.1.0.0/24"), "sub-edge", rloc},
      eid_mapping{
          7, *parse_prefix("10.1.0.0/24"), "", rloc,
          lisp_registration{
              "branch", "\x01\x02", "record", {rloc}, *parse_ip("2001:db8::2"), 77, 3, 1, true, true, true, true}},
      lisp_subscription{7, *parse_prefix("10.1.0.0/24"), std::string(24, 'x'), "branch", rloc, 77, "lisp1"},
      instantiate_request{fw1, firewall},
      terminate_request{std::string{"fw\0-1", 5}},
      lifecycle_reply{fw1, {}},
      lifecycle_reply{std::nullopt, "nft: syntax error"}};
}

} // namespace glocal::model::samples
