#pragma once
// Who answers to which name on this node: "store", "edge/e1/service/web".
//
// Invariants: a name belongs to one actor; the newest registration wins; an entry goes when its actor ends, whoever
// forgot to remove it. Threading: thread-safe.
// Ownership: the directory holds strong handles, so a registered actor does not die of being unreferenced; `clear`
// before the actor system's end.

#include "runtime/dead_letters.hpp"

#include <caf/actor.hpp>

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

  /// Messages to names nobody has.
  [[nodiscard]] dead_letters& letters() noexcept { return letters_; }
  [[nodiscard]] const dead_letters& letters() const noexcept { return letters_; }

private:
  struct state;
  // Shared with the functions that actors run at their end, which may be after this object's.
  std::shared_ptr<state> state_;
  dead_letters letters_;
};

} // namespace glocal::runtime
