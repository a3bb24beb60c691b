#include "dataplane/switch/edge_switch.hpp"

// What would become of a packet: the questions the pipeline asks, in its order, and none of what it does. Whatever the
// pipeline learns to ask has to be asked here too; edge_switch_probe_test.cpp compares the two.

namespace glocal::dataplane {

void edge_switch::execute(probe& order) noexcept {
  arrival in;
  in.frame.data = order.frame.data();
  in.frame.length = static_cast<std::uint32_t>(order.frame.size());
  in.frame.in_port = order.port;
  in.frame.set_trace(order.id);
  if (const auto bad = probe_packet(in))
    tracer_.dropped(in.frame, *bad);
  tracer_.probe_ended(in.frame);
}

drop_verdict edge_switch::probe_packet(arrival& in) noexcept {
  const auto* port = ports_.find(in.frame.in_port);
  if (port == nullptr)
    return drop_reason::unknown_port;
  if (in.frame.length < ethernet_header_bytes)
    return drop_reason::truncated_ethernet;
  set_ethernet_addresses(in.frame.data, port->mac, {});
  if (const auto bad = parse(in.frame.view(), in.parsed))
    return bad;
  tracer_.met_probe(in.frame, in.parsed, *port);
  if (!in.parsed.is_ip() || port->kind == port_kind::underlay)
    return drop_reason::unexpected_on_underlay;
  if (is_our_echo(*port, in)) {
    tracer_.answered(in.frame);
    return {};
  }
  if (const auto bad = refused_host(*port, in))
    return bad;
  if (port->kind == port_kind::attachment && in.parsed.ttl <= 1)
    return drop_reason::ttl_expired;
  in.where = place::port(port->tenant, port->id);
  const auto entry = flows_.find(in.key());
  return entry ? probe_entry(in, entry) : probe_miss(in, *port);
}

drop_verdict edge_switch::probe_entry(const arrival& in, flow_table::entry entry) noexcept {
  const auto& flow = flows_[entry.flow];
  const auto& identity = flows_.about(entry.flow);
  const auto& port = *ports_.find(in.frame.in_port);
  auto step = entry.step;
  if (!is_fresh(entry.flow, may_begin_connection(in.parsed.tuple.protocol, in.parsed.tcp_flags))) {
    if (flow.what != flow::kind::on_path)
      return probe_miss(in, port); // it would be removed
    // It would be programmed again: by what the path and the EIDs are now.
    const auto program = flow_program::make(identity.tenant, identity.forward, paths_[flow.path_slot].program, *eids_);
    const auto entries = program.entries();
    const auto wanted = std::ranges::find_if(entries, [&](const flow_entry& each) {
      const auto tuple = each.step.way == direction::forward ? identity.forward : identity.forward.reversed();
      return each.where == in.where && tuple == in.parsed.tuple;
    });
    if (wanted == entries.end())
      return probe_miss(in, port);
    step = wanted->step;
  }
  const overlay_header plain{.instance_id = in.where.tenant()};
  switch (flow.what) {
  case flow::kind::refused: tracer_.hit(in.frame, flow, step, 0); return identity.refusal;
  case flow::kind::pending:
    tracer_.hit(in.frame, flow, step, 0);
    tracer_.held(in.frame);
    return {};
  case flow::kind::by_eid: tracer_.hit(in.frame, flow, step, 0); return probe_route(in, plain);
  case flow::kind::on_path: break;
  case flow::kind::free: return probe_miss(in, port);
  }
  const auto& path = paths_[flow.path_slot].program;
  tracer_.hit(in.frame, flow, step, path.id);
  tracer_.stepped(in.frame, path, step);
  const overlay_header header{.spi = spi_of(path.id, step.way),
                              .si = static_cast<std::uint8_t>(initial_service_index - step.position),
                              .has_nsh = true,
                              .instance_id = in.where.tenant()};
  const auto* hop = hop_at(path, step);
  if (hop == nullptr)
    return probe_route(in, header);
  if (hop->local)
    return probe_delivery(in, step.way == direction::forward ? hop->in_arm : hop->out_arm);
  return probe_tunnel(in, hop->rloc, header);
}

drop_verdict edge_switch::probe_miss(const arrival& in, const port_config& port) noexcept {
  tracer_.missed(in.frame);
  if (const auto bad = unforwardable(in))
    return bad;
  if (port.kind != port_kind::attachment) {
    const auto known = flows_.find_connection(in.where.tenant(), in.parsed.tuple);
    if (known != none && flows_[known].what == flow::kind::on_path)
      return drop_reason::vnf_unknown_flow;
    tracer_.asked(in.frame, packet_in_reason::vnf_miss, no_hold);
    return {};
  }
  if (!is_source_attached(in))
    return drop_reason::spoofed_source;
  const auto matched = classify(in, {});
  tracer_.classified(in.frame, in.parsed, matched);
  const overlay_header plain{.instance_id = in.where.tenant()};
  if (!matched)
    return probe_route(in, plain);
  switch (static_cast<rule_action>(matched->action)) {
  case rule_action::drop: return drop_reason::policy_drop;
  case rule_action::pass: return probe_route(in, plain);
  case rule_action::reply: tracer_.asked(in.frame, packet_in_reason::reply_rule, no_hold); return {};
  case rule_action::decide: break;
  }
  tracer_.asked(in.frame, packet_in_reason::rule, no_hold);
  return {};
}

drop_verdict edge_switch::probe_route(const arrival& in, const overlay_header& header) noexcept {
  const auto* route = eids_->lookup(in.where.tenant(), in.parsed.tuple.destination);
  tracer_.routed(in.frame, route);
  if (route == nullptr)
    return drop_reason::no_route;
  return route->is_local() ? probe_delivery(in, route->port) : probe_tunnel(in, route->rloc, header);
}

drop_verdict edge_switch::probe_delivery(const arrival& in, port_id id) noexcept {
  const auto* port = ports_.find(id);
  if (port == nullptr)
    return drop_reason::unknown_port;
  if (in.parsed.ip_total_length > port->mtu)
    return drop_reason::mtu_exceeded;
  tracer_.sent(in.frame, id);
  return {};
}

drop_verdict edge_switch::probe_tunnel(const arrival& in, const ip_address& rloc,
                                       const overlay_header& header) noexcept {
  const auto* port = ports_.towards(rloc);
  if (port == nullptr)
    return drop_reason::unknown_port;
  tracer_.encapsulated(in.frame, rloc, header, 0);
  tracer_.sent(in.frame, port->id);
  return {};
}

} // namespace glocal::dataplane
