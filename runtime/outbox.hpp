#pragma once
// Frames on their way to one socket: appended by any thread, written by one at a time, in large pieces.
//
// Whoever appends to an outbox that nobody looks after has to see to it that it is written: right there, or by handing
// it to the I/O thread. Until then, and while it is being written or waits for the socket, others only append: their
// frames go with the next piece. So a burst costs one wake-up and a few system calls, and a single message on an idle
// connection costs one system call on its sender's own thread, and no change of threads.
//
// Invariants: at most one thread is responsible at a time; bytes leave in the order they were appended.
// Threading: thread-safe. Free of CAF and sockets.

#include "runtime/buffer_pool.hpp"
#include "runtime/frame.hpp"

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace glocal::runtime {

class outbox {
public:
  enum class outcome {
    /// All is written; nobody is responsible any more.
    empty,
    /// The socket takes no more now. The caller stays responsible.
    blocked,
    /// More was appended meanwhile. The caller stays responsible.
    more,
    /// The socket is broken. The caller stays responsible: nobody else will look after it.
    broken
  };

  /// @return true when the caller is now responsible.
  [[nodiscard]] bool append(const frame_header& header, byte_view payload) {
    const std::scoped_lock lock{mutex_};
    const auto size = frame_header_bytes + payload.size();
    append_frame(piece_with_room(size), header, payload);
    add(appended_, size);
    return !std::exchange(claimed_, true);
  }
  /// Frames that were encoded before.
  [[nodiscard]] bool append(std::vector<char>&& frames);
  /// For what is to be written without frames (a filter's own records): `write` will be called. @return as append.
  [[nodiscard]] bool claim();

  /// Bytes appended and not written.
  [[nodiscard]] std::size_t queued() const noexcept {
    // In this order: what was written was appended before.
    const auto taken = taken_.load(std::memory_order_acquire);
    return static_cast<std::size_t>(appended_.load(std::memory_order_relaxed) - taken);
  }

  /// Writes by `write(byte_view) -> std::ptrdiff_t`: bytes taken, fewer than given when it would block, negative when
  /// broken. It is called at least once, with nothing if there is nothing. REQUIRES: the caller is responsible.
  /// @param rounds pieces to write at most: an actor's thread has other things to do.
  template <class Write>
  [[nodiscard]] outcome flush(Write&& write, int rounds) {
    for (bool first = true;; first = false) {
      if (written_ == writing_.size()) {
        const std::scoped_lock lock{mutex_};
        recycle(std::exchange(writing_, {}));
        written_ = 0;
        if (pending_.empty() && !first && !std::exchange(attention_, false)) {
          claimed_ = false;
          return outcome::empty;
        }
        if (!pending_.empty()) {
          writing_ = std::move(pending_.front());
          pending_.pop_front();
        }
      }
      if (rounds-- == 0)
        return outcome::more;
      const auto rest = std::as_bytes(std::span{writing_}).subspan(written_);
      const auto taken = write(rest);
      if (taken < 0)
        return outcome::broken;
      written_ += static_cast<std::size_t>(taken);
      add(taken_, static_cast<std::uint64_t>(taken));
      if (static_cast<std::size_t>(taken) < rest.size())
        return outcome::blocked;
    }
  }

private:
  /// Frames that are written together. They are never moved: one buffer for all that waits would grow under a flood by
  /// copying itself.
  static constexpr std::size_t piece_bytes = buffer_pool::buffer_bytes;

  [[nodiscard]] std::vector<char>& piece_with_room(std::size_t size);
  void recycle(std::vector<char>&& piece);

  // Totals with one writer at a time each, who needs no read-modify-write: `appended_` under `mutex_`, `taken_` of who
  // is responsible. One counter that both change would need one, or lose a change.
  static void add(std::atomic<std::uint64_t>& total, std::uint64_t bytes) noexcept {
    total.store(total.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
  }

  std::mutex mutex_;
  std::deque<std::vector<char>> pending_;
  /// For the next message on an idle connection; as large as such messages were.
  std::vector<char> spare_;
  bool claimed_ = false;
  /// `write` is to be called once more.
  bool attention_ = false;
  std::atomic<std::uint64_t> appended_{0}, taken_{0};
  // Of who is responsible.
  std::vector<char> writing_;
  std::size_t written_ = 0;
};

} // namespace glocal::runtime
