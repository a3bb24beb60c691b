#pragma once
// What the replicas of a node start from: the records of its log, joined with the state its engine has.
//
// Use: feed add() to segment_log::open, then ask join() for each slot. Pure value.

#include "store/engine.hpp"
#include "store/replica_events.hpp"
#include "store/segment_log.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::store {

class slot_recovery {
public:
  /// Records in the order of the log. What is no record is remembered and said by join().
  void add(const log_record& record);

  /// The state of `slot` and the log after it; takes the log. @error text for the operator: a record is unreadable, or
  /// entries between the state and the log are missing.
  [[nodiscard]] expected<recovered_slot, std::string> join(slot_id slot, slot_image state);
  /// Slots that have anything in the log, ascending.
  [[nodiscard]] std::vector<slot_id> slots() const;

private:
  struct tail {
    std::vector<entry_ref> entries;
    /// The state was replaced as a whole here.
    log_position base;
    std::string fault;
  };
  std::map<slot_id, tail> tails_;
};

} // namespace glocal::store
