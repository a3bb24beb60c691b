#pragma once
// The watches of one slot: who watches what, and the history from which a broken watch resumes.
//
// Records of one table reach a subscription in the order of their revisions, without gaps: what the first ones
// (snapshot or resumed) say is exactly what the later ones continue. Pure value; when records may be told is its
// caller's business.

#include "store/slot_table.hpp"

#include <deque>
#include <map>

namespace glocal::store {

/// Bounds of the history a slot keeps for watches that resume. Volatile tables keep none: they resume by snapshot.
struct slot_options {
  std::size_t history_changes = 4096;
  std::size_t history_bytes = std::size_t{1} << 20;
};

class watch_hub {
public:
  /// @param floor what the state already holds: changes up to it are in no history.
  watch_hub(slot_id slot, const slot_options& options, revision floor);

  /// Adds (or replaces) the subscription and gives its first records: what followed `from` up to revision `at`, or a
  /// snapshot of `state`. @param newest the highest revision a resume may name; beyond it, it gets a snapshot.
  [[nodiscard]] publish_action subscribe(const subscribe_event& event, const slot_table& state, revision at,
                                         revision newest);
  void unsubscribe(subscription_id id) { subscriptions_.erase(id); }
  /// Remembers the records and gives them to those who watch them. Consecutive ones for the same subscriptions share
  /// one action, and so one message and one frame; an action never mixes volatile and other tables.
  [[nodiscard]] std::vector<publish_action> publish(std::vector<watch_record> records);
  /// Forgets the history: the state was replaced as a whole. Everybody subscribed gets a snapshot of it, but those who
  /// came from a replica that was ahead of it: they wait until this one has caught up.
  [[nodiscard]] std::vector<publish_action> reset(const slot_table& state);

  [[nodiscard]] std::size_t subscription_count() const noexcept { return subscriptions_.size(); }

private:
  struct subscription {
    table of{};
    std::string prefix;
    /// Seen elsewhere before it came here.
    revision from = 0;
  };
  void remember(const watch_record& record);
  [[nodiscard]] publish_action snapshot(subscription_id id, const subscription& of, const slot_table& state,
                                        revision at, bool compacted) const;

  slot_id slot_;
  slot_options options_;
  std::map<subscription_id, subscription> subscriptions_;
  std::deque<watch_record> history_;
  std::size_t history_bytes_ = 0;
  /// Changes up to here are no longer in history_.
  revision floor_;
};

} // namespace glocal::store
