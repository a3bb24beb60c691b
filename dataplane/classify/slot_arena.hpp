#pragma once
// The slots of a forest: one region that never moves, handed out in runs.
//
// Invariants: slot 0 is never handed out; behind the last slot handed out lies one more that may be read.
// Threading: one writer.

#include "dataplane/classify/huge_memory.hpp"

#include <array>
#include <cstring>
#include <map>
#include <vector>

namespace glocal::dataplane {

template <std::size_t Words>
class slot_arena {
public:
  static constexpr std::size_t slot_bytes = Words * 8;

  /// Takes at most `max_bytes`, from the machine as it grows.
  explicit slot_arena(std::size_t max_bytes) : max_bytes_{max_bytes} {}

  /// The first of `count` slots side by side, 0 when there is no memory. Runs of more than one begin at an even slot,
  /// so that two rules share a line; so do those that ask for it. Slots that were used before are not cleared.
  [[nodiscard]] std::uint32_t allocate(std::uint32_t count, bool even = false) {
    even = even || count > 1;
    if (const auto reused = reuse(count, even); reused != 0)
      return reused;
    if (even && next_ % 2 == 1) {
      if (!reserve(next_ + 1))
        return 0;
      release(next_++, 1);
    }
    if (!reserve(next_ + std::uint64_t{count}))
      return 0;
    const auto first = next_;
    next_ += count;
    used_ += count;
    return static_cast<std::uint32_t>(first);
  }

  /// Gives a run back; the caller knows that nobody reads it.
  void free(std::uint32_t first, std::uint32_t count) {
    used_ -= count;
    release(first, count);
  }

  [[nodiscard]] std::byte* data() const noexcept { return memory_.data(); }
  [[nodiscard]] std::byte* slot(std::uint32_t at) const noexcept { return memory_.data() + at * slot_bytes; }
  [[nodiscard]] std::uint64_t* word(std::uint32_t slot_at, std::size_t index = 0) const noexcept {
    return reinterpret_cast<std::uint64_t*>(slot(slot_at)) + index;
  }
  /// Bytes up to the last slot ever handed out.
  [[nodiscard]] std::size_t bytes() const noexcept { return next_ * slot_bytes; }
  [[nodiscard]] page_kind pages() const noexcept { return memory_.kind(); }

private:
  static constexpr std::uint32_t short_run = 64;

  [[nodiscard]] bool reserve(std::uint64_t slots) {
    const auto bytes = (slots + 1) * slot_bytes;
    if (bytes > max_bytes_ || slots > UINT32_MAX - 2)
      return false;
    if (memory_.data() == nullptr) {
      // Where addresses are short (ulimit -v), fewer of them.
      auto reserved = huge_memory::reserve(max_bytes_);
      for (auto less = max_bytes_ / 4; !reserved && less >= bytes; less /= 4)
        reserved = huge_memory::reserve(less);
      if (!reserved)
        return false;
      memory_ = std::move(*reserved);
    }
    return memory_.grow(bytes);
  }

  /// Runs that may begin anywhere take what begins at an odd slot first, which the others can't use.
  [[nodiscard]] std::uint32_t reuse(std::uint32_t count, bool even) {
    for (const std::size_t parity : {1u, 0u}) {
      if (even && parity == 1)
        continue;
      auto& free = count < short_run ? short_[count][parity] : long_[count][parity];
      if (free.empty())
        continue;
      const auto first = free.back();
      free.pop_back();
      used_ += count;
      return first;
    }
    return 0;
  }
  void release(std::uint64_t first, std::uint32_t count) {
    auto& free = count < short_run ? short_[count] : long_[count];
    free[first % 2].push_back(static_cast<std::uint32_t>(first));
  }

  using runs = std::array<std::vector<std::uint32_t>, 2>;

  huge_memory memory_;
  std::size_t max_bytes_;
  std::uint64_t next_ = 2, used_ = 0;
  /// Free runs by length, those that begin at even and at odd slots apart.
  std::array<runs, short_run> short_;
  std::map<std::uint32_t, runs> long_;
};

} // namespace glocal::dataplane
