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
/// Of a node, as in the cluster file.
inline constexpr std::size_t node_name_bytes = 255;
/// In one message or log record. A replica sends fewer (replica_options::message_entries).
inline constexpr std::size_t log_entries = 4096;
/// In one part of a snapshot, whose bytes a replica bounds with framing.
inline constexpr std::size_t snapshot_entries = 16384;
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

[[nodiscard]] bytes encode(const replica_message& value);
[[nodiscard]] bytes encode(const log_payload& value);

/// The value, or store_error::invalid (malformed) or too_large (beyond limits).
[[nodiscard]] expected<replica_message, store_error> decode_replica_message(byte_view in);
[[nodiscard]] expected<log_payload, store_error> decode_log_payload(byte_view in);

} // namespace glocal::store
