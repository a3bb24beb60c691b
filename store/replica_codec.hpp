#pragma once
// Messages between replicas and the payload of log records, to and from bytes (schema/replica.capnp).
//
// Decoding treats its input as hostile, as codec.hpp does: what exceeds the limits is refused, whoever sent it.

#include "store/codec.hpp"
#include "store/replica_types.hpp"

#include <optional>
#include <variant>
#include <vector>

namespace glocal::store {

namespace limits {
/// In one message or log record. A replica sends fewer (replica_options::message_entries).
inline constexpr std::size_t log_entries = 4096;
/// In one frame: a few for each slot.
inline constexpr std::size_t replica_messages = 65536;
/// In one part of a snapshot, whose bytes a replica bounds with framing.
inline constexpr std::size_t snapshot_entries = 16384;
/// Of one slot: replicas, and joiners while it moves.
inline constexpr std::size_t view_members = 64;
/// Leases renewed by one command or held by one slot: they go with the last part of a snapshot.
inline constexpr std::size_t leases = 16384;
} // namespace limits

/// A record of the log: what write_action and install_action say is to be durable.
struct log_write {
  std::optional<log_index> truncate_after;
  std::vector<entry_ref> entries;
};
struct log_install {
  log_position at;
};
using log_payload = std::variant<log_write, log_install>;

/// What a message takes in a frame, about; an upper bound for its entries.
[[nodiscard]] std::size_t payload_bytes(const replica_message& value) noexcept;
/// To the embedded register: reads, or sets `wanted` if the version is `expected`. Answered by a set_outcome; `done`
/// when it was read.
struct register_request {
  slot_id slot = 0;
  std::uint64_t expected = 0;
  std::optional<slot_view> wanted{};

  bool operator==(const register_request&) const = default;
};

[[nodiscard]] bytes encode(const std::vector<replica_message>& value);
[[nodiscard]] bytes encode(const log_payload& value);
[[nodiscard]] bytes encode(const register_request& value);
[[nodiscard]] bytes encode(const set_outcome& value);

/// The value, or store_error::invalid (malformed) or too_large (beyond limits).
[[nodiscard]] expected<std::vector<replica_message>, store_error> decode_replica_messages(byte_view in);
[[nodiscard]] expected<log_payload, store_error> decode_log_payload(byte_view in);
[[nodiscard]] expected<register_request, store_error> decode_register_request(byte_view in);
[[nodiscard]] expected<set_outcome, store_error> decode_register_reply(byte_view in);

} // namespace glocal::store
