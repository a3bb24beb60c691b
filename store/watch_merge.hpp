#pragma once
// A client's side of one watch: merges several streams, each of some slots, into watch_events, and knows from where to
// resume. A slot may go from one stream to another at any time.
//
// Pure value. Keeps the watched keys (not their values) to turn a snapshot into the erasures it implies; watches are
// for small prefixes (digests, paths, catalogue), never for `flows`.

#include "store/slot_state.hpp"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace glocal::store {

class watch_merge {
public:
  using sink = std::function<void(const watch_event&)>;

  /// @param slots that the streams 0, 1, … carry at first.
  /// @param from what its watcher has seen before, elsewhere. Which keys it knows is not known here: where changes were
  /// missed, it is told `compacted`, once, and no more of that slot.
  watch_merge(table of, std::vector<std::vector<slot_id>> slots, const std::vector<slot_revision>& from = {});

  /// `stream` runs (again) and carries `slots`, which the ones before do no longer; records follow.
  void connected(std::size_t stream, std::span<const slot_id> slots);
  /// `stream` is gone, silent or can't be opened. Emits `suspect`, once until the next `live`.
  void lost(std::size_t stream, const sink& emit);
  /// Records of `stream` in their order. Those of slots it does not carry, and old ones, are ignored.
  void deliver(std::size_t stream, std::vector<watch_record> records, const sink& emit);

  /// What to say when subscribing to `slots` again.
  [[nodiscard]] std::vector<slot_revision> resume_points(std::span<const slot_id> slots) const;
  /// How far each slot was delivered, ascending; without those of which nothing was.
  [[nodiscard]] std::vector<slot_revision> positions() const;
  [[nodiscard]] bool live() const noexcept { return live_; }
  [[nodiscard]] std::size_t key_count() const noexcept;

private:
  struct slot_stream {
    std::size_t carrier = 0;
    /// Up to which revision changes were delivered; absent before the first snapshot ended.
    std::optional<revision> at;
    /// Since the stream (re)started, its snapshot has ended or it was resumed.
    bool current = false;
    /// It began at a given revision / and that was too long ago.
    bool given = false, compacted = false;
    /// Watched key → named by the snapshot that runs.
    std::map<std::string, bool, std::less<>> keys;
  };
  void restart(slot_stream& stream);
  void deliver(slot_id slot, slot_stream& stream, watch_record& record, const sink& emit);

  table of_;
  std::map<slot_id, slot_stream> streams_;
  /// Slots that are not current.
  std::size_t behind_ = 0;
  bool live_ = false, suspect_ = false, repairing_ = false;
};

} // namespace glocal::store
