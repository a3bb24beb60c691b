#pragma once
// An edge_switch on a bench: frames in, frames out, commands and packet-ins in hand, time by hand.
//
// Every buffer is counted: a packet that is neither sent, dropped nor held shows as a leak when the bench ends.

#include "dataplane/switch/edge_switch.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::dataplane::testing {

/// A frame that left by a port.
struct sent_frame {
  port_id port = no_port;
  bytes frame;

  bool operator==(const sent_frame&) const = default;
};

/// Records what is sent. Buffers are heap blocks of exactly the size an mbuf has, so that sanitizers see its ends.
class recording_sink final : public tx_sink {
public:
  ~recording_sink() override;

  /// A buffer with `frame` in it, as the rx side of an lcore would hand it in.
  [[nodiscard]] packet make(const bytes& frame, port_id in_port);

  [[nodiscard]] std::size_t transmit(port_id port, std::span<const packet> burst) noexcept override;
  void release(const packet& gone) noexcept override;
  [[nodiscard]] bool allocate(packet& out) noexcept override;

  [[nodiscard]] std::vector<sent_frame> take_sent() { return std::exchange(sent_, {}); }
  [[nodiscard]] std::size_t live() const noexcept { return live_; }
  /// Ports that take nothing, as one whose tx ring is full.
  std::vector<port_id> jammed;

private:
  std::vector<sent_frame> sent_;
  std::size_t live_ = 0;
};

class bench {
public:
  explicit bench(switch_config config = small(), lcore_channel::sizes rings = {});
  /// Aborts when a buffer was lost, so that no test can forget to look.
  ~bench();

  /// Bounds small enough to be reached in a test; a fixed hash key.
  [[nodiscard]] static switch_config small();

  /// Submits and executes; the sends that follow are in sent(). REQUIRES: the command is accepted.
  void order(command what);
  /// One frame, or several in one burst, come in by `port`.
  void receive(port_id port, const bytes& frame) { receive_burst(port, {frame}); }
  void receive_burst(port_id port, const std::vector<bytes>& frames);
  /// Time goes on, and what is due happens.
  void advance(std::chrono::nanoseconds duration);

  /// What was sent since the last call.
  [[nodiscard]] std::vector<sent_frame> sent() { return sink.take_sent(); }
  /// Events since the last call, in order.
  [[nodiscard]] std::vector<event> events();
  /// As events(), all of which have to be packet-ins.
  [[nodiscard]] std::vector<packet_in> packet_ins();

  [[nodiscard]] std::uint64_t drops(drop_reason reason) const {
    return channel.statistics().drops[static_cast<std::size_t>(reason)].value();
  }
  /// Reasons under which something was dropped since the last call: "spoofed_source 2, ttl_expired 1", or "none".
  [[nodiscard]] std::string new_drops();

  std::uint64_t now_ns = 1'000'000'000;
  lcore_channel channel;
  edge_switch edge;
  recording_sink sink;

private:
  std::map<std::string, std::uint64_t> seen_drops_;
};

/// The address the host, function or router behind a port of a bench answers for: all of them have host_mac, and the
/// edge has edge_mac everywhere.
[[nodiscard]] port_config attachment(port_id id, std::string_view gateway);
[[nodiscard]] port_config arm(port_id id, port_kind kind, std::string_view gateway, std::string_view peer);
[[nodiscard]] port_config underlay(port_id id, std::string_view rloc, std::string_view router);

/// Makes the edge know that `address` is at host_mac, by asking it from there.
void introduce(bench& at, port_id port, std::string_view address, std::string_view gateway);

[[nodiscard]] eid_route local_route(std::string_view prefix, port_id port, std::uint32_t tenant = 0);
[[nodiscard]] eid_route remote_route(std::string_view prefix, std::string_view rloc, std::uint32_t tenant = 0);
[[nodiscard]] path_hop local_hop(port_id in_arm, port_id out_arm);
[[nodiscard]] path_hop remote_hop(std::string_view rloc);

[[nodiscard]] classifier_ptr linear_classifier_of(std::vector<rule> rules);
/// One rule for TCP to port 80 that wants a decision, and its mirror.
[[nodiscard]] classifier_ptr http_service(std::uint64_t cookie = 7);

} // namespace glocal::dataplane::testing
