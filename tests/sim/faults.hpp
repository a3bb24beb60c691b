#pragma once
// What goes wrong in a run, and how it ends. Never so much that an acknowledged write could not survive: a disk is
// wiped only while another member has everything.

#include "tests/sim/world.hpp"

#include <map>
#include <memory>
#include <vector>

namespace glocal::sim {

class faults {
public:
  faults(surroundings& world, std::vector<std::unique_ptr<node>>& nodes) : world_{world}, nodes_{nodes} {}

  /// Starts one; it ends by itself.
  void inject(fault what);
  /// A view that lets a member in has just been registered. Half of the time its primary does not hear so, loses the
  /// new member and then everybody, and the new member is the first who can take over: the moment rule 5 is for.
  /// True: no hint of the view gets through.
  bool ambush(const store::slot_view& before, const store::slot_view& now);
  /// Ends all, now.
  void heal();
  /// Decides who should hold the slot; nodes hear so one after the other.
  void place(store::placement_event where);
  [[nodiscard]] const store::placement_event& placement() const noexcept { return placement_; }

private:
  void crash(std::size_t which, bool wiped);
  void cut(const std::vector<std::pair<std::size_t, std::size_t>>& links, duration length);
  void move();
  [[nodiscard]] bool may_wipe(std::size_t which) const;
  [[nodiscard]] duration length(int low_ms, int high_ms) {
    return world_.rolls.between(std::chrono::milliseconds{low_ms}, std::chrono::milliseconds{high_ms});
  }
  /// Half of the time the primary, where faults hurt most.
  [[nodiscard]] std::size_t victim();
  /// Runs `what` later, unless everything was healed in between.
  void later(duration delay, std::function<void()> what);

  surroundings& world_;
  std::vector<std::unique_ptr<node>>& nodes_;
  store::placement_event placement_;
  std::uint64_t placements_ = 0;
  std::uint64_t round_ = 0;
  bool ambushed_ = false, healed_ = false;
  int ambushes_left_ = 2; // a third one would leave a run no time for anything else
  std::map<std::size_t, duration> jumped_;
};

} // namespace glocal::sim
