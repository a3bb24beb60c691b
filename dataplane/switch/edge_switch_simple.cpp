#include "dataplane/switch/edge_switch.hpp"

// The short way: IPv4 packets with TCP or UDP that a host or a function sends and that need nothing but their entry, or
// a rule that lets them pass. It decides nothing of its own: whatever is unusual about a packet, its flow or where it
// goes sends it the long way (edge_switch.cpp), which does all of this too; edge_switch_burst_test.cpp holds the two
// against each other.

namespace glocal::dataplane {
namespace {

/// Outer headers and shim at their longest: with so much room and MTU encapsulation can't fail.
constexpr std::size_t most_added = tunnel::v6_outer_bytes + encapsulation::max_header_bytes;

constexpr bool is_multicast(std::uint32_t address) noexcept {
  return address >= 0xe000'0000u && (address < 0xf000'0000u || address == 0xffff'ffffu);
}
/// As is_martian_source().
constexpr bool is_martian(std::uint32_t address) noexcept {
  const auto first = address >> 24;
  return first == 0 || first == 127 || first >= 224;
}

/// What encapsulation asks of the inner packet.
parsed_packet parsed_of(const simple_packet& ip) noexcept {
  parsed_packet out;
  out.tuple = {ip_address::v4(ip.source), ip_address::v4(ip.destination), ip.source_port, ip.destination_port,
               ip.protocol};
  out.l3_offset = ethernet_header_bytes;
  out.ip_total_length = ip.ip_bytes;
  out.dscp = ip.traffic_class >> 2;
  out.ecn = ip.traffic_class & 3;
  out.ttl = ip.ttl;
  return out;
}

} // namespace

bool edge_switch::admit_simple(const packet& frame, simple_arrival& in) const noexcept {
  const auto& port = ports_.v4(frame.in_port);
  if (port.kind == port_kind::underlay || !read_simple(frame.view(), in.ip))
    return false;
  in.frame = frame;
  in.port = &port;
  const bool is_overlay = in.ip.protocol == ip_protocol::udp && in.ip.destination_port == lisp_data_port;
  // What begins a connection may have to be changed (tcp_mss.hpp), and has no entry yet as a rule.
  const bool is_syn = in.ip.protocol == ip_protocol::tcp && (in.ip.tcp_flags & tcp_flag::syn) != 0;
  const bool is_expired = port.kind == port_kind::attachment && in.ip.ttl <= 1;
  return destination_mac(frame.data) == port.mac && !is_overlay && !is_syn && !is_expired &&
         !is_multicast(in.ip.destination) && !port.owns(in.ip.destination) && !frame.is_traced();
}

bool edge_switch::forward_simple(simple_arrival& in, flow_table::entry entry) noexcept {
  const auto& flow = flows_[entry.flow];
  const bool goes_on = flow.what == flow::kind::on_path || flow.what == flow::kind::by_eid;
  if (!goes_on || !is_fresh(entry.flow, may_begin_connection(in.ip.protocol, in.ip.tcp_flags)))
    return false;
  const auto step = entry.step;
  const auto* route = flow.routes[static_cast<std::size_t>(step.way)];
  const bool is_on_path = flow.what == flow::kind::on_path;
  const auto& path = paths_[is_on_path ? flow.path_slot : 0];
  if (!(is_on_path ? step_simple(in, path.program, step, route)
                   : route_simple(in, route, {.instance_id = in.port->where.tenant()})))
    return false;
  counters_.exact_hits.add();
  touch(entry.flow, in.ip.ip_bytes, in.ip.tcp_flags, step.way);
  if (is_on_path && step.position == 0)
    count_entry(in.ip.ip_bytes, path.account, step.way);
  return true;
}

/// Traffic of no service where that has no entries.
bool edge_switch::forward_simple_miss(simple_arrival& in, classifier_answer answer) noexcept {
  if (config_.entries_by_eid || in.port->kind != port_kind::attachment || is_martian(in.ip.source) ||
      counters_.flows_waiting.value() > 0)
    return false;
  if (rules_ != nullptr) {
    if (!answer.is_known)
      return false;
    const bool passes = answer.matched == no_rule ||
                        rules_->outcome(answer.matched).action == static_cast<std::uint32_t>(rule_action::pass);
    if (!passes)
      return false;
  }
  const auto tenant = in.port->where.tenant();
  const auto* back = eids_->lookup_v4(tenant, in.ip.source);
  if (back == nullptr || back->port != in.port->where.port() ||
      !route_simple(in, eids_->lookup_v4(tenant, in.ip.destination), {.instance_id = tenant}))
    return false;
  counters_.exact_misses.add();
  counters_.classifier_lookups.add(rules_ != nullptr ? 1 : 0);
  return true;
}

bool edge_switch::step_simple(simple_arrival& in, const path_program& path, path_step step,
                              const eid_route* route) noexcept {
  const overlay_header header{.spi = spi_of(path.id, step.way),
                              .si = static_cast<std::uint8_t>(initial_service_index - step.position),
                              .has_nsh = true,
                              .instance_id = in.port->where.tenant()};
  const auto* hop = hop_at(path, step);
  if (hop == nullptr)
    return route_simple(in, route, header);
  if (hop->local)
    return deliver_simple(in, step.way == direction::forward ? hop->in_arm : hop->out_arm);
  return encapsulate_simple(in, hop->rloc, header);
}

bool edge_switch::route_simple(simple_arrival& in, const eid_route* route, const overlay_header& header) noexcept {
  if (route == nullptr)
    return false;
  return route->is_local() ? deliver_simple(in, route->port) : encapsulate_simple(in, route->rloc, header);
}

bool edge_switch::deliver_simple(simple_arrival& in, port_id id) noexcept {
  const auto& port = ports_.v4(id);
  if (!port.is_present || in.ip.ip_bytes > port.mtu)
    return false;
  const auto* to = neighbours_.find_ready(id, port.next_hop(in.ip.destination), now_ns_);
  if (to == nullptr)
    return false;
  if (in.port->kind == port_kind::attachment)
    decrement_ttl(in.frame.data, in.ip);
  set_ethernet_addresses(in.frame.data, to->mac, port.mac);
  tx_.push(id, in.frame, *out_);
  return true;
}

bool edge_switch::encapsulate_simple(simple_arrival& in, const ip_address& rloc,
                                     const overlay_header& header) noexcept {
  const auto format = header.has_nsh ? tunnel_format::service_path : tunnel_format::plain;
  const auto* way = tunnels_.find_recent(rloc, format);
  if (way == nullptr || !way->next_hop.is_v4() || in.frame.headroom < most_added ||
      in.ip.ip_bytes + most_added > way->through.mtu)
    return false;
  const auto id = way->through.out_port;
  const auto* to = neighbours_.find_ready(id, way->next_hop.v4_value(), now_ns_);
  if (to == nullptr)
    return false;
  if (in.port->kind == port_kind::attachment)
    decrement_ttl(in.frame.data, in.ip);
  if (const auto bad = encapsulate(in.frame, way->through, header, parsed_of(in.ip)))
    drop(in.frame, *bad); // as on the long way
  else {
    set_ethernet_addresses(in.frame.data, to->mac, ports_.v4(id).mac);
    tx_.push(id, in.frame, *out_);
  }
  return true;
}

} // namespace glocal::dataplane
