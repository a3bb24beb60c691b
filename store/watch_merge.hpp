#pragma once
// A client's side of one watch: merges the streams of several nodes into watch_events, and knows from where to resume.
//
// Pure value. Keeps the watched keys (not their values) to turn a snapshot into the erasures it implies; watches are
// for small prefixes (digests, paths, catalogue), never for `flows`.

#include "store/slot_state.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace glocal::store {

class watch_merge {
public:
  using sink = std::function<void(const watch_event&)>;

  /// @param slots of each node, in the order of the node indices used below.
  /// @param from what its watcher has seen before, elsewhere. Which keys it knows is not known here: where changes were
  /// missed, it is told `compacted`, once, and no more of that slot.
  watch_merge(table of, std::vector<std::vector<slot_id>> slots, const std::vector<slot_revision>& from = {});

  /// The stream of `node` runs (again); records follow.
  void connected(std::size_t node);
  /// The stream of `node` is gone, silent or can't be opened. Emits `suspect`, once until the next `live`.
  void lost(std::size_t node, const sink& emit);
  /// Records of `node` in their order. Those of slots it does not own, and old ones, are ignored.
  void deliver(std::size_t node, std::vector<watch_record> records, const sink& emit);

  /// What to say when subscribing at `node` again.
  [[nodiscard]] std::vector<slot_revision> resume_points(std::size_t node) const;
  /// How far each slot was delivered, ascending; without those of which nothing was.
  [[nodiscard]] std::vector<slot_revision> positions() const;
  [[nodiscard]] bool live() const noexcept { return live_; }
  [[nodiscard]] std::size_t key_count() const noexcept;

private:
  struct slot_stream {
    std::size_t node = 0;
    /// Up to which revision changes were delivered; absent before the first snapshot ended.
    std::optional<revision> at;
    /// Since the stream (re)started, its snapshot has ended or it was resumed.
    bool current = false;
    /// It began at a given revision / and that was too long ago.
    bool given = false, compacted = false;
    /// Watched key → named by the snapshot that runs.
    std::map<std::string, bool, std::less<>> keys;
  };
  void restart(std::size_t node);
  void deliver(slot_id slot, slot_stream& stream, watch_record& record, const sink& emit);

  table of_;
  std::vector<std::vector<slot_id>> slots_;
  std::map<slot_id, slot_stream> streams_;
  /// Slots that are not current.
  std::size_t behind_ = 0;
  bool live_ = false, suspect_ = false, repairing_ = false;
};

} // namespace glocal::store
