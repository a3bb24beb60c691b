#pragma once
// How much a node may have under way to a peer, so that a flood at a slow or stalled receiver, actor or process, takes
// bounded memory on both sides. Pure: no socket, no actor.
//
// The rule: each direction of a connection has a window, which the receiver names in its hello. Casts and requests
// count from the moment they are sent until the receiver has handled them: until the last reference to the bytes they
// came in is gone. The receiver says how much that is, as a running total, in `credit` frames. While a whole window is
// under way the sender accepts no more: requests fail as `overloaded`, casts are lost and counted, and who asked for it
// is told when there is room again. Nothing that was accepted waits for credit, so control frames and replies always
// pass and the order never changes. Replies do not count: the requester asked for them, and max_outstanding bounds
// them.
//
// One window per connection is one stalled actor away from refusing messages to its neighbours. The alternative, a
// window per pair of actors, has no bound that does not grow with the number of actors.

#include "base/bytes.hpp"
#include "runtime/buffer_pool.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace glocal::runtime {

/// What a message takes beside its payload, in mailboxes and tables of either side.
inline constexpr std::size_t message_overhead_bytes = 256;

/// What one request or cast counts.
[[nodiscard]] constexpr std::uint64_t flow_cost(std::size_t payload_bytes) noexcept {
  return payload_bytes + message_overhead_bytes;
}

/// Sending end of one direction. Not thread-safe.
class send_window {
public:
  void reset(std::uint64_t size_bytes) noexcept { *this = send_window{size_bytes}; }
  /// What is under way stays so.
  void resize(std::uint64_t size_bytes) noexcept { size_ = size_bytes; }

  /// Also a message that is larger than the window has its turn, when there is room at all.
  [[nodiscard]] bool has_room() const noexcept { return under_way() < size_; }
  [[nodiscard]] bool half_empty() const noexcept { return under_way() <= size_ / 2; }
  [[nodiscard]] std::uint64_t under_way() const noexcept { return sent_ - handled_; }
  void sent(std::uint64_t cost) noexcept { sent_ += cost; }
  /// The peer's running total. False for one that goes back, or beyond what was sent.
  [[nodiscard]] bool credit(std::uint64_t handled) noexcept {
    if (handled < handled_ || handled > sent_)
      return false;
    handled_ = handled;
    return true;
  }

  send_window() = default;
  explicit send_window(std::uint64_t size_bytes) noexcept : size_{size_bytes} {}

private:
  std::uint64_t size_ = 0, sent_ = 0, handled_ = 0;
};

/// Receiving end of one direction: what arrived and what of it was handled. Thread-safe: messages end anywhere.
class receive_window {
public:
  /// @param announce told the total when a part of the window has become free; called on the thread that handled last,
  /// and by one at a time.
  receive_window(std::uint64_t size_bytes, std::function<void(std::uint64_t handled)> announce)
      : size_{size_bytes}, announce_{std::move(announce)} {}

  /// False when the peer sends more than the window allows. One message may overshoot it, and one more may have been
  /// counted otherwise by a peer of another version. Receiving thread only.
  [[nodiscard]] bool arrived(std::uint64_t cost, std::uint64_t largest_message) noexcept {
    arrived_ += cost;
    return arrived_ - handled_.load(std::memory_order_relaxed) <= size_ + 2 * flow_cost(largest_message);
  }

  void handled(std::uint64_t cost) {
    const auto total = handled_.fetch_add(cost, std::memory_order_acq_rel) + cost;
    if (total - announced_.load(std::memory_order_acquire) < step() || busy_.exchange(true, std::memory_order_acq_rel))
      return;
    // Whoever adds to it meanwhile finds `busy_` set and leaves; hence the second look.
    for (;;) {
      const auto now = handled_.load(std::memory_order_acquire);
      if (now - announced_.load(std::memory_order_relaxed) >= step()) {
        announced_.store(now, std::memory_order_release);
        announce_(now);
      }
      busy_.store(false, std::memory_order_seq_cst);
      if (handled_.load(std::memory_order_seq_cst) - announced_.load(std::memory_order_relaxed) < step() ||
          busy_.exchange(true, std::memory_order_acq_rel))
        return;
    }
  }

private:
  /// Credit comes in eighths of the window: the sender never has to wait for the last one, and a frame of credit
  /// answers hundreds of messages.
  [[nodiscard]] std::uint64_t step() const noexcept { return size_ / 8 + 1; }

  const std::uint64_t size_;
  const std::function<void(std::uint64_t)> announce_;
  std::uint64_t arrived_ = 0;
  std::atomic<std::uint64_t> handled_{0}, announced_{0};
  std::atomic<bool> busy_{false};
};

/// Frames that were read together; messages are slices of it. What it counts is handled when it ends.
class received_run {
public:
  /// Copies `run`. Cost: one copy and at most one allocation for all of its messages.
  explicit received_run(byte_view run) {
    // A buffer is for what fills it: a small message that waits must not hold a large one.
    if (run.size() > buffer_pool::buffer_bytes / 2 && run.size() <= buffer_pool::buffer_bytes)
      raw_ = buffer_pool::shared().take();
    const auto* begin = reinterpret_cast<const char*>(run.data());
    raw_.assign(begin, begin + run.size());
  }
  ~received_run() {
    buffer_pool::shared().give(std::move(raw_));
    if (window_)
      window_->handled(cost_);
  }
  received_run(const received_run&) = delete;
  received_run& operator=(const received_run&) = delete;

  [[nodiscard]] byte_view view() const noexcept { return std::as_bytes(std::span{raw_}); }
  void count(std::shared_ptr<receive_window> window, std::uint64_t cost) noexcept {
    window_ = std::move(window);
    cost_ = cost;
  }

private:
  std::vector<char> raw_;
  std::shared_ptr<receive_window> window_;
  std::uint64_t cost_ = 0;
};

} // namespace glocal::runtime
