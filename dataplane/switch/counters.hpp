#pragma once
// What an lcore counts. One writer (the lcore), any number of readers on other threads (relaxed atomics): a reader sees
// recent values, each exact by itself, not a consistent cut.

#include "base/histogram.hpp"
#include "dataplane/switch/path_program.hpp"
#include "dataplane/switch/port_config.hpp"
#include "dataplane/switch/southbound.hpp"
#include "dataplane/wire/drop_reason.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace glocal::dataplane {

/// A number one thread adds to and others read. Cheaper than fetch_add: there is no second writer to exclude.
class counter {
public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  /// REQUIRES: value() >= 1.
  void decrement() noexcept { value_.store(value_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> value_{0};
};

struct port_counters {
  counter rx_packets, rx_bytes, tx_packets, tx_bytes;
  /// Flows whose packets enter the switch by this port: on a VNF's `out` arm, those that cross the VNF.
  counter flows_now;
};

/// Paths are counted by accounts, and which path has which account is the agent's to say (set_path::account): so the
/// memory is fixed and a counter outlives its path. Account 0 is for all that are not told apart.
inline constexpr std::size_t max_path_accounts = 512;

/// Of the paths of one account.
struct path_counters {
  /// By direction, where they enter the path: the sum over all edges has each packet once. Bytes of IP.
  std::array<counter, 2> packets, bytes;
  /// Flows this edge owns: those of now, and all there ever were.
  counter flows_now, flows;
};

/// All counters of one switch. About 50 KB; construct it on the heap or as a member, never copy it.
struct counters {
  std::array<port_counters, max_ports> ports;
  std::array<path_counters, max_path_accounts> paths;
  /// Indexed by drop_reason: every packet that enters leaves by tx or adds to exactly one of these.
  std::array<counter, drop_reason_count> drops;

  counter exact_hits, exact_misses;
  counter classifier_lookups;
  /// Packet-ins raised, and events the agent's ring had no room for (those packets were dropped under a reason).
  counter packet_ins, events_lost;
  /// ICMP errors of ours.
  counter errors_sent;
  /// Packets held now, and the most there ever were at once.
  counter held_now, held_peak;
  /// Flows in the table now, installed since the start, and programmed again because their path changed.
  counter flows_now, flows_installed, flows_resteered;
  /// Flows that ended after packets had passed by them, indexed by removal (southbound.hpp).
  std::array<counter, removal_count> flows_removed;
  /// Of the flow file at the start: flows taken over, those no longer known, and those of the former that no packet has
  /// come for yet.
  counter flows_restored, flows_forgotten, flows_waiting;
  /// Commands that named something that is not there (an unknown port, a path that was never set).
  counter commands_refused;
  /// Packets traced from here on, records of them the ring had no room for, and packets of other edges' traces that
  /// came faster than they are followed.
  counter traces_begun, trace_records_lost, trace_ids_refused;

  /// Reception of a flow's first packet → its entries are in the table; by answered packet-ins. Nanoseconds.
  histogram setup_latency;
  /// Reception of a flow's first packet → it is on its way; held packets only. Nanoseconds.
  histogram first_packet_delay;
};

} // namespace glocal::dataplane
