#pragma once
// Who answers to which name on this node: "store", "edge/e1/service/web".
//
// Invariants: a name belongs to one actor; the newest registration wins; an entry goes when its actor ends, whoever
// forgot to remove it. Threading: thread-safe.
// Ownership: the directory holds strong handles, so a registered actor does not die of being unreferenced; `clear`
// before the actor system's end.

#include <caf/actor.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glocal::runtime {

class directory {
public:
  directory();
  ~directory();
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;

  /// From now on `name` is `who`, until `who` ends, another takes the name, or it is removed.
  void add(const std::string& name, const caf::actor& who);
  /// Frees the name if it still belongs to `who`: the former owner can't evict its successor.
  void remove(const std::string& name, const caf::actor& who);
  /// Null when nobody has the name. Cost: about 50 ns.
  [[nodiscard]] caf::actor find(std::string_view name) const;
  [[nodiscard]] std::vector<std::pair<std::string, caf::actor>> entries() const;
  void clear();

  /// Counts a message to nobody.
  void note_dead_letter(std::string_view name, std::uint16_t kind);
  /// (target, kind) → messages. Names come from peers, so beyond `max_dead_letter_keys` new ones count under "(other)".
  [[nodiscard]] std::map<std::pair<std::string, std::uint16_t>, std::uint64_t> dead_letters() const;
  static constexpr std::size_t max_dead_letter_keys = 256;

private:
  struct state;
  // Shared with the functions that actors run at their end, which may be after this object's.
  std::shared_ptr<state> state_;
};

} // namespace glocal::runtime
