#pragma once
// Packets of a capture through the pipeline of one edge, offline: the real switch, the real actors of every edge, the
// real central MANO and a store in memory, in one thread and virtual time. No DPDK, no sockets, no root.
//
// What is imagined: next hops answer ARP and ND at once, and VNF instances are there as soon as they are wanted; those
// of this edge give back what they get, unchanged, by their other arm (or nothing, on request). The edge sends no
// packet anywhere; what it would send is handed to the caller.
//
// Which packets of the capture arrive at this edge: overlay packets for its RLOC by the underlay; packets whose source
// lives behind one of its attachments by that one; none else, unless the caller names a port. Their destination MAC
// address becomes the port's, as a capture taken elsewhere has another.
//
// The same file and the same capture give the same decisions on every run. Threading: one thread.

#include "actors/edge/trace_book.hpp"
#include "dataplane/capture/capture_file.hpp"
#include "dataplane/switch/counters.hpp"
#include "node/config.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace glocal::node {

/// What VNF instances at the edge do with a packet.
enum class imagined_vnf : std::uint8_t {
  /// Give it back by the other arm.
  wire,
  /// Keep it.
  sink
};

struct replay_options {
  /// An edge of the cluster file.
  std::string edge;
  /// All packets arrive by this port; empty: each by its own.
  std::string port;
  imagined_vnf vnfs = imagined_vnf::wire;
};

/// What became of one packet of the capture.
struct replayed_packet {
  /// From 1, in the order of the capture.
  std::uint64_t number = 0;
  /// Since the first packet.
  std::chrono::nanoseconds time{0};
  std::size_t captured_bytes = 0, wire_bytes = 0;
  /// Empty when it does not arrive at this edge.
  std::string port;
  /// Why it does not.
  std::string elsewhere;
  /// `tcp 10.1.0.7:51514 > 203.0.113.9:80`; of overlay packets the outer one; empty when it can't be read.
  std::string key;
  /// In their order, by the switch and by the actors; empty when it could not be parsed.
  std::vector<actors::trace_entry> steps;
  /// Of a packet without steps: under which reason it was dropped.
  std::string dropped;
};

/// A frame that leaves the edge.
struct left_frame {
  std::string port;
  std::chrono::nanoseconds time{0};
  bytes frame;
};

class edge_replay {
public:
  using packet_sink = std::function<void(const replayed_packet&)>;
  using frame_sink = std::function<void(const left_frame&)>;

  /// Starts the cluster and waits, in virtual time, until all instances run and all that edges want to know is known.
  /// @param config outlives the replay. @error there is no such edge or port, or instances did not come up.
  [[nodiscard]] static expected<std::unique_ptr<edge_replay>, std::string>
  start(const cluster_config& config, replay_options options, packet_sink on_packet, frame_sink on_frame);
  ~edge_replay();

  /// Lets time pass until the packet's, then lets it arrive. It is told of once its end is known: at the latest after
  /// the hold timeout. Cost: some 20 us a packet, and 1 ms for each second between packets.
  void feed(const dataplane::captured_packet& packet);
  /// Tells of what is still held, after its time-out.
  void finish();

  [[nodiscard]] const dataplane::counters& counters() const;

private:
  struct parts;
  explicit edge_replay(std::unique_ptr<parts> made);
  std::unique_ptr<parts> parts_;
};

} // namespace glocal::node
