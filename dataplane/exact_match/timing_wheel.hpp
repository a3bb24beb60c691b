#pragma once
// When elements fall due, by index: O(1) to schedule, move and cancel, and work only for what is due.
//
// One wheel of `slots` ticks. What lies beyond its horizon waits at the horizon and is looked at there, so an element's
// owner must check whether it is really due and else schedule it again. That also makes idle time-outs free for the
// fast path: a packet writes the time it came, and the wheel asks only when the old time-out has come.
//
// Threading: one thread. Only the constructor allocates. Source: Varghese and Lauck, "Hashed and Hierarchical Timing
// Wheels", SOSP 1987 (scheme 6, with lazy renewal).

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace glocal::dataplane {

class timing_wheel {
public:
  /// Ticks ahead that are told apart: with ticks of 64 ms a little more than a minute, the usual idle time-out.
  static constexpr std::size_t slots = 1024;

  /// For elements 0 .. capacity - 1. @param tick_ns what is due is late by up to one tick.
  timing_wheel(std::size_t capacity, std::uint64_t tick_ns) : tick_ns_{tick_ns}, links_(capacity) {
    first_.fill(nothing);
  }

  /// Puts `element` where `due_ns` is, taking it from where it was.
  void schedule(std::uint32_t element, std::uint64_t due_ns) noexcept {
    cancel(element);
    // Never as far as the slot whose elements expire() is calling for, which has been passed by then.
    const auto tick = std::clamp(due_ns / tick_ns_ + 1, next_tick_, next_tick_ + slots - 2);
    const auto slot = static_cast<std::uint32_t>(tick % slots);
    links_[element] = {nothing, first_[slot], slot};
    if (first_[slot] != nothing)
      links_[first_[slot]].before = element;
    first_[slot] = element;
    occupied_[slot / 64] |= std::uint64_t{1} << slot % 64;
    deadline_ns_ = std::min(deadline_ns_, tick * tick_ns_);
    ++size_;
  }

  void cancel(std::uint32_t element) noexcept {
    auto& gone = links_[element];
    if (gone.slot == nothing)
      return;
    (gone.before == nothing ? first_[gone.slot] : links_[gone.before].after) = gone.after;
    if (gone.after != nothing)
      links_[gone.after].before = gone.before;
    if (first_[gone.slot] == nothing)
      occupied_[gone.slot / 64] &= ~(std::uint64_t{1} << gone.slot % 64);
    gone = {};
    --size_;
  }

  /// Takes out up to `max_elements` whose tick has come and calls `due(element)` for each, which may schedule any
  /// element. What is left over comes first the next time.
  template <class Due>
  void expire(std::uint64_t now_ns, std::size_t max_elements, Due&& due) noexcept {
    const auto now_tick = now_ns / tick_ns_;
    // After a long silence one turn sees every slot.
    if (now_tick >= next_tick_ + slots)
      next_tick_ = now_tick - slots + 1;
    for (; next_tick_ <= now_tick; ++next_tick_)
      for (auto& first = first_[next_tick_ % slots]; first != nothing; --max_elements) {
        if (max_elements == 0) {
          deadline_ns_ = next_tick_ * tick_ns_;
          return;
        }
        const auto element = first;
        cancel(element);
        ++next_tick_; // what is scheduled again goes to a later tick
        due(element);
        --next_tick_;
      }
    deadline_ns_ = next_deadline();
  }

  /// expire() has nothing to do before; the end of time when nothing is scheduled.
  [[nodiscard]] std::uint64_t deadline() const noexcept { return size_ == 0 ? UINT64_MAX : deadline_ns_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
  static constexpr std::uint32_t nothing = 0xffff'ffff;
  struct link {
    std::uint32_t before = nothing, after = nothing, slot = nothing;
  };

  [[nodiscard]] std::uint64_t next_deadline() const noexcept {
    for (std::uint64_t ahead = 0; ahead < slots;) {
      const auto slot = (next_tick_ + ahead) % slots;
      const auto rest = occupied_[slot / 64] >> slot % 64;
      if (rest != 0)
        return (next_tick_ + ahead + static_cast<unsigned>(std::countr_zero(rest))) * tick_ns_;
      ahead += 64 - slot % 64;
    }
    // A turn that began inside a word of the map has passed its first part only now.
    return size_ == 0 ? UINT64_MAX : (next_tick_ + slots - 1) * tick_ns_;
  }

  std::uint64_t tick_ns_;
  /// The first tick that was not looked at.
  std::uint64_t next_tick_ = 0;
  std::uint64_t deadline_ns_ = UINT64_MAX;
  std::size_t size_ = 0;
  std::vector<link> links_;
  std::array<std::uint32_t, slots> first_;
  std::array<std::uint64_t, slots / 64> occupied_{};
};

} // namespace glocal::dataplane
