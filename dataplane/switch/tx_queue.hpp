#pragma once
// Packets on their way out, gathered per port so that a burst in becomes a burst out.
//
// Invariant: empty between two calls of the switch. Threading: one thread. Only the constructor allocates.

#include "dataplane/switch/tracer.hpp"
#include "dataplane/switch/tx_sink.hpp"

#include <vector>

namespace glocal::dataplane {

class tx_queues {
public:
  /// DPDK's usual burst.
  static constexpr std::size_t burst_packets = 32;

  /// @param followed hears of traced packets that a port does not take.
  tx_queues(counters& counts, tracer& followed) : counters_{counts}, tracer_{followed}, queues_(max_ports) {
    dirty_.reserve(max_ports);
  }

  /// REQUIRES: port < max_ports.
  void push(port_id port, const packet& frame, tx_sink& out) noexcept {
    auto& queue = queues_[port];
    if (!queue.is_dirty) {
      queue.is_dirty = true;
      dirty_.push_back(port);
    }
    queue.packets[queue.count++] = frame;
    if (queue.count == burst_packets)
      transmit(port, out);
  }

  void flush(tx_sink& out) noexcept {
    for (const auto port : dirty_) {
      transmit(port, out);
      queues_[port].is_dirty = false;
    }
    dirty_.clear();
  }

private:
  struct queue {
    std::size_t count = 0;
    bool is_dirty = false;
    std::array<packet, burst_packets> packets;
  };

  void transmit(port_id port, tx_sink& out) noexcept {
    auto& [count, is_dirty, packets] = queues_[port];
    std::array<std::uint32_t, burst_packets> lengths; // a packet that was taken is not ours to read any more
    for (std::size_t i = 0; i < count; ++i)
      lengths[i] = packets[i].length;
    const auto sent = count == 0 ? 0 : out.transmit(port, {packets.data(), count});
    auto& counts = counters_.ports[port];
    counts.tx_packets.add(sent);
    for (std::size_t i = 0; i < count; ++i)
      if (i < sent)
        counts.tx_bytes.add(lengths[i]);
      else {
        counters_.drops[static_cast<std::size_t>(drop_reason::tx_full)].add();
        if (packets[i].is_traced()) [[unlikely]]
          tracer_.dropped(packets[i], drop_reason::tx_full);
        out.release(packets[i]);
      }
    count = 0;
  }

  counters& counters_;
  tracer& tracer_;
  std::vector<queue> queues_;
  std::vector<port_id> dirty_;
};

} // namespace glocal::dataplane
