#pragma once
// Follows the packets somebody traces through one switch, and writes down what happens to them.
//
// A packet is traced when its frame has a trace id: given here to packets a session asks for, brought by packets from
// other edges as metadata, or found again for what comes out of a function. All else costs the pipeline one test of a
// word it has at hand, per step.
//
// A function knows nothing of ids. What goes into one is remembered for `function_patience`; what comes out by the
// other arm is the same packet when the parts of its headers that functions leave alone agree (addresses, ports, IPv4
// identification, TCP sequence numbers or the first 8 bytes of L4), else, for functions that rewrite those, the one of
// the flow that went in first and is still missing; that is marked as a guess.
//
// A session of drops writes the steps of the packet at hand aside and keeps them only if it is dropped or held.
//
// Bounds: one session of at most trace_session::max_packets; ids from other edges at `foreign_per_second`; a ring that
// may be full: what does not fit is counted. Threading: one thread, the lcore. Nothing allocates after construction.

#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/switch/flow_table.hpp"
#include "dataplane/switch/lcore_channel.hpp"

#include <array>

namespace glocal::dataplane {

class tracer {
public:
  /// Packets inside functions at once, and for how long: a function that takes longer has lost them.
  static constexpr std::size_t max_inside_functions = 128;
  static constexpr std::uint64_t function_patience_ns = 2'000'000'000;
  /// Packets of other edges' traces: as many at once as a session may have, then at this pace. A peer that sends more
  /// (or makes ids up) is counted and its packets go on untraced.
  static constexpr std::uint64_t foreign_burst = trace_session::max_packets, foreign_per_second = 200;

  /// @param clock as of switch_config. @param border outlives the tracer.
  tracer(std::uint64_t (*clock)() noexcept, lcore_channel& border);

  /// Time of the call the switch is in.
  void set_time(std::uint64_t now_ns) noexcept { now_ns_ = now_ns; }

  void start(const trace_session& session) noexcept;
  void end(trace_end why) noexcept;
  /// Whether packets from ports may concern it: then the three functions below want to see them.
  [[nodiscard]] bool is_watching() const noexcept { return watching_; }

  // In. `frame` may get an id.
  /// Before anything is known of the packet.
  void meet(packet& frame) noexcept;
  /// A packet that came by `port` and could be parsed.
  void examine(packet& frame, const parsed_packet& parsed, const port_config& port) noexcept;
  /// An inner packet. @param from the sending edge. Also to be called when header.trace != 0.
  void decapsulated(packet& frame, const parsed_packet& parsed, const overlay_header& header,
                    const ip_address& from) noexcept;

  // Steps. REQUIRES: frame.is_traced().
  void hit(const packet& frame, const flow& found, path_step step, std::uint32_t path) noexcept;
  void missed(const packet& frame) noexcept;
  void classified(const packet& frame, const parsed_packet& parsed,
                  const std::optional<rule_outcome>& matched) noexcept;
  void installed(const packet& frame, entry_kind what) noexcept;
  void asked(const packet& frame, packet_in_reason reason, std::uint64_t hold) noexcept;
  void held(const packet& frame) noexcept;
  void released(const packet& frame, std::uint64_t waited_ns, bool passed) noexcept;
  void stepped(const packet& frame, const path_program& path, path_step step) noexcept;
  void routed(const packet& frame, const eid_route* route) noexcept;
  /// What goes into a function will come out by `exit`.
  void enters_function(const packet& frame, const parsed_packet& parsed, port_id exit) noexcept;
  /// The id the packet tells the next edge; 0 when it does not.
  [[nodiscard]] trace_id carried(const packet& frame, bool has_nsh) const noexcept;
  /// @param wanted what carried() said, which header.trace may have been taken back from for want of room.
  void encapsulated(const packet& frame, const ip_address& rloc, const overlay_header& header,
                    trace_id wanted) noexcept;
  void waits(const packet& frame, port_id port, const ip_address& neighbour) noexcept;
  void sent(const packet& frame, port_id port) noexcept;
  void answered(const packet& frame) noexcept;
  void dropped(const packet& frame, drop_reason reason) noexcept;
  void probe_ended(const packet& frame) noexcept;
  void met_probe(const packet& frame, const parsed_packet& parsed, const port_config& port) noexcept;

private:
  struct inside {
    trace_id trace = 0;
    std::uint64_t fingerprint = 0, flow = 0, expires_ns = 0;
    port_id exit = no_port;
  };

  [[nodiscard]] std::uint64_t clock() const noexcept { return clock_ != nullptr ? clock_() : now_ns_; }
  [[nodiscard]] trace_id new_id() noexcept;
  [[nodiscard]] bool is_running() noexcept;
  [[nodiscard]] bool wants(const parsed_packet& parsed, port_id in_port, std::uint32_t tenant) const noexcept;
  [[nodiscard]] bool take_token() noexcept;
  [[nodiscard]] inside* find_inside(const packet& frame, const parsed_packet& parsed, bool& guessed) noexcept;
  [[nodiscard]] trace_record make(const packet& frame, trace_step step) const noexcept;
  void describe(trace_record& record, const parsed_packet& parsed, std::uint32_t tenant) const noexcept;
  void begin(packet& frame, const trace_record& first) noexcept;
  void write(const trace_record& record) noexcept;
  void commit() noexcept;
  void spend() noexcept;
  void set_watching() noexcept { watching_ = running_ || inside_count_ > 0; }

  std::uint64_t (*const clock_)() noexcept;
  lcore_channel& border_;
  std::uint64_t now_ns_ = 0;

  bool watching_ = false, running_ = false;
  trace_session session_;
  std::uint32_t sequence_ = 0, left_ = 0;

  /// Of the packet at hand in a session of drops. Longer walks than this lose their middle.
  std::array<trace_record, 24> aside_;
  std::size_t aside_count_ = 0;
  trace_id provisional_ = 0;

  std::array<inside, max_inside_functions> inside_;
  std::size_t inside_count_ = 0, inside_next_ = 0;

  std::uint64_t tokens_ = foreign_burst, tokens_at_ns_ = 0;
};

} // namespace glocal::dataplane
