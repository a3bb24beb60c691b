#pragma once
// Between the data plane's packets and DPDK's buffers: a packet's handle is its mbuf, its bytes are the mbuf's own.
//
// Invariant: packets have one segment. Threading: one thread, the lcore. Private to this folder: includes DPDK.

#include "dataplane/switch/port_config.hpp"
#include "dataplane/switch/tx_sink.hpp"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>

namespace glocal::dataplane {

/// What DPDK calls no port.
inline constexpr std::uint16_t no_ethdev = RTE_MAX_ETHPORTS;

/// The packet in `buffer`. REQUIRES: one segment.
[[nodiscard]] inline packet to_packet(rte_mbuf* buffer, port_id in_port) noexcept {
  return {.data = rte_pktmbuf_mtod(buffer, std::byte*),
          .handle = buffer,
          .length = buffer->data_len,
          .headroom = rte_pktmbuf_headroom(buffer),
          .tailroom = rte_pktmbuf_tailroom(buffer),
          .in_port = in_port};
}

/// The buffer of `frame`, whose bytes are where the packet says they are.
[[nodiscard]] inline rte_mbuf* to_mbuf(const packet& frame) noexcept {
  auto* buffer = static_cast<rte_mbuf*>(frame.handle);
  buffer->data_off = static_cast<std::uint16_t>(frame.data - static_cast<std::byte*>(buffer->buf_addr));
  buffer->data_len = static_cast<std::uint16_t>(frame.length);
  buffer->pkt_len = frame.length;
  buffer->ol_flags = 0; // what the rx side said of tags and checksums is not true any more
  return buffer;
}

class mbuf_sink final : public tx_sink {
public:
  explicit mbuf_sink(rte_mempool& buffers) : buffers_{buffers} { ethdevs_.fill(no_ethdev); }

  /// Where frames for `port` go from now on; `no_ethdev`: nowhere.
  void attach(port_id port, std::uint16_t ethdev) noexcept { ethdevs_[port] = ethdev; }

  [[nodiscard]] std::size_t transmit(port_id port, std::span<const packet> burst) noexcept override {
    const auto ethdev = ethdevs_[port];
    if (ethdev == no_ethdev)
      return 0;
    std::array<rte_mbuf*, 64> out;
    std::size_t sent = 0;
    while (sent < burst.size()) {
      const auto count = std::min(burst.size() - sent, out.size());
      for (std::size_t i = 0; i < count; ++i)
        out[i] = to_mbuf(burst[sent + i]);
      const auto taken = rte_eth_tx_burst(ethdev, 0, out.data(), static_cast<std::uint16_t>(count));
      sent += taken;
      if (taken < count)
        break;
    }
    return sent;
  }

  void release(const packet& gone) noexcept override { rte_pktmbuf_free(static_cast<rte_mbuf*>(gone.handle)); }

  [[nodiscard]] bool allocate(packet& out) noexcept override {
    auto* buffer = rte_pktmbuf_alloc(&buffers_);
    if (buffer == nullptr)
      return false;
    out = to_packet(buffer, no_port);
    return true;
  }

private:
  rte_mempool& buffers_;
  std::array<std::uint16_t, max_ports> ethdevs_;
};

} // namespace glocal::dataplane
