#pragma once
// Everything of the store that crosses nodes, to and from bytes (schema/store.capnp).
//
// Decoding treats its input as hostile: it never throws, never reads past it, and refuses what exceeds store::limits or
// amplifies (traversal is bounded by the size of the input). The only code that includes the generated types is the
// .cpp. Input should be aligned to 8 bytes, else it is copied once.

#include "base/bytes.hpp"
#include "base/expected.hpp"
#include "store/slot_state.hpp"
#include "store/types.hpp"
#include "store/watch_merge.hpp"

#include <string>
#include <vector>

namespace glocal::store {

/// Frame kinds of the store (docs/formats.md). Replies travel under the correlation id of their request.
enum class frame_kind : std::uint16_t {
  batch_request = 0x0101,
  batch_reply = 0x0102,
  scan_request = 0x0103,
  scan_reply = 0x0104,
  lease_request = 0x0105,
  lease_reply = 0x0106,
  watch_request = 0x0107,
  watch_reply = 0x0108,
  watch_cancel = 0x0109,
  watch_events = 0x010a,
  watch_progress = 0x010b,
  replica_messages = 0x010c,
  register_request = 0x010d,
  register_reply = 0x010e,
};

using batch_reply = expected<std::vector<op_result>, store_error>;
/// Why the operations of one slot have no result.
struct slot_fault {
  slot_id slot = 0;
  store_error why = store_error::unavailable;
  /// The node to ask instead; empty when the one that was asked does not know it.
  node_name primary{};

  bool operator==(const slot_fault&) const = default;
};
/// What a node says of a batch: one result for each operation, void where its slot is among the faults.
struct batch_outcome {
  std::vector<op_result> results;
  std::vector<slot_fault> faults{};

  bool operator==(const batch_outcome&) const = default;
};
using node_batch_reply = expected<batch_outcome, store_error>;

struct scan_request {
  table from{};
  std::string prefix;
  std::uint32_t limit = 0;
  /// Where to go on: entries of `slot` after key `after`, then those of the node's higher slots.
  slot_id slot = 0;
  std::string after;

  bool operator==(const scan_request&) const = default;
};
struct scan_part {
  std::vector<entry> entries;
  bool more = false;
  slot_id slot = 0;
  std::string after;

  bool operator==(const scan_part&) const = default;
};
using scan_reply = expected<scan_part, store_error>;

enum class lease_action : std::uint8_t { grant = 1, renew = 2, revoke = 3 };
struct lease_request {
  lease_id lease = 0;
  std::chrono::milliseconds ttl{};
  lease_action action = lease_action::grant;

  bool operator==(const lease_request&) const = default;
};
using lease_reply = expected<void, store_error>;
/// What a node says of a lease, and for which slots: those it is primary of.
struct node_lease_reply {
  lease_reply reply{};
  std::vector<slot_id> slots{};
};

struct watch_request {
  subscription_id subscription = 0;
  table of{};
  std::string prefix;
  std::vector<slot_revision> resume;
  /// Which slots are watched.
  std::vector<slot_id> slots;

  bool operator==(const watch_request&) const = default;
};
using watch_reply = expected<void, store_error>;
struct node_watch_reply {
  watch_reply reply{};
  /// Unavailable because of these, which the node can't serve now; the others it could.
  std::vector<slot_id> refused{};
};
struct watch_cancel {
  subscription_id subscription = 0;

  bool operator==(const watch_cancel&) const = default;
};
struct watch_events {
  subscription_id subscription = 0;
  std::uint64_t sequence = 0;
  std::vector<watch_record> records;

  bool operator==(const watch_events&) const = default;
};
struct watch_progress {
  struct stream {
    subscription_id subscription = 0;
    std::uint64_t sequence = 0;

    bool operator==(const stream&) const = default;
  };
  std::vector<stream> streams;

  bool operator==(const watch_progress&) const = default;
};

[[nodiscard]] bytes encode(const batch& value);
[[nodiscard]] bytes encode(const node_batch_reply& value);
[[nodiscard]] bytes encode(const scan_request& value);
[[nodiscard]] bytes encode(const scan_reply& value);
[[nodiscard]] bytes encode(const lease_request& value);
[[nodiscard]] bytes encode(const node_lease_reply& value);
[[nodiscard]] bytes encode(const node_watch_reply& value);
[[nodiscard]] bytes encode(const watch_request& value);
[[nodiscard]] bytes encode(const watch_cancel& value);
[[nodiscard]] bytes encode(const watch_events& value);
[[nodiscard]] bytes encode(const watch_progress& value);

/// The value, or store_error::invalid (malformed) or too_large (beyond limits). For replies the outer error is that of
/// decoding, the inner one what the node said.
[[nodiscard]] expected<batch, store_error> decode_batch(byte_view in);
[[nodiscard]] expected<node_batch_reply, store_error> decode_batch_reply(byte_view in);
[[nodiscard]] expected<scan_request, store_error> decode_scan_request(byte_view in);
[[nodiscard]] expected<scan_reply, store_error> decode_scan_reply(byte_view in);
[[nodiscard]] expected<lease_request, store_error> decode_lease_request(byte_view in);
[[nodiscard]] expected<node_lease_reply, store_error> decode_lease_reply(byte_view in);
[[nodiscard]] expected<watch_request, store_error> decode_watch_request(byte_view in);
[[nodiscard]] expected<node_watch_reply, store_error> decode_watch_reply(byte_view in);
[[nodiscard]] expected<watch_cancel, store_error> decode_watch_cancel(byte_view in);
[[nodiscard]] expected<watch_events, store_error> decode_watch_events(byte_view in);
[[nodiscard]] expected<watch_progress, store_error> decode_watch_progress(byte_view in);

} // namespace glocal::store
