#include "store/watch_merge.hpp"

#include <utility>

namespace glocal::store {

watch_merge::watch_merge(table of, std::vector<std::vector<slot_id>> slots, const std::vector<slot_revision>& from)
    : of_{of} {
  for (std::size_t stream = 0; stream < slots.size(); ++stream)
    for (const auto slot : slots[stream])
      streams_[slot].carrier = stream;
  for (const auto& point : from)
    if (const auto stream = streams_.find(point.slot); stream != streams_.end()) {
      stream->second.at = point.at;
      stream->second.given = true;
    }
  behind_ = streams_.size();
}

void watch_merge::connected(std::size_t stream, std::span<const slot_id> slots) {
  for (const auto slot : slots)
    if (const auto found = streams_.find(slot); found != streams_.end()) {
      found->second.carrier = stream;
      restart(found->second);
    }
}

void watch_merge::lost(std::size_t stream, const sink& emit) {
  for (auto& [slot, each] : streams_)
    if (each.carrier == stream)
      restart(each);
  if (behind_ == 0 || std::exchange(suspect_, true))
    return;
  live_ = false;
  emit({.what = watch_event::kind::suspect});
}

void watch_merge::restart(slot_stream& stream) {
  behind_ += stream.current;
  stream.current = false;
  for (auto& [key, named] : stream.keys)
    named = false; // a snapshot that broke off named keys that may be gone by the next one
}

void watch_merge::deliver(std::size_t stream, std::vector<watch_record> records, const sink& emit) {
  for (auto& record : records) {
    const auto found = streams_.find(record.slot);
    if (found == streams_.end() || found->second.carrier != stream)
      continue;
    deliver(record.slot, found->second, record, emit);
  }
  if (behind_ == 0 && !live_) {
    live_ = true;
    suspect_ = repairing_ = false;
    emit({.what = watch_event::kind::live, .positions = positions()});
  }
}

void watch_merge::deliver(slot_id slot, slot_stream& stream, watch_record& record, const sink& emit) {
  if (stream.compacted)
    return;
  if (stream.given &&
      (record.what == watch_record::kind::snapshot_entry || record.what == watch_record::kind::snapshot_end ||
       record.what == watch_record::kind::compacted)) {
    stream.compacted = true;
    return emit({.what = watch_event::kind::compacted, .slot = slot, .at = record.at});
  }
  switch (record.what) {
  case watch_record::kind::put:
    if (stream.at && record.at <= *stream.at)
      return; // delivered before the stream broke
    stream.at = record.at;
    stream.keys[record.entry.key] = false;
    return emit({watch_event::kind::put, std::move(record.entry), slot, record.at});
  case watch_record::kind::erase:
    if (stream.at && record.at <= *stream.at)
      return;
    stream.at = record.at;
    stream.keys.erase(record.entry.key);
    return emit({watch_event::kind::erase, std::move(record.entry), slot, record.at});
  case watch_record::kind::snapshot_entry:
    stream.keys[record.entry.key] = true;
    return emit({watch_event::kind::put, std::move(record.entry), slot, record.at});
  case watch_record::kind::snapshot_end:
    for (auto key = stream.keys.begin(); key != stream.keys.end();) {
      if (std::exchange(key->second, false)) {
        ++key;
        continue;
      }
      emit({watch_event::kind::erase, entry{of_, key->first, {}, record.at, 0}, slot, record.at});
      key = stream.keys.erase(key);
    }
    [[fallthrough]];
  case watch_record::kind::resumed:
    stream.at = record.at;
    behind_ -= !stream.current;
    stream.current = true;
    return;
  case watch_record::kind::compacted:
    // Also of a stream that runs: its node was given a snapshot.
    behind_ += stream.current;
    stream.current = false;
    live_ = false;
    // Several slots may say so at once; one mark tells the watcher all it needs.
    if (!std::exchange(repairing_, true))
      emit({.what = watch_event::kind::resync});
    return;
  }
}

std::vector<slot_revision> watch_merge::resume_points(std::span<const slot_id> slots) const {
  std::vector<slot_revision> out;
  for (const auto slot : slots)
    if (const auto stream = streams_.find(slot); stream != streams_.end() && stream->second.at)
      out.push_back({slot, *stream->second.at});
  return out;
}

std::vector<slot_revision> watch_merge::positions() const {
  std::vector<slot_revision> out;
  for (const auto& [slot, stream] : streams_)
    if (stream.at)
      out.push_back({slot, *stream.at});
  return out;
}

std::size_t watch_merge::key_count() const noexcept {
  std::size_t total = 0;
  for (const auto& [slot, stream] : streams_)
    total += stream.keys.size();
  return total;
}

} // namespace glocal::store
