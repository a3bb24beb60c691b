#pragma once
// What an etcd_register says to etcd's JSON gateway and what it takes from it. Pure; the answers are hostile: what is
// not exactly what was asked for gives nothing.
//
// A slot's key is /glocal/CLUSTER/register/SLOT, its value a JSON text (docs/formats.md) with the name of who wrote it,
// so that a writer whose reply was lost finds its own write again. Its version is the key's mod_revision.

#include "store/replica_types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glocal::store::etcd {

[[nodiscard]] std::string prefix_of(std::string_view cluster);
[[nodiscard]] std::string key_of(std::string_view cluster, slot_id slot);

/// @param writer unique to this write.
[[nodiscard]] std::string encode_view(const slot_view& view, std::string_view writer);
/// Nothing unless it is a view some replica can have written: members ascending, with the primary, at most 16.
[[nodiscard]] std::optional<slot_view> decode_view(std::string_view text);

[[nodiscard]] std::string read_request(std::string_view key);
[[nodiscard]] std::string set_request(std::string_view key, std::uint64_t expected, std::string_view value);
/// @param from first revision; 0: from now.
[[nodiscard]] std::string watch_request(std::string_view prefix, std::uint64_t from);

/// An answer with the id of the etcd cluster that gave it.
template <class T>
struct answer {
  std::uint64_t cluster = 0;
  T value{};
};
[[nodiscard]] std::optional<answer<register_value>> decode_read(std::string_view body, std::string_view key);
/// `value` as it was given to set_request.
[[nodiscard]] std::optional<answer<set_outcome>> decode_set(std::string_view body, std::string_view key,
                                                            std::uint64_t expected, std::string_view value);

struct watch_changes {
  std::vector<std::pair<slot_id, register_value>> changes;
  /// Where to go on; 0: the history asked for is gone, or the watch ended: begin from now.
  std::uint64_t next = 0;
};
/// Keys that are not ours are left out.
[[nodiscard]] std::optional<answer<watch_changes>> decode_watch(std::string_view line, std::string_view prefix);

} // namespace glocal::store::etcd
