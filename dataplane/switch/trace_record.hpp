#pragma once
// What a switch says about a packet that is traced: one record for each step, in order, all under the packet's id.
//
// Records are plain values of one size, written by the lcore into a ring of their own and read by its agent, who turns
// them into what people read. Which fields a step sets stands beside it; all others are as constructed.

#include "base/net.hpp"
#include "dataplane/classify/rule.hpp"
#include "dataplane/switch/port_config.hpp"
#include "dataplane/wire/drop_reason.hpp"
#include "dataplane/wire/packet.hpp"

#include <cstdint>
#include <optional>
#include <type_traits>

namespace glocal::dataplane {

enum class trace_step : std::uint8_t {
  // In. All set tuple, port, tenant, vlan, dscp, ttl, tcp_flags, icmp_type, length (bytes of the IP packet).
  received,     ///< from a host, by `port`
  decapsulated, ///< from the edge at `address`; spi, si (0 for plain LISP); value: 1 when the packet brought its id
  returned,     ///< out of a function, by the arm `port`; value: 1 when only its flow says that it is the same packet
  // Match
  hit,       ///< detail: entry_kind; spi: path, si: position, reverse: for on_path
  miss,      ///<
  rule,      ///< value: cookie; detail: rule_action; priority; what is known of the packet, as for received
  no_rule,   ///<
  installed, ///< entries for it were made here; detail: entry_kind
  // Wait
  packet_in, ///< held, and the agent asked; value: hold; detail: packet_in_reason
  held,      ///< behind the flow's or the path's first packet
  released,  ///< value: nanoseconds held
  passed,    ///< the answer was to route it by its destination; value: nanoseconds held
  // Out
  path_step,    ///< to hop `si` of path `spi`; reverse; hops; port: the arm, or address: the RLOC; neither: the egress
  eid_route,    ///< by destination; port: local, or address: the RLOC; neither: there is none
  encapsulated, ///< address: RLOC; spi, si; value: trace_carriage; length of the outer IP packet
  waiting,      ///< for the MAC address of `address`, to leave by `port`
  sent,         ///< by `port`
  answered,     ///< by the edge itself: ARP, ND, echo
  dropped,      ///< reason; what is known of the packet, as for received
  // Not of a packet: trace is 0.
  session_ended, ///< value: session; detail: trace_end
  // The last of a simulated packet.
  probe_ended,
};

/// What an entry the exact-match stage found says: flow::kind, but for what is free.
enum class entry_kind : std::uint8_t { on_path, by_eid, pending, refused };

/// Whether an overlay packet tells the next edge its id.
enum class trace_carriage : std::uint8_t {
  carried,
  /// Metadata would have made the packet longer than the underlay takes.
  no_room,
  /// Plain LISP has no metadata.
  no_metadata,
  /// A trace of drops: packets are told apart only once they are dropped.
  not_wanted
};

enum class trace_end : std::uint8_t { limit_reached, time_over, stopped };

struct trace_record {
  trace_id trace = 0;
  /// CLOCK_MONOTONIC, nanoseconds.
  std::uint64_t time_ns = 0;
  std::uint64_t value = 0;
  five_tuple tuple;
  ip_address address;
  std::uint32_t spi = 0, tenant = 0, length = 0, priority = 0;
  port_id port = no_port;
  std::uint16_t vlan = 0;
  trace_step step = trace_step::received;
  drop_reason reason = drop_reason::decision_refused;
  std::uint8_t si = 0, hops = 0, detail = 0;
  std::uint8_t ttl = 0, dscp = 0, tcp_flags = 0, icmp_type = 0;
  bool reverse = false;
};
static_assert(std::is_trivially_copyable_v<trace_record> && sizeof(trace_record) <= 128);

/// Which packets one trace is about.
struct trace_filter {
  rule_match match;
  /// Packets of the opposite direction too.
  bool both_directions = false;
  std::optional<std::uint32_t> tenant;
};

/// One trace: bounded in packets and time, and ended by the switch itself.
struct trace_session {
  static constexpr std::uint32_t max_packets = 1000;

  /// Returned in session_ended; opaque here.
  std::uint64_t id = 0;
  trace_filter filter;
  /// 1 to max_packets.
  std::uint32_t packets = 10;
  /// CLOCK_MONOTONIC.
  std::uint64_t until_ns = 0;
  /// Upper 24 bits of the ids given; not 0. Drawn at random, so that edges do not give the same.
  std::uint32_t id_prefix = 1;
  /// Only packets that are dropped. Then packets carry no id to other edges, each of which reports its own drops.
  bool drops_only = false;
  /// Packets that come from other edges or out of functions too: for one edge traced by itself. If all are traced, a
  /// packet is met at its first, and others know it by its id.
  bool anywhere = false;
};

} // namespace glocal::dataplane
