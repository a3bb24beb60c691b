#pragma once
// Packet buffers on the heap, and what a switch sends into them. Threading: one thread.

#include "dataplane/switch/tx_sink.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace glocal::node {

class frame_pool final : public dataplane::tx_sink {
public:
  /// DPDK's default headroom and buffer, and a jumbo frame: captures may hold what a NIC had reassembled.
  static constexpr std::uint16_t headroom = 128;
  static constexpr std::size_t room = 10'240;

  struct sent {
    dataplane::port_id port = dataplane::port_id{0};
    bytes frame;
  };

  /// A buffer with `frame` in it. REQUIRES: frame.size() <= room.
  [[nodiscard]] dataplane::packet make(byte_view frame, dataplane::port_id in_port) {
    auto* storage = take();
    std::ranges::copy(frame, storage + headroom);
    return {.data = storage + headroom,
            .handle = storage,
            .length = static_cast<std::uint32_t>(frame.size()),
            .headroom = headroom,
            .tailroom = static_cast<std::uint16_t>(room - frame.size()),
            .in_port = in_port};
  }

  [[nodiscard]] std::size_t transmit(dataplane::port_id port,
                                     std::span<const dataplane::packet> burst) noexcept override {
    for (const auto& each : burst) {
      sent_.push_back({port, bytes(each.data, each.data + each.length)});
      release(each);
    }
    return burst.size();
  }
  void release(const dataplane::packet& gone) noexcept override {
    free_.emplace_back(static_cast<std::byte*>(gone.handle));
  }
  [[nodiscard]] bool allocate(dataplane::packet& out) noexcept override {
    out = make({}, dataplane::port_id{0});
    return true;
  }

  /// What was sent since the last call.
  [[nodiscard]] std::vector<sent> take_sent() { return std::exchange(sent_, {}); }

private:
  [[nodiscard]] std::byte* take() {
    if (free_.empty())
      return new std::byte[headroom + room];
    auto* out = free_.back().release();
    free_.pop_back();
    return out;
  }

  std::vector<sent> sent_;
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

} // namespace glocal::node
