#include "dataplane/switch/edge_switch.hpp"

#include <algorithm>
#include <tuple>

namespace glocal::dataplane {
namespace {

std::uint64_t nanoseconds(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

/// Why a held packet goes nowhere although its flow was answered: the answer gives this edge no entry for it.
drop_reason unmatched(packet_in_reason asked) noexcept {
  switch (asked) {
  case packet_in_reason::reply_rule: return drop_reason::reply_unknown_flow;
  case packet_in_reason::vnf_miss: return drop_reason::vnf_unknown_flow;
  case packet_in_reason::path_miss: return drop_reason::unknown_path;
  case packet_in_reason::rule: break;
  }
  return drop_reason::decision_refused;
}

} // namespace

// --- Flows ----------------------------------------------------------------------------------------------------------

/// True when the entries of the flow say what they should now.
/// @param may_begin a packet that may begin a connection.
bool edge_switch::is_fresh(std::uint32_t index, bool may_begin) const noexcept {
  const auto& known = flows_[index];
  switch (known.what) {
  case flow::kind::refused: return now_ns_ - known.last_used_ns < flows_.about(index).idle_ns;
  case flow::kind::on_path:
    return known.path_generation == paths_[known.path_slot].generation && known.eid_generation == eid_generation_;
  case flow::kind::by_eid:
    // New rules leave an established connection where it is: a stateful function would not know it.
    return known.eid_generation == eid_generation_ && (known.rules_generation == rules_generation_ || !may_begin);
  case flow::kind::pending:
  case flow::kind::free: break;
  }
  return true;
}

/// As is_fresh(); if not, the flow was brought up to date or ended, and the caller looks again.
bool edge_switch::is_current(std::uint32_t index, const arrival& in) noexcept {
  auto& flow = flows_[index];
  if (is_fresh(index, may_begin_connection(in.parsed.tuple.protocol, in.parsed.tcp_flags))) [[likely]]
    return true;
  if (flow.what == flow::kind::on_path) {
    counters_.flows_resteered.add();
    flows_.clear_entries(index);
    displaced_holds displaced;
    if (!program(index, displaced))
      end_flow(index, removal::evicted);
    release(displaced);
  } else
    flows_.remove(index);
  return false;
}

void edge_switch::touch(std::uint32_t index, std::uint32_t ip_bytes, std::uint8_t tcp_flags, direction way) noexcept {
  auto& used = flows_[index];
  used.last_used_ns = now_ns_;
  ++used.packets;
  used.bytes += ip_bytes;
  if (tcp_flags == 0) // no TCP, or nothing said
    return;
  const bool was_closed = used.is_closed();
  if ((tcp_flags & tcp_flag::rst) != 0)
    used.closed = flow::both_closed;
  else if ((tcp_flags & tcp_flag::fin) != 0)
    used.closed = static_cast<std::uint8_t>(used.closed | 1u << static_cast<unsigned>(way));
  else if (may_begin_connection(ip_protocol::tcp, tcp_flags)) // the tuple is used again (RFC 9293 section 3.6.1)
    used.closed = 0;
  if (used.is_closed() && !was_closed)
    flows_.schedule(index, now_ns_ + nanoseconds(config_.closed_linger));
}

/// A packet sets out on a path.
void edge_switch::count_entry(std::uint32_t ip_bytes, std::uint16_t account, direction way) noexcept {
  auto& counted = counters_.paths[account];
  counted.packets[static_cast<std::size_t>(way)].add();
  counted.bytes[static_cast<std::size_t>(way)].add(ip_bytes);
}

/// The flow of `order`, made, moved to the path or just found; `none` when the table is full.
std::uint32_t edge_switch::install(const install_flow& order, std::uint32_t path_slot,
                                   displaced_holds& displaced) noexcept {
  auto index = flows_.find_connection(order.tenant, order.forward);
  if (index == none) {
    index = make_flow(flow::kind::on_path, order.tenant, order.forward);
    if (index == none)
      return none;
    flows_.about(index).idle_ns = nanoseconds(config_.idle_timeout);
    if (!flows_.name_connection(index)) {
      flows_.remove(index);
      return none;
    }
  }
  auto& flow = flows_[index];
  auto& identity = flows_.about(index);
  const bool is_there =
      flow.what == flow::kind::on_path && flow.path_slot == path_slot && identity.forward == order.forward;
  // At the edge that decided, only the agent's word moves a flow; a packet that says otherwise is late.
  if (!is_there && identity.owner && !order.owner)
    return index;
  identity.owner = identity.owner || order.owner;
  if (identity.owner)
    flows_.count_on(index, paths_[path_slot].account);
  if (order.cookie != 0)
    identity.cookie = order.cookie;
  if (order.idle_timeout.count() > 0)
    identity.idle_ns = nanoseconds(order.idle_timeout);
  if (order.hard_timeout.count() > 0)
    identity.hard_ns = nanoseconds(order.hard_timeout);
  flows_.schedule(index);
  if (is_there && flow.path_generation == paths_[path_slot].generation && flow.eid_generation == eid_generation_)
    return index;

  flows_.clear_entries(index); // of the direction it had
  flow.what = flow::kind::on_path;
  flow.path_slot = path_slot;
  identity.forward = order.forward;
  identity.path = order.path;
  if (!program(index, displaced)) {
    end_flow(index, removal::evicted);
    return none;
  }
  flows_.save(index);
  counters_.flows_installed.add();
  return index;
}

/// Enters what flow_program says. Pending and refused flows give way. False when the table is full.
bool edge_switch::program(std::uint32_t index, displaced_holds& displaced) noexcept {
  auto& flow = flows_[index];
  const auto& [forward, tenant] = std::tie(flows_.about(index).forward, flows_.about(index).tenant);
  const auto& slot = paths_[flow.path_slot];
  flow.path_generation = slot.generation;
  flow.eid_generation = eid_generation_;
  flow.routes = {eids_->lookup(tenant, forward.destination), eids_->lookup(tenant, forward.source)};
  const auto reverse_tuple = forward.reversed();
  const auto wanted = flow_program::make(tenant, forward, slot.program, *eids_);
  for (const auto& entry : wanted.entries()) {
    const flow_key key{entry.where, entry.step.way == direction::forward ? forward : reverse_tuple};
    if (const auto standing = flows_.find(key)) {
      const auto other = standing.flow;
      if (flows_[other].what == flow::kind::pending)
        displaced.slots[displaced.count++] = flows_[other].hold;
      flows_.remove(other);
    }
    if (!flows_.add_entry(index, entry.where, entry.step))
      return false;
  }
  return true;
}

/// Traffic of no service: an entry of its own, and on by destination EID. A full table costs it only the entry.
void edge_switch::install_by_eid(arrival& in) noexcept {
  const auto tenant = in.where.tenant();
  const auto& tuple = in.parsed.tuple;
  const auto* route = eids_->lookup(tenant, tuple.destination);
  if (!config_.entries_by_eid)
    return route_by_eid(in, route, {.instance_id = tenant});
  auto index = flows_.find_connection(tenant, tuple);
  if (index != none && flows_[index].what == flow::kind::by_eid && flows_[index].eid_generation != eid_generation_) {
    flows_.remove(index); // the other direction's source is to be checked again as well
    index = none;
  }
  if (index == none && (index = make_flow(flow::kind::by_eid, tenant, tuple)) != none) {
    auto& made = flows_[index];
    made.eid_generation = eid_generation_;
    made.rules_generation = rules_generation_;
    made.routes = {route, eids_->lookup(tenant, tuple.source)};
    flows_.about(index).idle_ns = nanoseconds(config_.idle_timeout);
    flows_.schedule(index);
    if (flows_.name_connection(index))
      flows_.save(index);
    else {
      flows_.remove(index);
      index = none;
    }
  }
  if (index != none && flows_[index].what == flow::kind::by_eid) {
    const auto way = flows_.about(index).forward == tuple ? direction::forward : direction::reverse;
    touch(index, in, way);
    (void)flows_.add_entry(index, in.where, {way, 0});
    if (in.frame.is_traced()) [[unlikely]]
      tracer_.installed(in.frame, entry_kind::by_eid);
  }
  route_by_eid(in, route, {.instance_id = tenant});
}

/// Ends the flow, and tells the agent if it owns it. While there is no room to tell, the flow stays without entries and
/// it is tried again every tick: an end that is never told would leave its record in the store.
void edge_switch::end_flow(std::uint32_t index, removal why) noexcept {
  const auto& flow = flows_[index];
  auto& identity = flows_.about(index);
  if (identity.owner &&
      !border_.emit(flow_removed{identity.tenant, identity.forward, identity.cookie, flow.packets, flow.bytes, why})) {
    counters_.events_lost.add();
    flows_.clear_entries(index);
    identity.ends_as = why;
    identity.idle_ns = 0;
    flows_.schedule(index);
    return;
  }
  if (flow.what == flow::kind::on_path || flow.what == flow::kind::by_eid)
    counters_.flows_removed[static_cast<std::size_t>(why)].add();
  flows_.remove(index);
}

/// A flow without entries; of a full table another gives way if the configuration says so. `none` when there is no
/// room.
std::uint32_t edge_switch::make_flow(flow::kind what, std::uint32_t tenant, const five_tuple& forward) noexcept {
  const auto index = flows_.create(what, tenant, forward, now_ns_);
  if (index != none || config_.when_full == switch_config::eviction::refuse)
    return index;
  const auto victim = flows_.find_victim();
  if (victim == none)
    return none;
  end_flow(victim, removal::evicted);
  return flows_.create(what, tenant, forward, now_ns_);
}

/// Programs the flow this packet is of, if it is one the flow file knew. True when its entries are there now.
bool edge_switch::revive(const arrival& in) noexcept {
  const auto index = flows_.find_connection(in.where.tenant(), in.parsed.tuple);
  if (index == none || !flows_.about(index).is_restored ||
      eid_generation_ == 0) // without EIDs nothing can be programmed
    return false;
  auto& flow = flows_[index];
  if (flow.what == flow::kind::by_eid) {
    const auto* port = in.where.is_port() ? ports_.find(in.where.port()) : nullptr;
    if (in.where.is_path() || (port != nullptr && (port->kind != port_kind::attachment || !is_source_attached(in))))
      return false;
    const auto& [forward, tenant] = std::tie(flows_.about(index).forward, flows_.about(index).tenant);
    flow.eid_generation = eid_generation_;
    flow.rules_generation = rules_generation_;
    flow.routes = {eids_->lookup(tenant, forward.destination), eids_->lookup(tenant, forward.source)};
    const auto way = forward == in.parsed.tuple ? direction::forward : direction::reverse;
    if (!flows_.add_entry(index, in.where, {way, 0}))
      return false;
  } else {
    flow.path_generation = paths_[flow.path_slot].generation - 1; // out of date, so that it is programmed
    if (is_current(index, in) || flows_[index].what != flow::kind::on_path)
      return false;
  }
  flows_.about(index).is_restored = false;
  counters_.flows_waiting.decrement();
  return true;
}

/// The agent resolves and watches a path it is told of in this way, or has it removed.
void edge_switch::tell_restored_paths() noexcept {
  while (!restored_paths_.empty()) {
    packet_in news;
    news.reason = packet_in_reason::path_miss;
    news.spi = spi_of(restored_paths_.back(), direction::forward);
    news.hold = no_hold;
    news.received_ns = now_ns_;
    if (!border_.emit(news))
      return;
    restored_paths_.pop_back();
  }
}

void edge_switch::end_due_flows() noexcept {
  flows_.timers().expire(now_ns_, config_.timers_at_once, [this](std::uint32_t index) {
    const auto& flow = flows_[index];
    const auto& identity = flows_.about(index);
    const auto linger = nanoseconds(config_.closed_linger);
    const bool is_closing = flow.is_closed() && linger < identity.idle_ns;
    const bool is_over = identity.hard_ns != 0 && now_ns_ - identity.created_ns >= identity.hard_ns;
    if (now_ns_ - flow.last_used_ns >= (is_closing ? linger : identity.idle_ns))
      end_flow(index, is_closing ? removal::closed : identity.ends_as);
    else if (is_over)
      end_flow(index, removal::hard);
    else
      flows_.schedule(index, is_closing ? flow.last_used_ns + linger : UINT64_MAX);
  });
}

// --- Holds ----------------------------------------------------------------------------------------------------------

void edge_switch::note_held() noexcept {
  const auto held = holds_.items() + neighbours_.held();
  if (held > counters_.held_peak.value())
    counters_.held_peak.set(held);
}

/// Policing: before anything is taken for the flow, so that what is refused costs nobody anything.
drop_verdict edge_switch::refused_question(port_id from) noexcept {
  if (from >= max_ports)
    return {};
  auto& budget = budgets_[from];
  if (budget.holds > holds_.free_holds())
    return drop_reason::held_port_full;
  const auto burst = nanoseconds(config_.packet_in_burst);
  if (!budget.packet_ins.take(token_rate::of(config_.packet_ins_per_port, burst), now_ns_) ||
      !budgets_[budget.tenant].tenant_packet_ins.take(token_rate::of(config_.packet_ins_per_tenant, burst), now_ns_))
    return drop_reason::packet_in_policed;
  return {};
}

void edge_switch::ask_agent(arrival& in, packet_in_reason reason, std::uint64_t rule_cookie) noexcept {
  if (const auto refused = refused_question(in.where.port()))
    return drop(in.frame, *refused);
  const auto flow = make_flow(flow::kind::pending, in.where.tenant(), in.parsed.tuple);
  if (flow == none)
    return drop(in.frame, drop_reason::table_full);
  if (!flows_.add_entry(flow, in.where, {})) {
    flows_.remove(flow);
    return drop(in.frame, drop_reason::table_full);
  }
  const auto hold = holds_.open({reason, flow, in.where.port()}, in.received_ns, config_.held_packets_per_flow);
  flows_[flow].hold = hold;
  if (hold != none && in.where.is_port())
    ++budgets_[in.where.port()].holds;
  if (!raise(hold, in, rule_cookie))
    flows_.remove(flow);
}

void edge_switch::ask_agent_for_path(arrival& in, std::uint32_t path) noexcept {
  const auto slot = paths_.create(path);
  if (slot == none)
    return drop(in.frame, drop_reason::table_full);
  const auto hold = holds_.open({packet_in_reason::path_miss, slot}, in.received_ns, config_.held_packets_per_path);
  paths_[slot].what = path_table::state::pending;
  paths_[slot].hold = hold;
  if (!raise(hold, in, 0))
    paths_.remove(slot);
}

/// Holds the packet as the first of `hold` and tells the agent. False when that can't be: the packet is dropped then
/// and the hold closed.
bool edge_switch::raise(std::uint32_t hold, arrival& in, std::uint64_t rule_cookie) noexcept {
  if (hold == none) {
    drop(in.frame, drop_reason::held_total_full);
    return false;
  }
  auto refused = drop_verdict{};
  if (holds_.append(hold, in) != flow_holds::outcome::held)
    refused = drop_reason::held_total_full;
  else {
    packet_in news;
    news.reason = holds_.subject(hold).reason;
    news.in_port = in.where.port();
    news.tenant = in.where.tenant();
    news.tuple = in.parsed.tuple;
    news.spi = in.where.is_path() ? in.where.spi() : 0;
    news.si = in.where.is_path() ? in.where.si() : std::uint8_t{0};
    news.rule_cookie = rule_cookie;
    news.hold = holds_.id(hold);
    news.received_ns = in.received_ns;
    news.trace = in.frame.trace();
    if (in.frame.is_traced()) [[unlikely]]
      tracer_.asked(in.frame, news.reason, news.hold);
    if (border_.emit(news)) {
      counters_.packet_ins.add();
      note_held();
      return true;
    }
    counters_.events_lost.add();
    (void)holds_.take(hold);
    refused = drop_reason::packet_in_ring_full;
  }
  close_hold(hold);
  drop(in.frame, *refused);
  return false;
}

void edge_switch::close_hold(std::uint32_t hold) noexcept {
  if (const auto port = holds_.subject(hold).port; port != no_port)
    --budgets_[port].holds;
  holds_.close(hold);
}

void edge_switch::hold_behind(std::uint32_t hold, arrival& in) noexcept {
  switch (holds_.append(hold, in)) {
  case flow_holds::outcome::held:
    if (in.frame.is_traced()) [[unlikely]]
      tracer_.held(in.frame);
    return note_held();
  case flow_holds::outcome::hold_full: return drop(in.frame, drop_reason::held_flow_full);
  case flow_holds::outcome::buffer_full: return drop(in.frame, drop_reason::held_total_full);
  }
}

/// Lets what is held run again, in order, and closes the hold. What still finds no entry is dropped, and so is what
/// follows it for a while: a second packet-in would get the same answer.
void edge_switch::release(std::uint32_t hold) noexcept {
  const auto reason = holds_.subject(hold).reason;
  bool is_first = true;
  while (auto in = holds_.take(hold)) {
    if (std::exchange(is_first, false))
      counters_.first_packet_delay.record(now_ns_ - in->received_ns);
    if (in->frame.is_traced()) [[unlikely]]
      tracer_.released(in->frame, now_ns_ - in->received_ns, false);
    if (follow_entry(*in))
      continue;
    const auto slot = in->where.is_path() ? paths_.find(path_of_spi(in->where.spi())) : none;
    if (slot != none && paths_[slot].what == path_table::state::known) {
      miss(*in);
      continue;
    }
    drop(in->frame, unmatched(reason));
    refuse_flow(in->key(), unmatched(reason));
  }
  close_hold(hold);
}

void edge_switch::release(const displaced_holds& displaced) noexcept {
  for (std::size_t i = 0; i < displaced.count; ++i)
    release(displaced.slots[i]);
}

void edge_switch::drop_held(std::uint32_t hold, drop_reason reason) noexcept {
  while (const auto in = holds_.take(hold))
    drop(in->frame, reason);
  close_hold(hold);
}

/// Makes the flow of `key` be dropped without a question for `refusal_linger`. Without room it is asked about again.
void edge_switch::refuse_flow(const flow_key& key, drop_reason reason) noexcept {
  const auto index = make_flow(flow::kind::refused, key.where.tenant(), key.tuple);
  if (index == none)
    return;
  auto& refused = flows_.about(index);
  refused.refusal = reason;
  refused.idle_ns = nanoseconds(config_.refusal_linger);
  if (flows_.add_entry(index, key.where, {}))
    flows_.schedule(index);
  else
    flows_.remove(index);
}

} // namespace glocal::dataplane
