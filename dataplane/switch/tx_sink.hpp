#pragma once
// Where a switch's packets leave to, and where their buffers come from: DPDK ports in the edge, vectors in tests.

#include "dataplane/wire/packet.hpp"

#include <span>

namespace glocal::dataplane {

/// Not thread-safe: belongs to the lcore. A packet's buffer has one owner: what transmit() took and what release() got
/// is the sink's, the rest the switch's.
class tx_sink {
public:
  virtual ~tx_sink() = default;

  /// Sends the packets in order. @return how many from the front were taken.
  [[nodiscard]] virtual std::size_t transmit(port_id port, std::span<const packet> burst) noexcept = 0;

  /// Takes back a buffer whose packet goes nowhere.
  virtual void release(const packet& gone) noexcept = 0;

  /// An empty buffer of at least 128 bytes of tailroom, for a question of the switch's own. False when there is none.
  [[nodiscard]] virtual bool allocate(packet& out) noexcept = 0;
};

} // namespace glocal::dataplane
