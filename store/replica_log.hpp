#pragma once
// The tail of a slot's log that a replica holds in memory: entries after `base`, contiguous.
//
// Invariants: indices grow by one; epochs never fall. Pure value.

#include "store/replica_types.hpp"

#include <deque>
#include <optional>
#include <span>

namespace glocal::store {

class replica_log {
public:
  explicit replica_log(log_position base) : base_{base} {}

  [[nodiscard]] log_position base() const noexcept { return base_; }
  /// Where the log ends; base() when it holds nothing.
  [[nodiscard]] log_position last() const noexcept { return entries_.empty() ? base_ : entries_.back()->at; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// None before base() and after last().
  [[nodiscard]] std::optional<epoch_number> epoch_at(log_index index) const noexcept;
  /// Null when it is not held.
  [[nodiscard]] const entry_ref* find(log_index index) const noexcept;
  /// Entries from `index` on, at most `entries` of them and `bytes` of payload, but at least one when there is one.
  [[nodiscard]] std::vector<entry_ref> slice(log_index index, std::size_t entries, std::size_t bytes) const;
  /// First index held of the epoch that `index` is in. REQUIRES: it is held.
  [[nodiscard]] log_index first_of_epoch(log_index index) const noexcept;

  /// REQUIRES: entry->at.index is last().index + 1.
  void append(entry_ref entry) { entries_.push_back(std::move(entry)); }
  /// Removes everything after `index`. REQUIRES: index >= base().index.
  void truncate_after(log_index index);
  /// Forgets everything up to `index`. REQUIRES: base().index <= index <= last().index.
  void compact_to(log_index index);
  void reset(log_position base);

private:
  log_position base_;
  std::deque<entry_ref> entries_;
};

} // namespace glocal::store
