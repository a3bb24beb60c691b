#include "store/replica_log.hpp"

#include <algorithm>

namespace glocal::store {

bool slot_view::has(const member& who) const noexcept {
  return std::find(members.begin(), members.end(), who) != members.end();
}

std::size_t payload_bytes(const command& what) noexcept {
  std::size_t total = framing_bytes;
  if (const auto* batch = std::get_if<batch_command>(&what)) {
    for (const auto& op : batch->operations)
      total += framing_bytes + payload_bytes(op);
    total += framing_bytes * batch->leases.size();
  } else if (const auto* renewed = std::get_if<renew_command>(&what)) {
    total += framing_bytes * renewed->leases.size();
  }
  return total;
}

std::optional<epoch_number> replica_log::epoch_at(log_index index) const noexcept {
  if (index == base_.index)
    return base_.epoch;
  const auto* entry = find(index);
  return entry != nullptr ? std::optional{(*entry)->at.epoch} : std::nullopt;
}

const entry_ref* replica_log::find(log_index index) const noexcept {
  return index <= base_.index || index > last().index ? nullptr : &entries_[index - base_.index - 1];
}

std::vector<entry_ref> replica_log::slice(log_index index, std::size_t entries, std::size_t bytes) const {
  std::vector<entry_ref> out;
  std::size_t total = 0;
  for (const auto* at = find(index); at != nullptr && out.size() < entries; at = find(++index)) {
    total += (*at)->payload;
    if (total > bytes && !out.empty())
      break;
    out.push_back(*at);
  }
  return out;
}

log_index replica_log::first_of_epoch(log_index index) const noexcept {
  const auto epoch = epoch_at(index);
  while (index > base_.index + 1 && epoch_at(index - 1) == epoch)
    --index;
  return index;
}

void replica_log::truncate_after(log_index index) {
  while (!entries_.empty() && entries_.back()->at.index > index)
    entries_.pop_back();
}

void replica_log::compact_to(log_index index) {
  while (!entries_.empty() && entries_.front()->at.index <= index) {
    base_ = entries_.front()->at;
    entries_.pop_front();
  }
}

void replica_log::reset(log_position base) {
  entries_.clear();
  base_ = base;
}

} // namespace glocal::store
