#pragma once
// The replication log of a node: records of all its slots, in order, in preallocated segments that are used again.
//
// What is appended goes to the disk with the next sync(), one write and one sync for all of it: what arrives while a
// sync is under way is the next group. A record says its checksum, its slot, and up to which index of the slot it goes;
// what is in it is its caller's business (log_codec).
//
// Recovery gives back every record that was synced, in order, and perhaps some that were not: a prefix of them. A torn
// tail is dropped; a record that is damaged although it had been synced is an error, and so is a missing segment.
// A segment goes, oldest first, when all its slots are released up to what it has of them. Oldest first, because what a
// later record cut off must not come back.
//
// Invariants: after a failure everything fails, with the first failure's words (a second fsync after one that failed
// proves nothing). Format: docs/formats.md. Threading: one thread at a time.

#include "store/log_disk.hpp"
#include "store/replica_types.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>

namespace glocal::store {

struct segment_log_options {
  /// A segment; the log takes two more than what its slots still need.
  std::size_t segment_bytes = std::size_t{64} << 20;
  /// Segments kept to be used again: two, so that the next one is there while one is being released.
  std::size_t spares = 2;
};

struct log_record {
  slot_id slot = 0;
  /// The slot's records up to here are in this one and those before it.
  log_index last = 0;
  bytes payload;

  bool operator==(const log_record&) const = default;
};

class segment_log {
public:
  /// Opens what is on `disk`, or starts a log for `identity`, and gives its records to `recovered`.
  /// @error another cluster's log, a newer format, a damaged or missing segment.
  [[nodiscard]] static expected<segment_log, log_failure> open(std::unique_ptr<log_disk> disk, std::uint64_t identity,
                                                               const segment_log_options& options,
                                                               const std::function<void(log_record)>& recovered);

  /// Joins the group of the next sync. Of a slot that had left, this begins it anew. REQUIRES: payload.size() <=
  /// max_payload_bytes().
  void append(slot_id slot, log_index last, byte_view payload);
  /// Everything appended survives a loss of power. Cost: one write and one fdatasync, unless a segment is full.
  [[nodiscard]] expected<void, log_failure> sync();
  /// The slot needs nothing up to `index` any more; ~0 when it left this node.
  [[nodiscard]] expected<void, log_failure> release(slot_id slot, log_index index);

  [[nodiscard]] std::size_t max_payload_bytes() const noexcept;
  [[nodiscard]] std::size_t segment_count() const noexcept { return segments_.size(); }
  /// Bytes of records on the disk that some slot still needs, or that share a segment with such.
  [[nodiscard]] std::size_t held_bytes() const noexcept;
  /// Bytes waiting for sync().
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return pending_.size(); }

private:
  struct segment {
    std::uint64_t sequence = 0;
    /// Where its records end, and the file.
    std::size_t end = 0, size = 0;
    std::map<slot_id, log_index> last;
  };
  struct waiting {
    std::size_t begin = 0, size = 0;
    slot_id slot = 0;
    log_index last = 0;
  };

  segment_log(std::unique_ptr<log_disk> disk, std::uint64_t identity, const segment_log_options& options)
      : disk_{std::move(disk)}, identity_{identity}, options_{options} {}

  [[nodiscard]] expected<void, log_failure> recover(const std::function<void(log_record)>& recovered);
  [[nodiscard]] expected<void, log_failure> read_segment(const bytes& from, std::optional<std::size_t> end,
                                                         segment& into,
                                                         const std::function<void(log_record)>& recovered);
  [[nodiscard]] expected<void, log_failure> roll();
  [[nodiscard]] expected<void, log_failure> write_group(std::size_t first, std::size_t count);
  [[nodiscard]] expected<void, log_failure> fail(log_failure why);

  std::unique_ptr<log_disk> disk_;
  std::uint64_t identity_;
  segment_log_options options_;
  /// Oldest first; the last one is written to.
  std::deque<segment> segments_;
  std::map<slot_id, log_index> released_;
  std::vector<std::string> spares_;
  std::uint64_t next_spare_ = 0;
  bytes pending_;
  std::vector<waiting> group_;
  std::optional<log_failure> failed_;
};

} // namespace glocal::store
