#pragma once
// Buffers of one size that go round: what is being sent and what was received. Fresh ones cost page faults: under a
// flood of 1 KiB messages a third of the sending actor's time and a sixth of the receiving thread's.
// Threading: thread-safe; one lock per 64 KiB.

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace glocal::runtime {

class buffer_pool {
public:
  static constexpr std::size_t buffer_bytes = std::size_t{64} << 10;

  /// Of the process. Never destroyed: messages may outlive all else.
  [[nodiscard]] static buffer_pool& shared() {
    static auto& pool = *new buffer_pool;
    return pool;
  }

  /// Empty, with room for buffer_bytes.
  [[nodiscard]] std::vector<char> take() {
    std::vector<char> out;
    {
      const std::scoped_lock lock{mutex_};
      if (!spare_.empty()) {
        out = std::move(spare_.back());
        spare_.pop_back();
      }
    }
    out.reserve(buffer_bytes);
    return out;
  }
  /// Keeps it if it is one of that size and not too many are there.
  void give(std::vector<char>&& buffer) noexcept {
    buffer.clear();
    if (buffer.capacity() < buffer_bytes || buffer.capacity() > 2 * buffer_bytes)
      return;
    const std::scoped_lock lock{mutex_};
    if (spare_.size() < max_spare)
      spare_.push_back(std::move(buffer));
  }

private:
  /// One window each way: 8 MiB at most.
  static constexpr std::size_t max_spare = 128;

  buffer_pool() { spare_.reserve(max_spare); }

  std::mutex mutex_;
  std::vector<std::vector<char>> spare_;
};

} // namespace glocal::runtime
