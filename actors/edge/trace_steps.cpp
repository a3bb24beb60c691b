#include "actors/edge/trace_steps.hpp"

#include "actors/model/keys.hpp"
#include "dataplane/classify/classifier.hpp"
#include "dataplane/classify/rule_text.hpp"
#include "dataplane/wire/headers.hpp"

namespace glocal::actors {

using namespace dataplane;

namespace {

const char* name_of(trace_step step) noexcept {
  switch (step) {
  case trace_step::received: return "received";
  case trace_step::decapsulated: return "decapsulated";
  case trace_step::returned: return "returned";
  case trace_step::hit: return "hit";
  case trace_step::miss: return "miss";
  case trace_step::rule: return "rule";
  case trace_step::no_rule: return "no_rule";
  case trace_step::installed: return "installed";
  case trace_step::packet_in: return "packet_in";
  case trace_step::held: return "held";
  case trace_step::released: return "released";
  case trace_step::passed: return "passed";
  case trace_step::path_step: return "path_step";
  case trace_step::eid_route: return "eid_route";
  case trace_step::encapsulated: return "encapsulated";
  case trace_step::waiting: return "waiting";
  case trace_step::sent: return "sent";
  case trace_step::answered: return "answered";
  case trace_step::dropped: return "dropped";
  case trace_step::session_ended: return "session_ended";
  case trace_step::probe_ended: return "probe_ended";
  }
  return "unknown";
}

const char* name_of(entry_kind kind) noexcept {
  switch (kind) {
  case entry_kind::on_path: return "on path";
  case entry_kind::by_eid: return "by EID";
  case entry_kind::pending: return "waits for an answer";
  case entry_kind::refused: return "refused";
  }
  return "unknown";
}

const char* name_of(packet_in_reason reason) noexcept {
  switch (reason) {
  case packet_in_reason::rule: return "to be decided";
  case packet_in_reason::reply_rule: return "reply of a flow not known here";
  case packet_in_reason::path_miss: return "path not known here";
  case packet_in_reason::vnf_miss: return "out of a function, of a flow not known here";
  }
  return "unknown";
}

const char* name_of(rule_action action) noexcept {
  switch (action) {
  case rule_action::reply: return "reply";
  case rule_action::drop: return "drop";
  case rule_action::pass: return "pass";
  case rule_action::decide: break;
  }
  return "decide";
}

const char* name_of(trace_carriage carriage) noexcept {
  switch (carriage) {
  case trace_carriage::carried: return "carried";
  case trace_carriage::no_room: return "no room below the MTU";
  case trace_carriage::no_metadata: return "plain LISP has no metadata";
  case trace_carriage::not_wanted: return "not wanted";
  }
  return "unknown";
}

packet_fields fields_of(const trace_record& record) noexcept {
  packet_fields out;
  const auto& tuple = record.tuple;
  const bool has_ports =
      tuple.protocol == ip_protocol::tcp || tuple.protocol == ip_protocol::udp || tuple.protocol == ip_protocol::sctp;
  out.source = tuple.source;
  out.destination = tuple.destination;
  out.source_port = has_ports ? tuple.source_port : std::uint16_t{0};
  out.destination_port = has_ports ? tuple.destination_port : std::uint16_t{0};
  out.in_port = record.port;
  out.vlan = record.vlan;
  out.protocol = tuple.protocol;
  out.dscp = record.dscp;
  out.tcp_flags = record.tcp_flags;
  out.icmp_type = record.icmp_type;
  return out;
}

/// The fields of one entry, added one after the other.
class writer {
public:
  writer(trace_entry& into, const trace_record& record, const switch_names& names)
      : entry_{into}, record_{record}, names_{names} {}

  void add(const char* name, decltype(trace_field::value) value) { entry_.fields.push_back({name, std::move(value)}); }
  void number(const char* name, std::uint64_t value) { add(name, value); }

  void port(const char* name = "port") {
    const auto known = names_.ports.find(record_.port);
    add(name, known != names_.ports.end() ? known->second : "#" + std::to_string(record_.port));
  }
  void packet() {
    if (record_.tuple.protocol == 0 && record_.length == 0)
      return; // nothing could be read of it
    add("packet", to_string(record_.tuple));
    number("tenant", record_.tenant);
    number("ip_bytes", record_.length);
    number("ttl", record_.ttl);
    if (record_.tuple.protocol == ip_protocol::tcp)
      add("tcp_flags", tcp_flags_text(record_.tcp_flags));
    if (record_.tuple.protocol == ip_protocol::icmp || record_.tuple.protocol == ip_protocol::icmp6)
      number("icmp_type", record_.icmp_type);
    if (record_.vlan != 0)
      number("vlan", record_.vlan);
    if (record_.dscp != 0)
      number("dscp", record_.dscp);
  }
  void position() {
    add("path", model::keys::path(path_of_spi(record_.spi)));
    number("spi", record_.spi);
    number("si", record_.si);
  }
  void way() { add("direction", std::string{record_.reverse ? "reply" : "forward"}); }
  void target() {
    if (record_.port != no_port)
      port("to_port");
    else if (record_.address != ip_address{})
      add("to_rloc", to_string(record_.address));
  }
  void rule();

private:
  trace_entry& entry_;
  const trace_record& record_;
  const switch_names& names_;
};

void writer::rule() {
  const auto action = static_cast<rule_action>(record_.detail);
  add("action", std::string{name_of(action)});
  number("priority", record_.priority);
  for (const auto& [cookie, service, stateful] : names_.services) {
    if (cookie != record_.value)
      continue;
    add("service", service.name);
    if (const auto index = matched_rule(record_, service)) {
      number("rule", *index);
      const auto& match = service.matches[*index];
      add("match", dataplane::to_string(action == rule_action::reply ? match.mirrored() : match));
    }
    return;
  }
  number("cookie", record_.value);
}

} // namespace

trace_entry describe(const trace_record& record, const switch_names& names) {
  trace_entry out;
  out.trace = record.trace;
  out.at_ns = record.time_ns;
  out.node = names.node;
  out.who = "lcore";
  out.what = name_of(record.step);
  writer fields{out, record, names};
  switch (record.step) {
  case trace_step::received:
    fields.port();
    fields.packet();
    break;
  case trace_step::decapsulated:
    fields.add("from_rloc", to_string(record.address));
    if (record.spi != 0)
      fields.position();
    fields.packet();
    break;
  case trace_step::returned:
    fields.port();
    fields.packet();
    if (record.value != 0)
      fields.add("guessed", true);
    break;
  case trace_step::hit:
    fields.add("entry", std::string{name_of(static_cast<entry_kind>(record.detail))});
    if (static_cast<entry_kind>(record.detail) == entry_kind::on_path) {
      fields.add("path", model::keys::path(record.spi));
      fields.number("position", record.si);
      fields.way();
    }
    break;
  case trace_step::rule: fields.rule(); break;
  case trace_step::installed: fields.add("entry", std::string{name_of(static_cast<entry_kind>(record.detail))}); break;
  case trace_step::packet_in:
    fields.add("reason", std::string{name_of(static_cast<packet_in_reason>(record.detail))});
    break;
  case trace_step::released:
  case trace_step::passed: fields.add("held_us", static_cast<double>(record.value) / 1e3); break;
  case trace_step::path_step:
    fields.add("path", model::keys::path(record.spi));
    fields.number("position", record.si);
    fields.number("hops", record.hops);
    fields.way();
    fields.target();
    break;
  case trace_step::eid_route: fields.target(); break;
  case trace_step::encapsulated:
    fields.add("to_rloc", to_string(record.address));
    if (record.spi != 0)
      fields.position();
    fields.number("outer_bytes", record.length);
    fields.add("trace_id", std::string{name_of(static_cast<trace_carriage>(record.value))});
    break;
  case trace_step::waiting:
    fields.port();
    fields.add("neighbour", to_string(record.address));
    break;
  case trace_step::sent: fields.port(); break;
  case trace_step::dropped:
    fields.add("reason", std::string{to_string(record.reason)});
    if (record.port != no_port)
      fields.port("in_port");
    fields.packet();
    break;
  case trace_step::miss:
  case trace_step::no_rule:
  case trace_step::held:
  case trace_step::answered:
  case trace_step::session_ended:
  case trace_step::probe_ended: break;
  }
  return out;
}

std::optional<std::size_t> matched_rule(const trace_record& record, const model::service& service) {
  const auto fields = fields_of(record);
  const bool mirrored = static_cast<rule_action>(record.detail) == rule_action::reply;
  for (std::size_t i = 0; i < service.matches.size(); ++i)
    if (matches(mirrored ? service.matches[i].mirrored() : service.matches[i], fields))
      return i;
  return std::nullopt;
}

std::string_view to_string(trace_end end) noexcept {
  switch (end) {
  case trace_end::limit_reached: return "limit reached";
  case trace_end::time_over: return "time over";
  case trace_end::stopped: break;
  }
  return "stopped";
}

std::string tcp_flags_text(std::uint8_t flags) {
  constexpr std::pair<std::uint8_t, const char*> names[] = {{tcp_flag::syn, "syn"}, {tcp_flag::ack, "ack"},
                                                            {tcp_flag::fin, "fin"}, {tcp_flag::rst, "rst"},
                                                            {tcp_flag::psh, "psh"}, {0x20, "urg"}};
  std::string out;
  for (const auto& [bit, name] : names)
    if ((flags & bit) != 0)
      out.append(out.empty() ? "" : ",").append(name);
  return out.empty() ? "none" : out;
}

} // namespace glocal::actors
