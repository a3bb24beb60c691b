#pragma once
// Every bound and clock of one switch, with its reason. All memory they imply is reserved at construction.

#include "dataplane/switch/flow_file.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace glocal::dataplane {

struct switch_config {
  /// Connections at once. One takes about 150 bytes, 100 more in a flow file, and 56 per entry (128 of IPv6); four
  /// edges share a small machine.
  std::size_t flows = std::size_t{64} * 1024;
  /// Exact-match entries a flow may need on average: its own name, and both directions in and out of one local VNF.
  std::size_t entries_per_flow = 5;
  /// Paths this edge sees at once.
  std::size_t paths = 4096;

  /// A host opens a connection with one packet and retransmits after a second; UDP may burst before its first answer.
  std::size_t held_packets_per_flow = 32;
  /// A path new to this edge may be many flows' first: a page load opens dozens of connections on it at once.
  std::size_t held_packets_per_path = 256;
  /// Packets held in all. They pin packet buffers, so this stays well below the buffer pool (dataplane/dpdk).
  std::size_t held_packets = 1024;
  /// Flows and paths that wait at once. Each has a packet-in outstanding, which bounds those too.
  std::size_t holds = 1024;
  /// New flows per second of one port and of one tenant, over all its ports, that are put to the agent: a subscriber
  /// who scans must not keep others from being served. 0: no bound. Besides, a port has at most as many holds as are
  /// free, so that some are left whoever asks (dynamic thresholds, Choudhury and Hahne 1998).
  std::uint32_t packet_ins_per_port = 20'000, packet_ins_per_tenant = 50'000;
  /// How long a port or tenant that was quiet may ask as fast as it likes, at its rate's expense: a page load is a
  /// burst.
  std::chrono::nanoseconds packet_in_burst = std::chrono::milliseconds{100};
  /// ICMP errors a second in the name of one port (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).
  std::uint32_t icmp_errors_per_port = 100;
  std::chrono::nanoseconds icmp_error_burst = std::chrono::milliseconds{500};
  /// Longest wait for an answer. The agent's own bound is shorter: it refuses, by the policy of the service. This one
  /// only keeps packets from staying when there is no agent. Below TCP's 3 s, so that the next SYN asks afresh.
  std::chrono::nanoseconds hold_timeout = std::chrono::milliseconds{2500};
  /// How long a refusal stands before the flow's next packet asks again: less than the first retransmission of a SYN.
  std::chrono::nanoseconds refusal_linger = std::chrono::milliseconds{900};

  /// A flow that nothing used for so long ends. RFC 5382 and 4787 ask NATs for more, but an entry here costs nothing
  /// to renew: the next packet looks the flow up.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds{60};
  /// After FIN from both sides or RST, for last acknowledgements and retransmissions.
  std::chrono::nanoseconds closed_linger = std::chrono::seconds{2};
  /// A flow ends up to one tick late.
  std::chrono::nanoseconds timer_tick = std::chrono::milliseconds{64};
  /// Flows looked at in one go for their end: about 20 us of work between two bursts.
  std::size_t timers_at_once = 256;
  /// What a full table does for one flow more.
  enum class eviction : std::uint8_t {
    /// Nothing: its packets are dropped or, by EID, forwarded without an entry.
    refuse,
    /// Ends one that nobody decided (flow_table::find_victim): scans before connections, the longest unused before
    /// others.
    oldest
  };
  /// Traffic of no service gets entries as well. Without, each of its packets is classified again: right where the
  /// classifier is faster than a table that does not fit the caches.
  bool entries_by_eid = true;
  eviction when_full = eviction::oldest;

  /// Outlives the switch; nothing is kept without a path.
  flow_file_config file = {};

  /// Next hops at once, those being resolved included: a scan of an attached subnet can't take more.
  std::size_t neighbours = 1024;
  /// RFC 4861 section 7.2.2 asks for at least one; a function that was just started is the next hop of all its flows.
  std::size_t held_packets_per_neighbour = 256;
  std::size_t held_for_neighbours = 1024;
  /// Time between two questions, and how many, before a next hop counts as absent: all within TCP's first second.
  std::chrono::nanoseconds solicit_interval = std::chrono::milliseconds{150};
  std::uint32_t solicit_attempts = 5;
  /// Confirmed neighbours are asked again after so long, while they go on being used (RFC 4861: REACHABLE_TIME 30 s).
  std::chrono::nanoseconds reachable_time = std::chrono::seconds{30};

  /// Remote RLOCs at once, in both encapsulation formats.
  std::size_t tunnels = 4096;

  /// Packets as most are (dataplane/wire/simple_packet.hpp) take a short way. Without, all take the long one, which
  /// does the same to them: for tests that compare, and to measure.
  bool simple_lane = true;

  /// Tells the time of one step of a traced packet, CLOCK_MONOTONIC; nullptr: the time of the burst. noexcept.
  std::uint64_t (*trace_clock)() noexcept = nullptr;

  /// Keys the hash of tuples, so that nobody outside can choose collisions. 0: drawn at random.
  std::uint64_t hash_key = 0;
};

} // namespace glocal::dataplane
