#pragma once
// The leases one node has granted and which of its slots hold entries of them, so that a renewal is one message per
// owner and node and touches only those slots.
//
// Pure value without a clock. Slots are the authority for expiry; the book says when to let them look.

#include "store/slot_state.hpp"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace glocal::store {

class lease_book {
public:
  /// Makes the lease or gives it `ttl` from `now`.
  const lease_grant& grant(lease_id id, std::chrono::milliseconds ttl, timestamp now);
  /// False when it is not there: it ran out, or this node never knew it.
  [[nodiscard]] bool renew(lease_id id, timestamp now);
  void revoke(lease_id id) { leases_.erase(id); }

  /// None when not granted.
  [[nodiscard]] std::optional<lease_grant> find(lease_id id) const;
  /// Slots that hold entries of it, ascending.
  [[nodiscard]] std::vector<slot_id> holders(lease_id id) const;

  /// What a slot says of itself. A lease unknown here (this node restarted) is adopted as the slot has it.
  void attached(slot_id slot, const lease_grant& lease);
  void detached(slot_id slot, lease_id id);

  /// Removes the leases whose time has come and returns the slots that must be ticked, ascending, each once.
  [[nodiscard]] std::vector<slot_id> expire(timestamp now);
  [[nodiscard]] bool empty() const noexcept { return leases_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return leases_.size(); }

private:
  struct held {
    lease_grant grant;
    std::set<slot_id> slots;
  };
  std::map<lease_id, held> leases_;
};

} // namespace glocal::store
