#include "store/slot_recovery.hpp"

#include "store/replica_codec.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {
namespace {

void cut_after(std::vector<entry_ref>& entries, log_index index) {
  while (!entries.empty() && entries.back()->at.index > index)
    entries.pop_back();
}

} // namespace

void slot_recovery::add(const log_record& record) {
  auto& to = tails_[record.slot];
  auto payload = decode_log_payload(record.payload);
  if (!payload) {
    to.fault = "a record of its log can't be read";
    return;
  }
  if (const auto* install = std::get_if<log_install>(&*payload)) {
    to.entries.clear();
    to.base = install->at;
    return;
  }
  auto& write = std::get<log_write>(*payload);
  if (write.truncate_after)
    cut_after(to.entries, *write.truncate_after);
  for (auto& entry : write.entries) {
    // Of the records before the oldest segment nothing is known: the log begins where it begins.
    if (!to.entries.empty() && entry->at.index != to.entries.back()->at.index + 1)
      to.fault = "its log has a gap after " + std::to_string(to.entries.back()->at.index);
    to.entries.push_back(std::move(entry));
  }
}

expected<recovered_slot, std::string> slot_recovery::join(slot_id slot, slot_image state) {
  auto log = std::move(tails_[slot]);
  const auto what = [&](const std::string& why) {
    return unexpected{"slot " + std::to_string(slot) + ": " + why +
                      "; wipe this node's directory, and it gets its slots from the others"};
  };
  if (!log.fault.empty())
    return what(log.fault);
  if (state.at.index < log.base.index)
    return what("the state its log continues is not there");
  recovered_slot out;
  out.state.at = state.at;
  out.state.image = std::move(state);
  const auto at = out.state.at;
  // A snapshot took the place of this log, and the mark that says so was lost: what follows the point where they part
  // is no continuation of the state.
  const auto same = std::ranges::find_if(log.entries, [&](const auto& one) { return one->at.index == at.index; });
  if (same != log.entries.end() && (*same)->at.epoch != at.epoch)
    return out;
  std::erase_if(log.entries, [&](const auto& one) { return one->at.index <= at.index; });
  if (!log.entries.empty() && log.entries.front()->at.index != at.index + 1)
    return what("entries between " + std::to_string(at.index) + " and " +
                std::to_string(log.entries.front()->at.index) + " are missing");
  out.log = std::move(log.entries);
  return out;
}

std::vector<slot_id> slot_recovery::slots() const {
  std::vector<slot_id> out;
  for (const auto& [slot, log] : tails_)
    out.push_back(slot);
  return out;
}

} // namespace glocal::store
