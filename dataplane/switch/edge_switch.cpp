#include "dataplane/switch/edge_switch.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

std::uint64_t nanoseconds(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

} // namespace

edge_switch::edge_switch(const switch_config& config, lcore_channel& border, std::uint64_t now_ns)
    : config_{config}, border_{border}, counters_{border.mutable_counters()},
      file_{config.file, config.flows, config.paths}, paths_{config.paths}, flows_{config, counters_, file_},
      holds_{{.holds = config.holds, .items = config.held_packets, .timeout_ns = nanoseconds(config.hold_timeout)}},
      neighbours_{config}, tunnels_{config.tunnels}, tracer_{config.trace_clock, border}, tx_{counters_, tracer_},
      eids_{eid_table::make({}).value()} {
  for (std::uint32_t i = 0; i < config.paths && file_.cold() == cold_start::no; ++i)
    if (auto stored = file_.read_path(i)) {
      // Never a higher slot than it had, so the record there has been read; a crash leaves it twice, not lost.
      const auto slot = paths_.find(stored->program.id) == none ? paths_.create(stored->program.id) : none;
      if (slot != none && slot != i)
        file_.write_path(slot, stored->program, stored->account);
      if (slot != i)
        file_.erase_path(i);
      if (slot == none)
        continue;
      paths_[slot].what = path_table::state::known;
      paths_[slot].account = stored->account;
      ++paths_[slot].generation; // no flow is programmed for it yet
      paths_[slot].program = std::move(stored->program);
      restored_paths_.push_back(paths_[slot].program.id);
    }
  const auto [taken, left_out] = flows_.restore(now_ns, [this](std::uint32_t id) { return paths_.find(id); });
  counters_.flows_restored.add(taken);
  counters_.flows_forgotten.add(left_out);
  counters_.flows_now.set(flows_.size());
}

void edge_switch::begin(std::uint64_t now_ns, tx_sink& out) noexcept {
  now_ns_ = now_ns;
  tracer_.set_time(now_ns);
  out_ = &out;
}

void edge_switch::finish() noexcept {
  tx_.flush(*out_);
  border_.publish();
  counters_.held_now.set(holds_.items() + neighbours_.held());
  counters_.flows_now.set(flows_.size());
}

void edge_switch::process_burst(std::span<const packet> burst, std::uint64_t now_ns, tx_sink& out) noexcept {
  begin(now_ns, out);
  for (; burst.size() > burst_packets; burst = burst.subspan(burst_packets))
    process_together(burst.first(burst_packets));
  process_together(burst);
  finish();
}

void edge_switch::process_together(std::span<const packet> burst) noexcept {
  for (const auto& frame : burst)
    __builtin_prefetch(frame.data);
  const bool has_short_way = config_.simple_lane && !tracer_.is_watching();
  std::size_t count = 0;
  for (const auto& frame : burst) {
    const auto* port = ports_.find(frame.in_port);
    if (port != nullptr) {
      counters_.ports[port->id].rx_packets.add();
      counters_.ports[port->id].rx_bytes.add(frame.length);
    }
    is_simple_[count] = has_short_way && port != nullptr && admit_simple(frame, simple_[count]);
    if (is_simple_[count]) {
      const auto& [in, ip, facts] = simple_[count];
      flows_.prepare(
          pack_v4(facts->where.word(), ip.source, ip.destination, ip.source_port, ip.destination_port, ip.protocol),
          keys_[count++]);
    } else if (admit(frame, arrivals_[count])) {
      keys_[count] = flows_.prepare(arrivals_[count].key());
      ++count;
    }
  }
  bool has_misses = false;
  for (std::size_t i = 0; i < count; ++i) {
    entries_[i] = flows_.find(keys_[i]);
    has_misses |= !entries_[i];
  }
  if (has_misses)
    classify_misses(count);
  const auto changes = flows_.changes();
  for (std::size_t i = 0; i < count; ++i) {
    // What an earlier packet changed may be this one's flow.
    const auto entry = flows_.changes() == changes ? entries_[i] : flows_.find(keys_[i]);
    const auto answer = has_misses ? answers_[i] : classifier_answer{};
    auto& in = arrivals_[i];
    if (is_simple_[i]) {
      auto& simple = simple_[i];
      if (entry ? forward_simple(simple, entry) : forward_simple_miss(simple, answer))
        continue;
      if (!admit(simple.frame, in))
        continue;
    }
    if (!follow_entry(in, entry))
      miss(in, answer);
  }
}

/// Asks the classifier once for all packets of the burst that will ask it.
void edge_switch::classify_misses(std::size_t count) noexcept {
  std::fill_n(answers_.begin(), count, classifier_answer{});
  if (rules_ == nullptr)
    return;
  std::array<packet_fields, max_classify_burst> fields;
  std::array<rule_id, max_classify_burst> matched;
  std::array<std::uint8_t, max_classify_burst> of;
  static_assert(max_classify_burst >= burst_packets);
  std::size_t asked = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (entries_[i])
      continue;
    if (is_simple_[i]) {
      const auto& [frame, ip, port] = simple_[i];
      if (port->kind != port_kind::attachment)
        continue;
      fields[asked] = {.source = ip_address::v4(ip.source),
                       .destination = ip_address::v4(ip.destination),
                       .source_port = ip.source_port,
                       .destination_port = ip.destination_port,
                       .in_port = frame.in_port,
                       .protocol = ip.protocol,
                       .dscp = static_cast<std::uint8_t>(ip.traffic_class >> 2),
                       .tcp_flags = ip.tcp_flags};
    } else {
      const auto& in = arrivals_[i];
      const auto* port = in.where.is_port() ? ports_.find(in.where.port()) : nullptr;
      if (port == nullptr || port->kind != port_kind::attachment)
        continue;
      fields[asked] = make_packet_fields(in.parsed, port->id);
    }
    of[asked++] = static_cast<std::uint8_t>(i);
  }
  if (asked == 0)
    return;
  rules_->lookup({fields.data(), asked}, {matched.data(), asked});
  for (std::size_t k = 0; k < asked; ++k)
    answers_[of[k]] = {true, matched[k]};
}

/// False when the packet is dropped or was for the edge itself.
bool edge_switch::admit(const packet& frame, arrival& in) noexcept {
  in = {};
  in.frame = frame;
  in.received_ns = now_ns_;
  const bool is_watched = tracer_.is_watching();
  if (is_watched) [[unlikely]]
    tracer_.meet(in.frame);
  const auto* port = ports_.find(frame.in_port);
  if (port == nullptr) {
    drop(in.frame, drop_reason::unknown_port);
    return false;
  }
  if (const auto bad = parse(frame.view(), in.parsed)) {
    drop(in.frame, *bad);
    return false;
  }
  if (is_watched) [[unlikely]]
    tracer_.examine(in.frame, in.parsed, *port);
  if (const auto bad = refused_station(*port, frame)) {
    drop(in.frame, *bad);
    return false;
  }
  return port->kind == port_kind::underlay ? admit_from_underlay(*port, in) : admit_from_host(*port, in);
}

drop_verdict edge_switch::refused_station(const port_config& port, const packet& frame) const noexcept {
  const auto station = destination_mac(frame.data);
  return station != port.mac && !station.is_multicast() ? drop_verdict{drop_reason::not_for_us} : drop_verdict{};
}

void edge_switch::drop(const packet& gone, drop_reason reason) noexcept {
  counters_.drops[static_cast<std::size_t>(reason)].add();
  if (gone.is_traced()) [[unlikely]]
    tracer_.dropped(gone, reason);
  out_->release(gone);
}

/// Trust (DESIGN section 2): the overlay is what underlay ports carry between RLOCs we know, and nothing else.
bool edge_switch::admit_from_underlay(const port_config& port, arrival& in) noexcept {
  if (do_local_duty(port, in))
    return false;
  if (!is_overlay(in.parsed) || !owns(port, in.parsed.tuple.destination)) {
    // Routers chatter (MLD, router solicitations): told apart from what somebody aims at us.
    drop(in.frame,
         in.parsed.tuple.destination.is_multicast() ? drop_reason::multicast : drop_reason::unexpected_on_underlay);
    return false;
  }
  if (!std::ranges::binary_search(known_rlocs_, in.parsed.tuple.source)) {
    drop(in.frame, drop_reason::unknown_rloc);
    return false;
  }
  const auto from = in.parsed.tuple.source;
  overlay_header header;
  auto bad = decapsulate(in.frame, in.parsed, header);
  if (!bad)
    bad = parse(in.frame.view(), in.parsed);
  if (bad) {
    drop(in.frame, *bad);
    return false;
  }
  if (header.trace != 0 || tracer_.is_watching()) [[unlikely]]
    tracer_.decapsulated(in.frame, in.parsed, header, from);
  in.nsh_ttl = header.nsh_ttl;
  in.where = header.has_nsh ? place::path(header.instance_id, header.spi, header.si)
                            : place::plain_overlay(header.instance_id);
  return true;
}

/// Attachments and VNF arms: the edge is a router to what is behind them.
bool edge_switch::admit_from_host(const port_config& port, arrival& in) noexcept {
  if (do_local_duty(port, in))
    return false;
  auto bad = refused_host(port, in);
  in.where = place::port(port.tenant, port.id);
  if (!bad && port.kind == port_kind::attachment) // once on the whole way: VNFs take their own
    bad = decrement_ttl(in.frame.data, in.parsed);
  if (bad == drop_reason::ttl_expired)
    drop_with_error(in, *bad, icmp_error::time_exceeded, 0, port);
  else if (bad)
    drop(in.frame, *bad);
  return !bad;
}

/// What a packet of a host or a function may not be, whatever flow it is of.
drop_verdict edge_switch::refused_host(const port_config& port, const arrival& in) const noexcept {
  const auto& destination = in.parsed.tuple.destination;
  if (is_overlay(in.parsed) && (owns(port, destination) || std::ranges::binary_search(known_rlocs_, destination)))
    return drop_reason::not_underlay_port;
  if (owns(port, destination))
    return drop_reason::not_for_us;
  if (destination.is_multicast() || destination_mac(in.frame.data).is_multicast())
    return drop_reason::multicast;
  return {};
}

bool edge_switch::is_our_echo(const port_config& port, const arrival& in) noexcept {
  return is_echo_request(in.parsed) && owns(port, in.parsed.tuple.destination) &&
         !destination_mac(in.frame.data).is_multicast();
}

/// ARP, ND and echo for the edge's own addresses. True when the packet was one of these and is dealt with.
bool edge_switch::do_local_duty(const port_config& port, arrival& in) noexcept {
  if (is_neighbour_message(in.parsed)) {
    answer_neighbour(port, in);
    return true;
  }
  if (!is_our_echo(port, in))
    return false;
  if (is_martian_source(in.parsed.tuple.source)) {
    drop(in.frame, drop_reason::martian_source);
    return true;
  }
  make_echo_reply(in.frame.data, in.parsed);
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.answered(in.frame);
  tx_.push(port.id, in.frame, *out_);
  return true;
}

void edge_switch::answer_neighbour(const port_config& port, arrival& in) noexcept {
  const auto message = decode_neighbour(in.frame.view(), in.parsed);
  if (!message)
    return drop(in.frame, message.error());
  if (message->op == neighbour_message::operation::advertise) {
    learn(port, message->target, message->link_address, false);
    return out_->release(in.frame);
  }
  if (!owns(port, message->target))
    return drop(in.frame, drop_reason::not_for_us);
  if (!message->asker.is_unspecified() && is_on_link(port, message->asker))
    learn(port, message->asker, message->link_address, true);
  if (const auto bad = write_advertisement(in.frame, *message, port.mac, in.parsed.vlan))
    return drop(in.frame, *bad);
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.answered(in.frame);
  tx_.push(port.id, in.frame, *out_);
}

/// The exact-match stage. False on a miss; an entry that is out of date is brought up to date first.
bool edge_switch::follow_entry(arrival& in) noexcept {
  return follow_entry(in, flows_.find(in.key()));
}

bool edge_switch::follow_entry(arrival& in, flow_table::entry entry) noexcept {
  if (entry && !is_current(entry.flow, in))
    entry = flows_.find(in.key());
  if (!entry)
    return false;
  counters_.exact_hits.add();
  auto& flow = flows_[entry.flow];
  const auto step = entry.step;
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.hit(in.frame, flow, step, flow.what == flow::kind::on_path ? paths_[flow.path_slot].program.id : 0);
  switch (flow.what) {
  case flow::kind::pending: hold_behind(flow.hold, in); break;
  case flow::kind::refused: drop(in.frame, flows_.about(entry.flow).refusal); break;
  case flow::kind::on_path:
    touch(entry.flow, in, step.way);
    if (step.position == 0 && in.where.is_port())
      count_entry(in.parsed.ip_total_length, paths_[flow.path_slot].account, step.way);
    take_step(in, paths_[flow.path_slot].program, step, flow.routes[static_cast<std::size_t>(step.way)]);
    break;
  case flow::kind::by_eid:
    touch(entry.flow, in, step.way);
    route_by_eid(in, flow.routes[static_cast<std::size_t>(step.way)], {.instance_id = in.where.tenant()});
    break;
  case flow::kind::free: break; // no entry refers to one
  }
  return true;
}

void edge_switch::miss(arrival& in, classifier_answer answer) noexcept {
  if (counters_.flows_waiting.value() > 0 && revive(in)) [[unlikely]] {
    if (follow_entry(in))
      return;
  }
  counters_.exact_misses.add();
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.missed(in.frame);
  if (const auto bad = unforwardable(in))
    return drop(in.frame, *bad);
  if (in.where.is_path())
    return miss_on_path(in);
  if (in.where.is_plain_overlay())
    return in.parsed.is_icmp_error ? route_by_eid(in, eids_->lookup(in.where.tenant(), in.parsed.tuple.destination), {})
                                   : install_by_eid(in);
  const auto* port = ports_.find(in.where.port());
  if (port == nullptr) // closed while the packet was held
    return drop(in.frame, drop_reason::unknown_port);
  if (in.parsed.is_icmp_error && port->kind == port_kind::attachment)
    return miss_of_error(in, *port);
  if (port->kind == port_kind::attachment)
    return miss_on_attachment(in, answer);
  // What a function emits belongs to a flow that went in. If that flow is known here and has no entry for this arm, it
  // was steered elsewhere meanwhile, and the store could not tell us more.
  const auto known = flows_.find_connection(in.where.tenant(), in.parsed.tuple);
  if (known != none && flows_[known].what == flow::kind::on_path)
    return drop(in.frame, drop_reason::vnf_unknown_flow);
  ask_agent(in, packet_in_reason::vnf_miss, 0);
}

drop_verdict edge_switch::unforwardable(const arrival& in) noexcept {
  if (is_martian_source(in.parsed.tuple.source))
    return drop_reason::martian_source;
  if (in.parsed.tuple.destination.is_multicast())
    return drop_reason::multicast;
  return {};
}

/// A downstream edge does not look flows up: the path says all (RFC 8300 section 3).
void edge_switch::miss_on_path(arrival& in) noexcept {
  const auto path = path_of_spi(in.where.spi());
  const auto slot = paths_.find(path);
  if (slot == none)
    return ask_agent_for_path(in, path);
  auto& found = paths_[slot];
  if (found.what == path_table::state::pending)
    return hold_behind(found.hold, in);
  if (found.what == path_table::state::refused) {
    if (now_ns_ < found.refused_until_ns)
      return drop(in.frame, drop_reason::unknown_path);
    paths_.remove(slot);
    return ask_agent_for_path(in, path);
  }

  const path_step step{direction_of_spi(in.where.spi()),
                       static_cast<std::uint8_t>(initial_service_index - in.where.si())};
  if (step.position > found.program.hops.size())
    return drop(in.frame, drop_reason::bad_service_index);
  displaced_holds displaced;
  const auto& tuple = in.parsed.tuple;
  const install_flow order{
      .tenant = in.where.tenant(), .forward = step.way == direction::forward ? tuple : tuple.reversed(), .path = path};
  const auto flow = install(order, slot, displaced);
  if (flow == none)
    drop(in.frame, drop_reason::table_full);
  else {
    touch(flow, in, step.way);
    if (in.frame.is_traced()) [[unlikely]]
      tracer_.installed(in.frame, entry_kind::on_path);
    take_step(in, found.program, step, eids_->lookup(in.where.tenant(), tuple.destination));
  }
  release(displaced);
}

bool edge_switch::is_source_attached(const arrival& in) const noexcept {
  const auto* route = eids_->lookup(in.where.tenant(), in.parsed.tuple.source);
  return route != nullptr && route->port == in.where.port();
}

std::optional<rule_outcome> edge_switch::classify(const arrival& in, classifier_answer answer) const noexcept {
  if (rules_ == nullptr)
    return std::nullopt;
  if (!answer.is_known)
    return rules_->find(make_packet_fields(in.parsed, in.where.port()));
  return answer.matched != no_rule ? std::optional{rules_->outcome(answer.matched)} : std::nullopt;
}

void edge_switch::miss_on_attachment(arrival& in, classifier_answer answer) noexcept {
  if (!is_source_attached(in))
    return drop(in.frame, drop_reason::spoofed_source);
  counters_.classifier_lookups.add(rules_ != nullptr ? 1 : 0);
  const auto matched = classify(in, answer);
  if (in.frame.is_traced()) [[unlikely]]
    tracer_.classified(in.frame, in.parsed, matched);
  if (!matched)
    return install_by_eid(in);
  switch (static_cast<rule_action>(matched->action)) {
  case rule_action::drop: return drop(in.frame, drop_reason::policy_drop);
  case rule_action::pass: return install_by_eid(in);
  case rule_action::reply: return ask_agent(in, packet_in_reason::reply_rule, matched->cookie);
  case rule_action::decide: break;
  }
  ask_agent(in, packet_in_reason::rule, matched->cookie);
}

std::uint64_t edge_switch::deadline() const noexcept {
  return std::min({neighbours_.deadline(), holds_.deadline(), flows_.timers().deadline()});
}

void edge_switch::expire(std::uint64_t now_ns, tx_sink& out) noexcept {
  begin(now_ns, out);
  neighbours_.expire(
      now_ns, [this](const neighbour& wanted) { solicit(wanted); },
      [this](std::uint32_t absent) { drop_unresolved(absent); });
  for (auto hold = holds_.expired(now_ns); hold != none; hold = holds_.expired(now_ns)) {
    const auto subject = holds_.subject(hold);
    drop_held(hold, drop_reason::hold_timeout);
    if (subject.reason == packet_in_reason::path_miss)
      paths_.remove(subject.index);
    else
      flows_.remove(subject.index);
  }
  end_due_flows();
  finish();
}

void edge_switch::shut_down(tx_sink& out) noexcept {
  begin(now_ns_, out);
  for (auto hold = holds_.oldest(); hold != none; hold = holds_.oldest())
    drop_held(hold, drop_reason::hold_timeout);
  for (port_id port = 0; port < max_ports; ++port)
    neighbours_.remove_port(port, [this](std::uint32_t gone) { drop_unresolved(gone); });
  finish();
}

} // namespace glocal::dataplane
