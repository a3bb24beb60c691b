#include "dataplane/switch/edge_switch.hpp"
#include "dataplane/wire/tcp_mss.hpp"

namespace glocal::dataplane {

void edge_switch::take_step(arrival& in, const path_program& path, path_step step, const eid_route* route) noexcept {
  const overlay_header header{.spi = spi_of(path.id, step.way),
                              .si = static_cast<std::uint8_t>(initial_service_index - step.position),
                              .nsh_ttl = in.nsh_ttl,
                              .has_nsh = true,
                              .instance_id = in.where.tenant()};
  const auto* hop = hop_at(path, step);
  if (in.frame.is_traced()) [[unlikely]] {
    tracer_.stepped(in.frame, path, step);
    if (hop != nullptr && hop->local)
      tracer_.enters_function(in.frame, in.parsed, step.way == direction::forward ? hop->out_arm : hop->in_arm);
  }
  if (hop == nullptr)
    return route_by_eid(in, route, header);
  if (hop->local)
    return deliver(in, step.way == direction::forward ? hop->in_arm : hop->out_arm);
  encapsulate_to(in, hop->rloc, header);
}

/// Out by the port of the destination EID, or on to its edge with `header`.
void edge_switch::route_by_eid(arrival& in, const eid_route* route, const overlay_header& header) noexcept {
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.routed(in.frame, route);
  if (route == nullptr)
    return drop(in.frame, drop_reason::no_route);
  if (route->is_local())
    return deliver(in, route->port);
  // Plain LISP counts no hops of its own, so what came by it ends here: two edges that each hold the other for the
  // home of an EID would play ball with it (RFC 9300 section 8 leaves re-encapsulation to RTRs).
  if (in.where.is_plain_overlay())
    return drop(in.frame, drop_reason::no_route);
  encapsulate_to(in, route->rloc, header);
}

void edge_switch::deliver(arrival& in, port_id id) noexcept {
  const auto* port = ports_.find(id);
  if (port == nullptr)
    return drop(in.frame, drop_reason::unknown_port);
  if (in.parsed.ip_total_length > port->mtu)
    return drop_with_error(in, drop_reason::mtu_exceeded, icmp_error::packet_too_big, port->mtu, *port);
  if ((in.parsed.tcp_flags & tcp_flag::syn) != 0)
    clamp_mss(in.frame.data, in.parsed, port->mtu);
  if (const auto bad = set_vlan(in.frame, in.parsed, 0)) // a tag belongs to the link it came by
    return drop(in.frame, *bad);
  send(*port, next_hop(*port, in.parsed.tuple.destination), in.frame);
}

void edge_switch::encapsulate_to(arrival& in, const ip_address& rloc, const overlay_header& header) noexcept {
  const auto format = header.has_nsh ? tunnel_format::service_path : tunnel_format::plain;
  const auto* way = tunnels_.find_or_make(rloc, format, ports_);
  if (way == nullptr)
    return drop(in.frame, drop_reason::unknown_port);
  const auto room = room_for_inner(way->through, header);
  if ((in.parsed.tcp_flags & tcp_flag::syn) != 0)
    clamp_mss(in.frame.data, in.parsed, room);
  const auto bad = in.frame.is_traced() ? encapsulate_traced(in, *way, header)
                                        : encapsulate(in.frame, way->through, header, in.parsed);
  if (bad == drop_reason::mtu_exceeded) {
    const auto* from = in.where.is_port() ? ports_.find(in.where.port()) : nullptr;
    return drop_with_error(in, *bad, icmp_error::packet_too_big, room,
                           from != nullptr ? *from : *ports_.find(way->through.out_port));
  }
  if (bad)
    return drop(in.frame, *bad);
  send(*ports_.find(way->through.out_port), way->next_hop, in.frame);
}

/// With the packet's id among the metadata, or without when there is no room for that: tracing must not lose a packet.
drop_verdict edge_switch::encapsulate_traced(arrival& in, const tunnel_table::way& way,
                                             const overlay_header& header) noexcept {
  auto with_id = header;
  const auto wanted = with_id.trace = tracer_.carried(in.frame, header.has_nsh);
  auto bad = encapsulate(in.frame, way.through, with_id, in.parsed);
  if (bad && wanted != 0) {
    with_id.trace = 0;
    bad = encapsulate(in.frame, way.through, with_id, in.parsed);
  }
  if (!bad)
    tracer_.encapsulated(in.frame, way.rloc, with_id, wanted);
  return bad;
}

/// To the neighbour `hop` on the link of `port`, or into its hold until its MAC address is known.
void edge_switch::send(const port_config& port, const ip_address& hop, packet frame) noexcept {
  const auto [index, ask] = neighbours_.use(port.id, hop, now_ns_);
  if (index == none)
    return drop(frame, drop_reason::neighbour_unresolved);
  if (ask)
    solicit(neighbours_[index]);
  if (neighbours_[index].resolved) {
    set_ethernet_addresses(frame.data, neighbours_[index].mac, port.mac);
    if (frame.is_traced()) [[unlikely]]
      tracer_.sent(frame, port.id);
    return tx_.push(port.id, frame, *out_);
  }
  switch (neighbours_.hold(index, frame, now_ns_)) {
  case neighbour_table::holds::outcome::held:
    if (frame.is_traced()) [[unlikely]]
      tracer_.waits(frame, port.id, hop);
    return note_held();
  case neighbour_table::holds::outcome::hold_full: return drop(frame, drop_reason::held_flow_full);
  case neighbour_table::holds::outcome::buffer_full: return drop(frame, drop_reason::held_total_full);
  }
}

void edge_switch::learn(const port_config& port, const ip_address& address, const mac_address& mac,
                        bool create) noexcept {
  const auto index = neighbours_.learn(port.id, address, mac, now_ns_, create);
  if (index == none)
    return;
  while (auto waiting = neighbours_.take_held(index)) {
    set_ethernet_addresses(waiting->data, mac, port.mac);
    if (waiting->is_traced()) [[unlikely]]
      tracer_.sent(*waiting, port.id);
    tx_.push(port.id, *waiting, *out_);
  }
}

void edge_switch::solicit(const neighbour& wanted) noexcept {
  const auto* port = ports_.find(wanted.port);
  packet question;
  if (port == nullptr || !out_->allocate(question)) // the next interval tries again
    return;
  if (write_solicitation(question, wanted.address, own_address_for(*port, wanted.address), port->mac))
    return out_->release(question);
  tx_.push(port->id, question, *out_);
}

void edge_switch::drop_unresolved(std::uint32_t neighbour) noexcept {
  while (const auto waiting = neighbours_.take_held(neighbour))
    drop(*waiting, drop_reason::neighbour_unresolved);
}

} // namespace glocal::dataplane
