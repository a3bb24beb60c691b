#include "dataplane/switch/edge_switch.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

std::uint64_t nanoseconds(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

/// TCP tells where a connection begins; of other protocols every packet may be a beginning.
bool may_begin_connection(const parsed_packet& parsed) noexcept {
  return parsed.tuple.protocol != ip_protocol::tcp ||
         (parsed.tcp_flags & (tcp_flag::syn | tcp_flag::ack)) == tcp_flag::syn;
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
bool edge_switch::is_fresh(const flow& known, const arrival& in) const noexcept {
  switch (known.what) {
  case flow::kind::refused: return now_ns_ - known.last_used_ns < known.idle_ns;
  case flow::kind::on_path:
    return known.path_generation == paths_[known.path_slot].generation && known.eid_generation == eid_generation_;
  case flow::kind::by_eid:
    // New rules leave an established connection where it is: a stateful function would not know it.
    return known.eid_generation == eid_generation_ &&
           (known.rules_generation == rules_generation_ || !may_begin_connection(in.parsed));
  case flow::kind::pending:
  case flow::kind::free: break;
  }
  return true;
}

/// As is_fresh(); if not, the flow was brought up to date or ended, and the caller looks again.
bool edge_switch::is_current(std::uint32_t index, const arrival& in) noexcept {
  auto& flow = flows_[index];
  if (is_fresh(flow, in)) [[likely]]
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

void edge_switch::touch(flow& used, const arrival& in, direction way) noexcept {
  used.last_used_ns = now_ns_;
  ++used.packets;
  used.bytes += in.parsed.ip_total_length;
  if (in.parsed.tuple.protocol != ip_protocol::tcp)
    return;
  if ((in.parsed.tcp_flags & tcp_flag::rst) != 0)
    used.forward_closed = used.reverse_closed = true;
  else if ((in.parsed.tcp_flags & tcp_flag::fin) != 0)
    (way == direction::forward ? used.forward_closed : used.reverse_closed) = true;
  else if (may_begin_connection(in.parsed)) // the tuple is used again (RFC 9293 section 3.6.1)
    used.forward_closed = used.reverse_closed = false;
}

/// A packet sets out on a path.
void edge_switch::count_entry(const arrival& in, std::uint16_t account, direction way) noexcept {
  auto& counted = counters_.paths[account];
  counted.packets[static_cast<std::size_t>(way)].add();
  counted.bytes[static_cast<std::size_t>(way)].add(in.parsed.ip_total_length);
}

/// The flow of `order`, made, moved to the path or just found; `none` when the table is full.
std::uint32_t edge_switch::install(const install_flow& order, std::uint32_t path_slot,
                                   displaced_holds& displaced) noexcept {
  auto index = flows_.find_connection(order.tenant, order.forward);
  if (index == none) {
    index = flows_.create(flow::kind::on_path, order.tenant, order.forward);
    if (index == none)
      return none;
    flows_[index].path_slot = none;
    flows_[index].last_used_ns = now_ns_;
    flows_[index].idle_ns = nanoseconds(config_.idle_timeout);
    if (!flows_.name_connection(index)) {
      flows_.remove(index);
      return none;
    }
  }
  auto& flow = flows_[index];
  const bool is_there =
      flow.what == flow::kind::on_path && flow.path_slot == path_slot && flow.forward == order.forward;
  // At the edge that decided, only the agent's word moves a flow; a packet that says otherwise is late.
  if (!is_there && flow.owner && !order.owner)
    return index;
  flow.owner = flow.owner || order.owner;
  if (flow.owner)
    flows_.count_on(index, paths_[path_slot].account);
  if (order.cookie != 0)
    flow.cookie = order.cookie;
  if (order.idle_timeout.count() > 0)
    flow.idle_ns = nanoseconds(order.idle_timeout);
  if (is_there && flow.path_generation == paths_[path_slot].generation && flow.eid_generation == eid_generation_)
    return index;

  flow.what = flow::kind::on_path;
  flow.path_slot = path_slot;
  flow.forward = order.forward;
  flows_.clear_entries(index);
  if (!program(index, displaced)) {
    end_flow(index, removal::evicted);
    return none;
  }
  counters_.flows_installed.add();
  return index;
}

/// Enters what flow_program says. Pending and refused flows give way. False when the table is full.
bool edge_switch::program(std::uint32_t index, displaced_holds& displaced) noexcept {
  auto& flow = flows_[index];
  const auto& slot = paths_[flow.path_slot];
  flow.path_generation = slot.generation;
  flow.eid_generation = eid_generation_;
  flow.routes = {eids_->lookup(flow.tenant, flow.forward.destination), eids_->lookup(flow.tenant, flow.forward.source)};
  const auto reverse_tuple = flow.forward.reversed();
  const auto wanted = flow_program::make(flow.tenant, flow.forward, slot.program, *eids_);
  for (const auto& entry : wanted.entries()) {
    const flow_key key{entry.where, entry.step.way == direction::forward ? flow.forward : reverse_tuple};
    if (const auto* standing = flows_.find(key)) {
      const auto other = standing->flow;
      if (flows_[other].what == flow::kind::pending)
        displaced.slots[displaced.count++] = flows_[other].hold;
      flows_.remove(other);
    }
    if (!flows_.add_entry(index, key, entry.step))
      return false;
  }
  return true;
}

/// Traffic of no service: an entry of its own, and on by destination EID. A full table costs it only the entry.
void edge_switch::install_by_eid(arrival& in) noexcept {
  const auto tenant = in.where.tenant();
  const auto& tuple = in.parsed.tuple;
  const auto* route = eids_->lookup(tenant, tuple.destination);
  auto index = flows_.find_connection(tenant, tuple);
  if (index != none && flows_[index].what == flow::kind::by_eid && flows_[index].eid_generation != eid_generation_) {
    flows_.remove(index); // the other direction's source is to be checked again as well
    index = none;
  }
  if (index == none && (index = flows_.create(flow::kind::by_eid, tenant, tuple)) != none) {
    auto& made = flows_[index];
    made.eid_generation = eid_generation_;
    made.rules_generation = rules_generation_;
    made.routes = {route, eids_->lookup(tenant, tuple.source)};
    made.idle_ns = nanoseconds(config_.idle_timeout);
    made.last_used_ns = now_ns_;
    if (!flows_.name_connection(index)) {
      flows_.remove(index);
      index = none;
    }
  }
  if (index != none && flows_[index].what == flow::kind::by_eid) {
    auto& flow = flows_[index];
    const auto way = flow.forward == tuple ? direction::forward : direction::reverse;
    touch(flow, in, way);
    (void)flows_.add_entry(index, in.key(), {way, 0});
    if (in.frame.is_traced()) [[unlikely]]
      tracer_.installed(in.frame, entry_kind::by_eid);
  }
  route_by_eid(in, route, {.instance_id = tenant});
}

/// Ends the flow, and tells the agent if it owns it. While there is no room to tell, the flow stays without entries and
/// the sweep tries again: an end that is never told would leave its record in the store.
void edge_switch::end_flow(std::uint32_t index, removal why) noexcept {
  auto& flow = flows_[index];
  if (flow.owner &&
      !border_.emit(flow_removed{flow.tenant, flow.forward, flow.cookie, flow.packets, flow.bytes, why})) {
    counters_.events_lost.add();
    flows_.clear_entries(index);
    flow.ends_as = why;
    flow.idle_ns = 0;
    return;
  }
  if (flow.what == flow::kind::on_path || flow.what == flow::kind::by_eid)
    counters_.flows_removed[static_cast<std::size_t>(why)].add();
  flows_.remove(index);
}

void edge_switch::sweep() noexcept {
  if (now_ns_ < next_sweep_ns_)
    return;
  const auto linger = nanoseconds(config_.closed_linger);
  const auto end = std::min<std::size_t>(sweep_cursor_ + config_.sweep_increment, flows_.high_water());
  for (; sweep_cursor_ < end; ++sweep_cursor_) {
    const auto& flow = flows_[sweep_cursor_];
    if (flow.what == flow::kind::free || flow.what == flow::kind::pending)
      continue;
    const bool is_closing = flow.is_closed() && linger < flow.idle_ns;
    if (now_ns_ - flow.last_used_ns >= (is_closing ? linger : flow.idle_ns))
      end_flow(sweep_cursor_, is_closing ? removal::closed : flow.ends_as);
  }
  if (sweep_cursor_ >= flows_.high_water()) {
    sweep_cursor_ = 0;
    next_sweep_ns_ = now_ns_ + nanoseconds(config_.sweep_period);
  }
}

// --- Holds ----------------------------------------------------------------------------------------------------------

void edge_switch::note_held() noexcept {
  const auto held = holds_.items() + neighbours_.held();
  if (held > counters_.held_peak.value())
    counters_.held_peak.set(held);
}

void edge_switch::ask_agent(arrival& in, packet_in_reason reason, std::uint64_t rule_cookie) noexcept {
  const auto flow = flows_.create(flow::kind::pending, in.where.tenant(), in.parsed.tuple);
  if (flow == none)
    return drop(in.frame, drop_reason::table_full);
  if (!flows_.add_entry(flow, in.key(), {})) {
    flows_.remove(flow);
    return drop(in.frame, drop_reason::table_full);
  }
  const auto hold = holds_.open({reason, flow}, in.received_ns, config_.held_packets_per_flow);
  flows_[flow].hold = hold;
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
  holds_.close(hold);
  drop(in.frame, *refused);
  return false;
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
  holds_.close(hold);
}

void edge_switch::release(const displaced_holds& displaced) noexcept {
  for (std::size_t i = 0; i < displaced.count; ++i)
    release(displaced.slots[i]);
}

void edge_switch::drop_held(std::uint32_t hold, drop_reason reason) noexcept {
  while (const auto in = holds_.take(hold))
    drop(in->frame, reason);
  holds_.close(hold);
}

/// Makes the flow of `key` be dropped without a question for `refusal_linger`. Without room it is asked about again.
void edge_switch::refuse_flow(const flow_key& key, drop_reason reason) noexcept {
  const auto index = flows_.create(flow::kind::refused, key.where.tenant(), key.tuple);
  if (index == none)
    return;
  auto& refused = flows_[index];
  refused.refusal = reason;
  refused.last_used_ns = now_ns_;
  refused.idle_ns = nanoseconds(config_.refusal_linger);
  if (!flows_.add_entry(index, key, {}))
    flows_.remove(index);
}

} // namespace glocal::dataplane
