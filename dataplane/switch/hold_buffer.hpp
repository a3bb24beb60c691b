#pragma once
// Packets that wait for an answer: bounded per hold and in all, in order, and never longer than one time-out.
//
// A hold is opened for a subject (a flow, a path, a neighbour), filled, emptied from the front, and closed. The buffer
// decides nothing: who closes a hold, and what then happens to its packets, is the switch's to say.
// Threading: one thread. Only the constructor allocates. All operations are O(1).

#include "dataplane/switch/pool.hpp"

#include <cstdint>
#include <optional>

namespace glocal::dataplane {

struct hold_limits {
  /// `holds` is at most 65536: a slot is half a word of a hold's id.
  std::size_t holds = 0, items = 0;
  /// The same for all holds, so that the order of opening is the order of expiry.
  std::uint64_t timeout_ns = 0;
};

template <class Item, class Subject>
class hold_buffer {
public:
  enum class outcome : std::uint8_t { held, hold_full, buffer_full };

  explicit hold_buffer(const hold_limits& limits) : limits_{limits}, holds_{limits.holds}, nodes_{limits.items} {}

  /// A new empty hold for up to `max_items`, by slot; `none` when all are in use. `opened_ns` starts its time-out.
  [[nodiscard]] std::uint32_t open(const Subject& subject, std::uint64_t opened_ns, std::size_t max_items) noexcept {
    const auto slot = holds_.acquire();
    if (slot == none)
      return none;
    auto& made = holds_[slot];
    made.subject = subject;
    made.opened_ns = opened_ns;
    made.max_items = static_cast<std::uint32_t>(max_items);
    made.id = ++sequence_ << slot_bits | slot;
    made.older = newest_;
    (newest_ == none ? oldest_ : holds_[newest_].newer) = slot;
    newest_ = slot;
    return slot;
  }

  [[nodiscard]] outcome append(std::uint32_t slot, const Item& item) noexcept {
    auto& into = holds_[slot];
    if (into.count >= into.max_items)
      return outcome::hold_full;
    const auto index = nodes_.acquire();
    if (index == none)
      return outcome::buffer_full;
    nodes_[index].item = item;
    (into.last == none ? into.first : nodes_[into.last].next) = index;
    into.last = index;
    ++into.count;
    return outcome::held;
  }

  /// The item that has waited longest in the hold, which gives it up; nothing when it is empty.
  [[nodiscard]] std::optional<Item> take(std::uint32_t slot) noexcept {
    auto& from = holds_[slot];
    if (from.first == none)
      return std::nullopt;
    const auto index = from.first;
    const auto item = nodes_[index].item;
    from.first = nodes_[index].next;
    if (from.first == none)
      from.last = none;
    --from.count;
    nodes_.release(index);
    return item;
  }

  /// REQUIRES: the hold is empty.
  void close(std::uint32_t slot) noexcept {
    const auto& gone = holds_[slot];
    (gone.older == none ? oldest_ : holds_[gone.older].newer) = gone.newer;
    (gone.newer == none ? newest_ : holds_[gone.newer].older) = gone.older;
    holds_.release(slot);
  }

  /// The open hold with this id; `none` if there is none (any more).
  [[nodiscard]] std::uint32_t find(std::uint64_t id) const noexcept {
    const auto slot = static_cast<std::uint32_t>(id & ((1u << slot_bits) - 1));
    return id != 0 && slot < holds_.high_water() && holds_[slot].id == id ? slot : none;
  }

  /// The oldest hold if its time is up, else `none`.
  [[nodiscard]] std::uint32_t expired(std::uint64_t now_ns) const noexcept {
    return oldest_ != none && now_ns >= deadline() ? oldest_ : none;
  }
  /// When expired() will first say something; the end of time when nothing is held.
  [[nodiscard]] std::uint64_t deadline() const noexcept {
    return oldest_ == none ? UINT64_MAX : holds_[oldest_].opened_ns + limits_.timeout_ns;
  }

  [[nodiscard]] const Subject& subject(std::uint32_t slot) const noexcept { return holds_[slot].subject; }
  [[nodiscard]] std::uint64_t id(std::uint32_t slot) const noexcept { return holds_[slot].id; }
  [[nodiscard]] std::uint64_t opened_ns(std::uint32_t slot) const noexcept { return holds_[slot].opened_ns; }
  [[nodiscard]] std::size_t items() const noexcept { return nodes_.used(); }
  [[nodiscard]] std::size_t free_holds() const noexcept { return limits_.holds - holds_.used(); }
  [[nodiscard]] std::uint32_t oldest() const noexcept { return oldest_; }

private:
  /// Ids are sequence and slot; 48 bits of sequence last nine years at a million holds a second.
  static constexpr unsigned slot_bits = 16;

  struct hold {
    Subject subject{};
    std::uint64_t id = 0;
    std::uint64_t opened_ns = 0;
    std::uint32_t first = none, last = none, count = 0, max_items = 0;
    std::uint32_t older = none, newer = none;
  };
  struct node {
    Item item{};
    std::uint32_t next = none;
  };

  hold_limits limits_;
  pool<hold> holds_;
  pool<node> nodes_;
  std::uint32_t oldest_ = none, newest_ = none;
  std::uint64_t sequence_ = 0;
};

} // namespace glocal::dataplane
