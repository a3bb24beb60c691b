#include "store/segment_log.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace glocal::store {
namespace {

// All numbers big-endian.
// Segment: u64 checksum of the rest of the header, "glocalog", u32 format, u32 where the segment before ends,
//          u64 sequence, u64 identity, zeros up to header_bytes; then records, each at a multiple of 8.
// Record:  u64 checksum, u32 payload bytes, u32 where its group begins, u64 last index, u16 slot, u16 0, u32 its own
//          offset; payload. The checksum is of all that follows it, seeded with the segment's sequence: what an earlier
//          use of the file left is no record.
constexpr std::uint32_t format_version = 1;
constexpr char magic[] = {'g', 'l', 'o', 'c', 'a', 'l', 'o', 'g'};
constexpr std::size_t header_bytes = 64, record_header_bytes = 32, alignment = 8;
constexpr std::string_view suffix = ".log", spare_prefix = "spare-";
/// Beyond it offsets would not fit.
constexpr std::size_t max_segment_bytes = std::size_t{1} << 30;

std::size_t record_bytes(std::size_t payload) {
  return (record_header_bytes + payload + alignment - 1) / alignment * alignment;
}

std::string name_of(std::uint64_t sequence) {
  char out[32];
  std::snprintf(out, sizeof out, "%016llx.log", static_cast<unsigned long long>(sequence));
  return out;
}

std::uint64_t checksum(const std::byte* record, std::size_t payload, std::uint64_t sequence) {
  return hash_bytes(record + 8, record_header_bytes - 8 + payload, sequence);
}

struct header {
  std::uint32_t format = 0, previous_end = 0;
  std::uint64_t sequence = 0, identity = 0;
};

bytes encode(const header& what) {
  bytes out(header_bytes);
  std::memcpy(out.data() + 8, magic, sizeof magic);
  store_be32(out.data() + 16, what.format);
  store_be32(out.data() + 20, what.previous_end);
  store_be64(out.data() + 24, what.sequence);
  store_be64(out.data() + 32, what.identity);
  store_be64(out.data(), hash_bytes(out.data() + 8, header_bytes - 8));
  return out;
}

std::optional<header> decode_header(byte_view in) {
  if (in.size() < header_bytes || std::memcmp(in.data() + 8, magic, sizeof magic) != 0 ||
      load_be64(in.data()) != hash_bytes(in.data() + 8, header_bytes - 8))
    return std::nullopt;
  return header{load_be32(in.data() + 16), load_be32(in.data() + 20), load_be64(in.data() + 24),
                load_be64(in.data() + 32)};
}

struct record_view {
  std::size_t group = 0, size = 0;
};

/// The record at `offset`, if there is one: its size with the header and where its group begins.
std::optional<record_view> find_record(byte_view in, std::size_t offset, std::uint64_t sequence) {
  if (offset + record_header_bytes > in.size())
    return std::nullopt;
  const auto* at = in.data() + offset;
  const std::size_t payload = load_be32(at + 8), group = load_be32(at + 12);
  if (payload > in.size() - offset - record_header_bytes || load_be32(at + 28) != offset || group > offset ||
      load_be64(at) != checksum(at, payload, sequence))
    return std::nullopt;
  return record_view{group, std::min(record_bytes(payload), in.size() - offset)};
}

log_record copy_record(const std::byte* at) {
  const auto* payload = at + record_header_bytes;
  return {load_be16(at + 24), load_be64(at + 16), bytes(payload, payload + load_be32(at + 8))};
}

} // namespace

std::size_t segment_log::max_payload_bytes() const noexcept {
  return options_.segment_bytes - header_bytes - record_header_bytes - alignment;
}

std::size_t segment_log::held_bytes() const noexcept {
  std::size_t out = 0;
  for (const auto& each : segments_)
    out += each.end;
  return out;
}

expected<void, log_failure> segment_log::fail(log_failure why) {
  if (!failed_)
    failed_ = std::move(why);
  return unexpected{*failed_};
}

// --- recovery ---

expected<segment_log, log_failure> segment_log::open(std::unique_ptr<log_disk> disk, std::uint64_t identity,
                                                     const segment_log_options& options,
                                                     const std::function<void(log_record)>& recovered) {
  segment_log out{std::move(disk), identity, options};
  out.options_.segment_bytes = std::clamp(options.segment_bytes, std::size_t{4096}, max_segment_bytes);
  if (auto done = out.recover(recovered); !done)
    return unexpected{done.error()};
  return out;
}

expected<void, log_failure> segment_log::recover(const std::function<void(log_record)>& recovered) {
  auto names = disk_->list();
  if (!names)
    return unexpected{names.error()};
  std::sort(names->begin(), names->end());
  std::vector<std::string> logs;
  for (const auto& name : *names) {
    if (name.ends_with(suffix)) {
      logs.push_back(name);
    } else if (name.starts_with(spare_prefix)) {
      // It may be of any size, and half made: not worth a look.
      if (auto removed = disk_->remove(name); !removed)
        return removed;
    }
  }
  bytes contents;
  std::optional<header> head;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    if (i == 0) {
      auto first = disk_->read(logs[0], max_segment_bytes);
      if (!first)
        return unexpected{first.error()};
      contents = std::move(*first);
      head = decode_header(contents);
    }
    if (!head)
      return unexpected{log_failure{"log segment " + logs[i] +
                                    ": its header is damaged; the disk lost what it had confirmed: wipe this node's "
                                    "directory, and it gets its slots from the others"}};
    if (head->format > format_version)
      return unexpected{log_failure{"log segment " + logs[i] + ": format " + std::to_string(head->format) +
                                    " is newer than this program's " + std::to_string(format_version) +
                                    "; start the newer glocald"}};
    if (head->identity != identity_)
      return unexpected{log_failure{"log segment " + logs[i] +
                                    ": belongs to another cluster or another disk's life; use an empty directory"}};
    if (logs[i] != name_of(head->sequence) || (i != 0 && head->sequence != segments_.back().sequence + 1))
      return unexpected{log_failure{"log segment " + logs[i] +
                                    ": a segment before it is missing; wipe this node's "
                                    "directory, and it gets its slots from the others"}};
    segment current{head->sequence, header_bytes, contents.size(), {}};
    bytes next;
    std::optional<header> next_head;
    std::optional<std::size_t> end;
    if (i + 1 < logs.size()) {
      auto read = disk_->read(logs[i + 1], max_segment_bytes);
      if (!read)
        return unexpected{read.error()};
      next = std::move(*read);
      next_head = decode_header(next);
      // A gap is said when it is that one's turn.
      if (next_head && next_head->sequence == head->sequence + 1)
        end = next_head->previous_end;
    }
    if (auto done = read_segment(contents, end, current, recovered); !done)
      return done;
    segments_.push_back(std::move(current));
    contents = std::move(next);
    head = next_head;
  }
  if (!segments_.empty() && segments_.back().end == header_bytes) {
    // Nothing was ever synced to it: a node that is restarted again and again must not fill its disk with such.
    if (auto removed = disk_->remove(name_of(segments_.back().sequence)); !removed)
      return removed;
    segments_.pop_back();
  }
  // Never on in a segment with a torn tail: what is left of it behind new records could pass for records.
  return roll();
}

/// @param end where its records end, if a later segment says so; else they end where the last group that is whole does.
expected<void, log_failure> segment_log::read_segment(const bytes& from, std::optional<std::size_t> end, segment& into,
                                                      const std::function<void(log_record)>& recovered) {
  const byte_view all{from};
  const auto within = end ? all.subspan(0, std::min(*end, all.size())) : all;
  auto& at = into.end;
  while (const auto found = find_record(within, at, into.sequence)) {
    auto record = copy_record(from.data() + at);
    auto& last = into.last[record.slot];
    last = std::max(last, record.last);
    recovered(std::move(record));
    at += found->size;
  }
  const auto damaged = [&](std::size_t where) {
    return unexpected{log_failure{"log segment " + name_of(into.sequence) + ": damaged at byte " +
                                  std::to_string(where) +
                                  ", which had been synced; the disk lost what it had confirmed: wipe this node's "
                                  "directory, and it gets its slots from the others"}};
  };
  if (end) {
    if (at != *end)
      return damaged(at);
    return {};
  }
  // A torn group ends here, or a record that had been synced is damaged: then a group that began after it was written
  // later, once this one was on the disk.
  for (auto later = at; later + record_header_bytes <= all.size(); later += alignment)
    if (const auto found = find_record(all, later, into.sequence); found && found->group > at)
      return damaged(at);
  return {};
}

// --- writing ---

expected<void, log_failure> segment_log::roll() {
  const auto sequence = segments_.empty() ? 1 : segments_.back().sequence + 1;
  const auto previous_end = segments_.empty() ? 0 : segments_.back().end;
  std::string name;
  if (!spares_.empty()) {
    name = std::move(spares_.back());
    spares_.pop_back();
  } else {
    name = std::string{spare_prefix} + std::to_string(next_spare_++);
    if (auto made = disk_->create(name, options_.segment_bytes); !made)
      return fail(made.error());
  }
  // The name it is known by comes last: a segment with that name has a whole header.
  const auto head = encode(header{format_version, static_cast<std::uint32_t>(previous_end), sequence, identity_});
  if (auto written = disk_->write(name, 0, head); !written)
    return fail(written.error());
  if (auto synced = disk_->sync(name); !synced)
    return fail(synced.error());
  if (auto renamed = disk_->rename(name, name_of(sequence)); !renamed)
    return fail(renamed.error());
  segments_.push_back({sequence, header_bytes, options_.segment_bytes, {}});
  return {};
}

void segment_log::append(slot_id slot, log_index last, byte_view payload) {
  // It is back: what is released is its log of before, and what follows is needed again.
  if (const auto left = released_.find(slot); left != released_.end() && left->second == ~log_index{0}) {
    released_.erase(left);
    for (auto& each : segments_)
      each.last.erase(slot);
  }
  const auto begin = pending_.size(), size = record_bytes(payload.size());
  pending_.resize(begin + size);
  auto* at = pending_.data() + begin;
  store_be32(at + 8, static_cast<std::uint32_t>(payload.size()));
  store_be64(at + 16, last);
  store_be16(at + 24, slot);
  if (!payload.empty())
    std::memcpy(at + record_header_bytes, payload.data(), payload.size());
  group_.push_back({begin, size, slot, last});
}

expected<void, log_failure> segment_log::sync() {
  if (failed_)
    return unexpected{*failed_};
  for (std::size_t first = 0; first < group_.size();) {
    const auto room = options_.segment_bytes - segments_.back().end;
    std::size_t count = 0, size = 0;
    while (first + count < group_.size() && size + group_[first + count].size <= room)
      size += group_[first + count++].size;
    if (count != 0) {
      if (auto written = write_group(first, count); !written)
        return written;
      first += count;
    } else if (segments_.back().end == header_bytes) {
      return fail({"a record of " + std::to_string(group_[first].size) + " bytes fits no log segment"});
    }
    if (first < group_.size())
      if (auto rolled = roll(); !rolled)
        return rolled;
  }
  pending_.clear();
  group_.clear();
  return {};
}

expected<void, log_failure> segment_log::write_group(std::size_t first, std::size_t count) {
  auto& current = segments_.back();
  const auto from = group_[first].begin;
  const auto size = group_[first + count - 1].begin + group_[first + count - 1].size - from;
  for (std::size_t i = first; i < first + count; ++i) {
    auto* at = pending_.data() + group_[i].begin;
    store_be32(at + 12, static_cast<std::uint32_t>(current.end));
    store_be32(at + 28, static_cast<std::uint32_t>(current.end + group_[i].begin - from));
    store_be64(at, checksum(at, load_be32(at + 8), current.sequence));
  }
  const auto name = name_of(current.sequence);
  if (auto written = disk_->write(name, current.end, {pending_.data() + from, size}); !written)
    return fail(written.error());
  if (auto synced = disk_->sync(name); !synced)
    return fail(synced.error());
  current.end += size;
  for (std::size_t i = first; i < first + count; ++i) {
    auto& last = current.last[group_[i].slot];
    last = std::max(last, group_[i].last);
  }
  return {};
}

expected<void, log_failure> segment_log::release(slot_id slot, log_index index) {
  if (failed_)
    return unexpected{*failed_};
  auto& up_to = released_[slot];
  up_to = std::max(up_to, index);
  const auto needed = [&](const segment& each) {
    return std::any_of(each.last.begin(), each.last.end(), [&](const auto& has) {
      const auto released = released_.find(has.first);
      return released == released_.end() || released->second < has.second;
    });
  };
  while (segments_.size() > 1 && !needed(segments_.front())) {
    const auto name = name_of(segments_.front().sequence);
    auto spare = std::string{spare_prefix} + std::to_string(next_spare_++);
    const bool keep = spares_.size() < options_.spares && segments_.front().size == options_.segment_bytes;
    if (auto gone = keep ? disk_->rename(name, spare) : disk_->remove(name); !gone)
      return fail(gone.error());
    if (keep)
      spares_.push_back(std::move(spare));
    segments_.pop_front();
  }
  return {};
}

} // namespace glocal::store
