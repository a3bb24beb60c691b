#pragma once
// The paths this edge sees, by id. Flows refer to a path by its slot, so one update of a slot re-steers them all.
//
// A slot is *known* (it has a program), *pending* (packets wait for the agent to resolve it) or *refused* (for a
// while). Threading: one thread. Only the constructor allocates; programs are swapped in and out.

#include "dataplane/switch/hash_index.hpp"
#include "dataplane/switch/path_program.hpp"

namespace glocal::dataplane {

class path_table {
public:
  enum class state : std::uint8_t { free, known, pending, refused };

  struct slot {
    std::uint32_t id = 0;
    state what = state::free;
    /// Rises with every change, also across uses of the slot: a flow that holds another value is out of date.
    std::uint32_t generation = 0;
    /// pending: the hold. refused: until when.
    std::uint32_t hold = none;
    std::uint64_t refused_until_ns = 0;
    /// known: where it is counted.
    std::uint16_t account = 0;
    path_program program;
  };

  explicit path_table(std::size_t capacity) : slots_(capacity), index_{capacity} {
    free_.reserve(capacity);
    for (auto i = static_cast<std::uint32_t>(capacity); i > 0; --i)
      free_.push_back(i - 1);
  }

  /// `none` if the path is in no state at all.
  [[nodiscard]] std::uint32_t find(std::uint32_t id) const noexcept {
    return index_.find(hash(id), [&](std::uint32_t candidate) { return slots_[candidate].id == id; });
  }

  /// A slot for a path that find() does not find; its state is for the caller to set. `none` when full.
  [[nodiscard]] std::uint32_t create(std::uint32_t id) noexcept {
    if (free_.empty() || !index_.insert(hash(id), free_.back()))
      return none;
    const auto index = free_.back();
    free_.pop_back();
    slots_[index].id = id;
    return index;
  }

  /// The program stays until it is swapped out by the next user of the slot: freeing is not for the lcore.
  void remove(std::uint32_t index) noexcept {
    auto& gone = slots_[index];
    index_.erase(hash(gone.id), index);
    gone.what = state::free;
    gone.hold = none;
    ++gone.generation;
    free_.push_back(index);
  }

  [[nodiscard]] slot& operator[](std::uint32_t index) noexcept { return slots_[index]; }
  [[nodiscard]] const slot& operator[](std::uint32_t index) const noexcept { return slots_[index]; }

private:
  /// Ids are small and even: spread them over both halves, which hash_index uses for bucket and tag.
  static std::uint64_t hash(std::uint32_t id) noexcept { return (std::uint64_t{id} + 1) * 0x9e3779b97f4a7c15u; }

  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_;
  hash_index index_;
};

} // namespace glocal::dataplane
