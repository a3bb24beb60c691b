#include "store/lease_book.hpp"

#include <algorithm>

namespace glocal::store {

const lease_grant& lease_book::grant(lease_id id, std::chrono::milliseconds ttl, timestamp now) {
  auto& held = leases_[id];
  held.grant = {id, ttl, now + ttl};
  return held.grant;
}

bool lease_book::renew(lease_id id, timestamp now) {
  const auto held = leases_.find(id);
  if (held == leases_.end())
    return false;
  held->second.grant.expires_at = now + held->second.grant.ttl;
  return true;
}

std::optional<lease_grant> lease_book::find(lease_id id) const {
  const auto held = leases_.find(id);
  return held == leases_.end() ? std::nullopt : std::optional{held->second.grant};
}

std::vector<slot_id> lease_book::holders(lease_id id) const {
  const auto held = leases_.find(id);
  return held == leases_.end() ? std::vector<slot_id>{}
                               : std::vector<slot_id>(held->second.slots.begin(), held->second.slots.end());
}

void lease_book::attached(slot_id slot, const lease_grant& lease) {
  auto& held = leases_.try_emplace(lease.id, lease_book::held{lease, {}}).first->second;
  // Never early: the latest of what any slot says.
  held.grant.expires_at = std::max(held.grant.expires_at, lease.expires_at);
  held.slots.insert(slot);
}

void lease_book::detached(slot_id slot, lease_id id) {
  if (const auto held = leases_.find(id); held != leases_.end())
    held->second.slots.erase(slot);
}

std::vector<slot_id> lease_book::expire(timestamp now) {
  std::set<slot_id> due;
  std::erase_if(leases_, [&](const auto& named) {
    const auto& held = named.second;
    if (held.grant.expires_at > now)
      return false;
    due.insert(held.slots.begin(), held.slots.end());
    return true;
  });
  return {due.begin(), due.end()};
}

} // namespace glocal::store
