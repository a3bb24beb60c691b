#include "dataplane/switch/tracer.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

/// Bits of an id below a session's prefix.
constexpr unsigned sequence_bits = 24;

/// What functions leave alone of a packet, apart from its tuple: where it stands in its connection. Beyond the first 12
/// bytes of TCP they may clamp segment sizes, and then the checksum changes.
std::uint64_t position_in_flow(const packet& frame, const parsed_packet& parsed) noexcept {
  const bool is_tcp = parsed.tuple.protocol == ip_protocol::tcp;
  const std::size_t wanted = is_tcp ? 12 : 8, end = std::size_t{parsed.l3_offset} + parsed.ip_total_length;
  const auto available = std::min<std::size_t>(end, frame.length);
  const auto bytes = available > parsed.l4_offset ? std::min(wanted, available - parsed.l4_offset) : 0;
  std::uint64_t low = 0;
  std::uint32_t high = 0;
  std::memcpy(&low, frame.data + parsed.l4_offset, std::min<std::size_t>(bytes, 8));
  if (bytes > 8)
    std::memcpy(&high, frame.data + parsed.l4_offset + 8, bytes - 8);
  const std::uint64_t identification =
      parsed.kind == packet_kind::ipv4 ? load_be16(frame.data + parsed.l3_offset + 4) : 0;
  return low ^ (std::uint64_t{high} << 16) * 0x9e3779b97f4a7c15u ^ identification << 48;
}

entry_kind kind_of(const flow& found) noexcept {
  switch (found.what) {
  case flow::kind::on_path: return entry_kind::on_path;
  case flow::kind::pending: return entry_kind::pending;
  case flow::kind::refused: return entry_kind::refused;
  case flow::kind::by_eid:
  case flow::kind::free: break;
  }
  return entry_kind::by_eid;
}

} // namespace

tracer::tracer(std::uint64_t (*clock)() noexcept, lcore_channel& border) : clock_{clock}, border_{border} {}

// --- Sessions -------------------------------------------------------------------------------------------------------

void tracer::start(const trace_session& session) noexcept {
  if (running_)
    end(trace_end::stopped);
  session_ = session;
  left_ = session.packets;
  sequence_ = 0;
  running_ = true;
  set_watching();
}

void tracer::end(trace_end why) noexcept {
  if (!running_)
    return;
  running_ = false;
  provisional_ = 0;
  aside_count_ = 0;
  set_watching();
  trace_record last;
  last.time_ns = clock();
  last.step = trace_step::session_ended;
  last.value = session_.id;
  last.detail = static_cast<std::uint8_t>(why);
  write(last);
}

bool tracer::is_running() noexcept {
  if (running_ && now_ns_ >= session_.until_ns)
    end(trace_end::time_over);
  return running_;
}

trace_id tracer::new_id() noexcept {
  sequence_ = (sequence_ + 1) & ((1u << sequence_bits) - 1);
  return trace_id{session_.id_prefix} << sequence_bits | sequence_;
}

/// One of the session's packets is found.
void tracer::spend() noexcept {
  border_.mutable_counters().traces_begun.add();
  if (--left_ == 0)
    end(trace_end::limit_reached);
}

bool tracer::wants(const parsed_packet& parsed, port_id in_port, std::uint32_t tenant) const noexcept {
  const auto& filter = session_.filter;
  if (filter.tenant && *filter.tenant != tenant)
    return false;
  if (!parsed.is_ip()) // of ARP only what is dropped can be of interest, to who wants all
    return session_.drops_only && filter.match == rule_match{};
  const auto fields = make_packet_fields(parsed, in_port);
  return matches(filter.match, fields) || (filter.both_directions && matches(filter.match.mirrored(), fields));
}

/// A bucket of tokens.
bool tracer::take_token() noexcept {
  const auto earned = (now_ns_ - tokens_at_ns_) / (second_ns / foreign_per_second);
  if (earned > 0) {
    tokens_ = std::min(foreign_burst, tokens_ + earned);
    tokens_at_ns_ = now_ns_;
  }
  if (tokens_ == 0)
    return false;
  --tokens_;
  return true;
}

// --- In -------------------------------------------------------------------------------------------------------------

void tracer::meet(packet& frame) noexcept {
  if (!is_running() || !session_.drops_only)
    return;
  provisional_ = new_id();
  aside_count_ = 0;
  frame.set_trace(provisional_);
}

void tracer::begin(packet& frame, const trace_record& first) noexcept {
  auto record = first;
  if (session_.drops_only) {
    if (provisional_ == 0) // held before it was unwrapped: can't be, but an id of 0 would trace nobody
      provisional_ = new_id();
    aside_count_ = 0;
    frame.set_trace(provisional_);
  } else
    frame.set_trace(new_id());
  record.trace = frame.trace();
  write(record);
  if (!session_.drops_only)
    spend();
}

void tracer::examine(packet& frame, const parsed_packet& parsed, const port_config& port) noexcept {
  auto record = make(frame, trace_step::received);
  describe(record, parsed, port.tenant);
  record.port = port.id;
  const bool is_running = this->is_running(),
             is_arm = port.kind == port_kind::vnf_in || port.kind == port_kind::vnf_out;
  if (is_running && session_.drops_only) {
    if (wants(parsed, port.id, port.tenant))
      begin(frame, record);
    else
      frame.set_trace(0);
    return;
  }
  if (is_arm && parsed.is_ip())
    if (bool guessed = false; auto* known = find_inside(frame, parsed, guessed)) {
      frame.set_trace(known->trace);
      record.trace = known->trace;
      record.step = trace_step::returned;
      record.value = guessed ? 1 : 0;
      known->trace = 0;
      --inside_count_;
      set_watching();
      return write(record);
    }
  if (!is_running || port.kind == port_kind::underlay || (is_arm && !session_.anywhere))
    return;
  if (wants(parsed, port.id, port.tenant))
    begin(frame, record);
}

void tracer::decapsulated(packet& frame, const parsed_packet& parsed, const overlay_header& header,
                          const ip_address& from) noexcept {
  auto record = make(frame, trace_step::decapsulated);
  describe(record, parsed, header.instance_id);
  record.address = from;
  record.spi = header.spi;
  record.si = header.si;
  if (header.trace != 0 && take_token()) {
    frame.set_trace(header.trace);
    record.trace = header.trace;
    record.value = 1;
    return write(record);
  }
  if (header.trace != 0)
    border_.mutable_counters().trace_ids_refused.add();
  if (is_running() && session_.drops_only) {
    if (wants(parsed, frame.in_port, header.instance_id))
      begin(frame, record);
    else
      frame.set_trace(0);
    return;
  }
  if (running_ && (session_.anywhere || !header.has_nsh) && wants(parsed, frame.in_port, header.instance_id))
    begin(frame, record);
}

tracer::inside* tracer::find_inside(const packet& frame, const parsed_packet& parsed, bool& guessed) noexcept {
  if (inside_count_ == 0)
    return nullptr;
  const auto flow = hash_value(parsed.tuple), fingerprint = flow ^ position_in_flow(frame, parsed);
  inside* of_flow = nullptr;
  for (auto& each : inside_) {
    if (each.trace == 0)
      continue;
    if (now_ns_ >= each.expires_ns) {
      each.trace = 0;
      --inside_count_;
      continue;
    }
    if (each.exit != frame.in_port || each.flow != flow)
      continue;
    if (each.fingerprint == fingerprint)
      return &each;
    if (of_flow == nullptr || each.expires_ns < of_flow->expires_ns)
      of_flow = &each;
  }
  set_watching();
  guessed = of_flow != nullptr;
  return of_flow;
}

// --- Steps ----------------------------------------------------------------------------------------------------------

trace_record tracer::make(const packet& frame, trace_step step) const noexcept {
  trace_record record;
  record.trace = frame.trace();
  record.time_ns = clock();
  record.step = step;
  return record;
}

void tracer::describe(trace_record& record, const parsed_packet& parsed, std::uint32_t tenant) const noexcept {
  record.tuple = parsed.tuple;
  record.tenant = tenant;
  record.length = parsed.ip_total_length;
  record.vlan = parsed.vlan;
  record.ttl = parsed.ttl;
  record.dscp = parsed.dscp;
  record.tcp_flags = parsed.tcp_flags;
  record.icmp_type = parsed.icmp_type;
}

void tracer::write(const trace_record& record) noexcept {
  if (provisional_ != 0 && record.trace == provisional_) {
    aside_count_ = std::min(aside_count_ + 1, aside_.size());
    aside_[aside_count_ - 1] = record;
    return;
  }
  if (!border_.emit(record))
    border_.mutable_counters().trace_records_lost.add();
}

/// What was written aside counts from now on.
void tracer::commit() noexcept {
  provisional_ = 0;
  const auto count = std::exchange(aside_count_, 0);
  for (std::size_t i = 0; i < count; ++i)
    write(aside_[i]);
}

void tracer::hit(const packet& frame, const flow& found, path_step step, std::uint32_t path) noexcept {
  auto record = make(frame, trace_step::hit);
  record.detail = static_cast<std::uint8_t>(kind_of(found));
  if (found.what == flow::kind::on_path) {
    record.spi = path;
    record.si = step.position;
    record.reverse = step.way == direction::reverse;
  }
  write(record);
}

void tracer::missed(const packet& frame) noexcept {
  write(make(frame, trace_step::miss));
}

void tracer::classified(const packet& frame, const parsed_packet& parsed,
                        const std::optional<rule_outcome>& matched) noexcept {
  auto record = make(frame, matched ? trace_step::rule : trace_step::no_rule);
  if (matched) {
    describe(record, parsed, 0);
    record.port = frame.in_port;
    record.value = matched->cookie;
    record.detail = static_cast<std::uint8_t>(matched->action);
    record.priority = matched->priority;
  }
  write(record);
}

void tracer::installed(const packet& frame, entry_kind what) noexcept {
  auto record = make(frame, trace_step::installed);
  record.detail = static_cast<std::uint8_t>(what);
  write(record);
}

void tracer::asked(const packet& frame, packet_in_reason reason, std::uint64_t hold) noexcept {
  if (frame.trace() == provisional_)
    commit();
  auto record = make(frame, trace_step::packet_in);
  record.value = hold;
  record.detail = static_cast<std::uint8_t>(reason);
  write(record);
}

void tracer::held(const packet& frame) noexcept {
  if (frame.trace() == provisional_)
    commit();
  write(make(frame, trace_step::held));
}

void tracer::released(const packet& frame, std::uint64_t waited_ns, bool passed) noexcept {
  auto record = make(frame, passed ? trace_step::passed : trace_step::released);
  record.value = waited_ns;
  write(record);
}

void tracer::stepped(const packet& frame, const path_program& path, path_step step) noexcept {
  auto record = make(frame, trace_step::path_step);
  record.spi = path.id;
  record.si = step.position;
  record.hops = static_cast<std::uint8_t>(path.hops.size());
  record.reverse = step.way == direction::reverse;
  if (const auto* hop = hop_at(path, step)) {
    if (hop->local)
      record.port = record.reverse ? hop->out_arm : hop->in_arm;
    else
      record.address = hop->rloc;
  }
  write(record);
}

void tracer::routed(const packet& frame, const eid_route* route) noexcept {
  auto record = make(frame, trace_step::eid_route);
  if (route != nullptr && route->is_local())
    record.port = route->port;
  else if (route != nullptr)
    record.address = route->rloc;
  write(record);
}

void tracer::enters_function(const packet& frame, const parsed_packet& parsed, port_id exit) noexcept {
  if (frame.trace() == provisional_)
    return; // of a trace of drops, which the function does not tell us about
  auto& slot = inside_[inside_next_];
  inside_next_ = (inside_next_ + 1) % inside_.size();
  if (slot.trace == 0)
    ++inside_count_;
  const auto flow = hash_value(parsed.tuple);
  slot = {frame.trace(), flow ^ position_in_flow(frame, parsed), flow, now_ns_ + function_patience_ns, exit};
  set_watching();
}

trace_id tracer::carried(const packet& frame, bool has_nsh) const noexcept {
  const bool is_drop_hunt = running_ && session_.drops_only && frame.trace() >> sequence_bits == session_.id_prefix;
  return has_nsh && !is_drop_hunt ? frame.trace() : 0;
}

void tracer::encapsulated(const packet& frame, const ip_address& rloc, const overlay_header& header,
                          trace_id wanted) noexcept {
  auto record = make(frame, trace_step::encapsulated);
  record.address = rloc;
  record.spi = header.spi;
  record.si = header.si;
  record.length = frame.length - static_cast<std::uint32_t>(ethernet_header_bytes);
  const auto carriage = header.trace != 0 ? trace_carriage::carried
                        : wanted != 0     ? trace_carriage::no_room
                        : !header.has_nsh ? trace_carriage::no_metadata
                                          : trace_carriage::not_wanted;
  record.value = static_cast<std::uint64_t>(carriage);
  write(record);
}

void tracer::waits(const packet& frame, port_id port, const ip_address& neighbour) noexcept {
  if (frame.trace() == provisional_)
    commit();
  auto record = make(frame, trace_step::waiting);
  record.port = port;
  record.address = neighbour;
  write(record);
}

void tracer::sent(const packet& frame, port_id port) noexcept {
  auto record = make(frame, trace_step::sent);
  record.port = port;
  write(record);
}

void tracer::answered(const packet& frame) noexcept {
  write(make(frame, trace_step::answered));
}

void tracer::dropped(const packet& frame, drop_reason reason) noexcept {
  auto record = make(frame, trace_step::dropped);
  record.reason = reason;
  record.port = frame.in_port;
  if (parsed_packet parsed; !parse(frame.view(), parsed))
    describe(record, parsed, 0);
  const bool is_hunted = running_ && session_.drops_only && frame.trace() >> sequence_bits == session_.id_prefix;
  if (frame.trace() == provisional_) {
    // Dropped before its filter was asked: only who wants all wants it.
    const auto& filter = session_.filter;
    if (aside_count_ == 0 && (filter.match != rule_match{} || filter.tenant))
      return;
    commit();
  }
  write(record);
  if (is_hunted)
    spend();
}

// --- Probes ---------------------------------------------------------------------------------------------------------

void tracer::met_probe(const packet& frame, const parsed_packet& parsed, const port_config& port) noexcept {
  auto record = make(frame, trace_step::received);
  describe(record, parsed, port.tenant);
  record.port = port.id;
  write(record);
}

void tracer::probe_ended(const packet& frame) noexcept {
  write(make(frame, trace_step::probe_ended));
}

} // namespace glocal::dataplane
