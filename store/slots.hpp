#pragma once
// Which slot a key is in. Stable for the life of a cluster: changing it means moving every entry.

#include "base/hash.hpp"
#include "store/types.hpp"

namespace glocal::store {

/// Enough that a slot is a small unit to move (0.4 % of the keys), few enough that an actor each costs nothing.
inline constexpr slot_id default_slot_count = 256;

/// Slot of `key` in `in`. XXH3 with the table as seed, so that equal keys of two tables are spread.
/// REQUIRES: slot_count > 0. Cost: about 5 ns.
[[nodiscard]] inline slot_id slot_of(table in, std::string_view key, slot_id slot_count = default_slot_count) noexcept {
  return static_cast<slot_id>(hash_text(key, static_cast<std::uint64_t>(in)) % slot_count);
}

/// Where a scan goes on: in `slot` after key `after` (from its first key when empty).
struct scan_position {
  slot_id slot = 0;
  std::string after{};

  bool operator==(const scan_position&) const = default;
};

/// Positions as the opaque token of store::scan. The empty token is the beginning; a malformed one gives nothing.
[[nodiscard]] std::string encode_position(const scan_position& position);
[[nodiscard]] std::optional<scan_position> decode_position(std::string_view token);

} // namespace glocal::store
