#pragma once
// Bounded single-producer single-consumer queue: the border between an lcore and an actor.
//
// Threading: one producer thread and one consumer thread at a time; either may differ from the creator.
// Wake-up protocol (no wake-up is lost): the producer enqueues, then `if (ring.disarm()) wake()`; the consumer drains,
// calls `arm()`, and re-checks `empty()` before it sleeps. A wake costs the producer microseconds, a push nanoseconds,
// so wake-ups happen only when the consumer says that it sleeps.

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

namespace glocal {

template <class T>
class spsc_ring {
public:
  /// @param capacity rounded up to a power of two; at least 2.
  explicit spsc_ring(std::size_t capacity)
      : mask_{std::bit_ceil(capacity < 2 ? std::size_t{2} : capacity) - 1}, slots_{std::make_unique<T[]>(mask_ + 1)} {}

  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

  /// False when full; `value` is then untouched. Producer only.
  [[nodiscard]] bool push(T&& value) noexcept {
    const auto tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ > mask_) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ > mask_)
        return false;
    }
    slots_[tail & mask_] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// False when empty. Consumer only.
  [[nodiscard]] bool pop(T& out) noexcept {
    const auto head = head_.load(std::memory_order_relaxed);
    if (head == cached_tail_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head == cached_tail_)
        return false;
    }
    out = std::move(slots_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  [[nodiscard]] bool empty() const noexcept {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }
  /// Elements queued: exact for the two threads when the other rests, else a recent value.
  [[nodiscard]] std::size_t size() const noexcept {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }

  /// Consumer: from now on the producer must wake me. Check `empty()` again afterwards.
  void arm() noexcept { armed_.store(true, std::memory_order_seq_cst); }
  /// Producer, after a push: true when the consumer sleeps and has to be woken, once.
  [[nodiscard]] bool disarm() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return armed_.load(std::memory_order_relaxed) && armed_.exchange(false, std::memory_order_seq_cst);
  }

private:
  static constexpr std::size_t cache_line = 64;

  const std::size_t mask_;
  const std::unique_ptr<T[]> slots_;
  alignas(cache_line) std::atomic<std::size_t> head_{0};
  std::size_t cached_tail_ = 0;
  alignas(cache_line) std::atomic<std::size_t> tail_{0};
  std::size_t cached_head_ = 0;
  alignas(cache_line) std::atomic<bool> armed_{true};
};

} // namespace glocal
