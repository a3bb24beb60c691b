#include "dataplane/switch/edge_switch.hpp"

// ICMP errors. One of others takes the way of the flow it is about, which parse() found in its quotation: by that
// flow's entries, or, of a connection of no service, to its destination. It begins nothing. Ours go to the source of
// what can't be forwarded: too long for where it must go, or at the end of its hops.

namespace glocal::dataplane {

/// An error from an attachment about a flow without an entry here: the first packet in its direction, as "port
/// unreachable" mostly is.
void edge_switch::miss_of_error(arrival& in, const port_config& port) noexcept {
  if (!is_source_attached(in))
    return drop(in.frame, drop_reason::spoofed_source);
  const auto known = flows_.find_connection(port.tenant, in.parsed.tuple);
  if (known == none || flows_[known].what != flow::kind::by_eid)
    return drop(in.frame, drop_reason::error_unknown_flow);
  route_by_eid(in, eids_->lookup(port.tenant, in.parsed.tuple.destination), {.instance_id = port.tenant});
}

/// Drops the packet, and tells its source why if that may be told and was not told too often.
/// @param mtu of packet_too_big: bytes that fit. @param at the port that is in the way, whose address the error has.
void edge_switch::drop_with_error(arrival& in, drop_reason reason, icmp_error what, std::size_t mtu,
                                  const port_config& at) noexcept {
  const auto tenant = in.where.tenant();
  const auto source = in.parsed.tuple.source;
  const auto* back = eids_->lookup(tenant, source);
  const auto* came_by = in.where.is_port() ? ports_.find(in.where.port()) : nullptr;
  // Whoever claims another's address must not have him told.
  const bool is_spoofed =
      came_by != nullptr && came_by->kind == port_kind::attachment && (back == nullptr || back->port != came_by->id);
  const auto from = own_address_for(at, source);
  const bool has_address = from.family == source.family && !from.is_unspecified();
  // Without "don't fragment" IPv4's sources expect no answer, and do nothing about it (RFC 1191 section 3).
  const bool is_wanted = what != icmp_error::packet_too_big || in.parsed.dont_fragment;
  const auto rate =
      token_rate::of(config_.icmp_errors_per_port, static_cast<std::uint64_t>(config_.icmp_error_burst.count()));
  if (back == nullptr || is_spoofed || !has_address || !is_wanted || !may_be_reported(in.parsed) ||
      destination_mac(in.frame.data).is_multicast() || !budgets_[at.id].errors.take(rate, now_ns_))
    return drop(in.frame, reason);
  counters_.drops[static_cast<std::size_t>(reason)].add();
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.dropped(in.frame, reason);
  in.frame.set_trace(0); // the error is another packet
  arrival answer;
  answer.frame = in.frame;
  answer.where = place::port(tenant, at.id);
  answer.received_ns = now_ns_;
  if (write_icmp_error(answer.frame, in.parsed, what, static_cast<std::uint16_t>(mtu), from) ||
      parse(answer.frame.view(), answer.parsed))
    return out_->release(answer.frame);
  counters_.errors_sent.add();
  route_by_eid(answer, back, {.instance_id = tenant});
}

} // namespace glocal::dataplane
