#pragma once
// Messages that reached nobody, counted by sender, receiver and type.
//
// Threading: thread-safe.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace glocal::runtime {

/// Where letters are alike. Names of actors, with `@NODE` behind it for one on another node.
struct dead_letter {
  std::string from{}, to{};
  /// Of a message between nodes; 0 for any other.
  std::uint16_t kind = 0;
  /// What a message that is none of those is made of: "persist", "tick".
  std::string type{};
  /// A request of this node that another node sent back because it has nobody of that name. That node has counted it
  /// too.
  bool returned = false;

  auto operator<=>(const dead_letter&) const = default;
};

using letter_counts = std::map<dead_letter, std::uint64_t>;

class dead_letters {
public:
  /// Names come from peers, so beyond `max_keys` what is new counts under `other`.
  static constexpr std::size_t max_keys = 256;
  /// Longer names are cut.
  static constexpr std::size_t max_name_bytes = 128;
  static constexpr auto other = "(other)";

  void count(dead_letter letter);
  /// Adds what was counted so far to `sums`.
  void add_to(letter_counts& sums) const;

private:
  mutable std::mutex mutex_;
  letter_counts counts_;
};

} // namespace glocal::runtime
