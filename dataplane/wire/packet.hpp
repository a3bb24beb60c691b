#pragma once
// A frame in somebody's buffer: what moves through the data plane instead of mbufs, so that it tests without DPDK.
//
// Invariants: [data - headroom, data + length + tailroom) is one buffer, owned by whoever gave out `handle` (an mbuf in
// the edge, a vector in tests). Copying a packet copies the view. One lcore owns a packet at a time.

#include "base/bytes.hpp"
#include "dataplane/wire/port_id.hpp"

#include <cstdint>
#include <type_traits>

namespace glocal::dataplane {

/// Names one packet on its whole way over all edges, when somebody traces it; 0: nobody does. 48 bits, so that it fits
/// into what a packet has room for.
using trace_id = std::uint64_t;
inline constexpr trace_id max_trace_id = (trace_id{1} << 48) - 1;

struct packet {
  std::byte* data = nullptr;
  /// Opaque to all but the owner of the buffer.
  void* handle = nullptr;
  std::uint32_t length = 0;
  /// Free bytes before and after the frame.
  std::uint16_t headroom = 0, tailroom = 0;
  port_id in_port = 0;
  /// Of the trace id, see trace().
  std::uint16_t trace_high = 0;
  std::uint32_t trace_low = 0;

  [[nodiscard]] bool is_traced() const noexcept { return (trace_low | trace_high) != 0; }
  [[nodiscard]] trace_id trace() const noexcept { return trace_id{trace_high} << 32 | trace_low; }
  /// REQUIRES: id <= max_trace_id.
  void set_trace(trace_id id) noexcept {
    trace_high = static_cast<std::uint16_t>(id >> 32);
    trace_low = static_cast<std::uint32_t>(id);
  }

  [[nodiscard]] byte_view view() const noexcept { return {data, length}; }

  /// Grows the frame by `count` bytes at its front and returns the new front; nullptr, and no change, without headroom.
  [[nodiscard]] std::byte* prepend(std::size_t count) noexcept {
    if (count > headroom)
      return nullptr;
    data -= count;
    length += static_cast<std::uint32_t>(count);
    headroom = static_cast<std::uint16_t>(headroom - count);
    return data;
  }

  /// Cuts `count` bytes off the front. REQUIRES: count <= length.
  void trim_front(std::size_t count) noexcept {
    data += count;
    length -= static_cast<std::uint32_t>(count);
    headroom = static_cast<std::uint16_t>(headroom + count);
  }

  /// Moves the end of the frame; bytes gained are whatever the buffer held. False, and no change, without tailroom.
  [[nodiscard]] bool set_length(std::size_t bytes) noexcept {
    const auto room = std::size_t{length} + tailroom;
    if (bytes > room)
      return false;
    tailroom = static_cast<std::uint16_t>(room - bytes);
    length = static_cast<std::uint32_t>(bytes);
    return true;
  }
};

static_assert(std::is_trivially_copyable_v<packet> && sizeof(packet) <= 32);

} // namespace glocal::dataplane
