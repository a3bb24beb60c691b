#pragma once
// What an etcd_store says to etcd's JSON gateway and what it takes from it. Pure; the answers are hostile: what is not
// exactly what was asked for gives nothing.
//
// A row's key is /glocal/CLUSTER/store/TABLE/KEY, its value the row's value as it is, its version the key's
// mod_revision. Its lease is etcd's of the number (lease XOR a hash of CLUSTER), so that clusters which share an etcd
// share no leases. Store nodes write /glocal/CLUSTER/heartbeat/NODE, from which watches know that they hear.

#include "store/etcd/etcd_codec.hpp"
#include "store/types.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::store::etcd {

/// Where a cluster's rows are in an etcd.
class row_space {
public:
  explicit row_space(std::string_view cluster);

  [[nodiscard]] std::string prefix_of(table of) const;
  [[nodiscard]] const std::string& heartbeats() const noexcept { return heartbeats_; }
  /// As etcd numbers leases; 0 stays 0. Both ways.
  [[nodiscard]] std::int64_t to_etcd(lease_id lease) const noexcept;
  [[nodiscard]] lease_id from_etcd(std::int64_t lease) const noexcept;

private:
  std::string root_, heartbeats_;
  std::uint64_t lease_salt_;
};

/// All operations in one transaction of etcd's, each with its own condition; they happen in their order.
/// REQUIRES: no key is written twice, at most 128 operations (what an etcd takes unless told otherwise).
[[nodiscard]] std::string txn_request(const row_space& space, const batch& operations);
[[nodiscard]] std::optional<answer<std::vector<op_result>>> decode_txn(std::string_view body, const row_space& space,
                                                                       const batch& operations);

struct range_of_rows {
  table from{};
  std::string prefix;
  /// Keys after this one; empty: from the first.
  std::string after{};
  std::size_t limit = 0;
  /// 0: now.
  revision at = 0;
};
struct found_rows {
  std::vector<entry> rows; ///< by key
  bool more = false;
  revision at = 0;
};
[[nodiscard]] std::string range_request(const row_space& space, const range_of_rows& what);
[[nodiscard]] std::optional<answer<found_rows>> decode_range(std::string_view body, const row_space& space,
                                                             const range_of_rows& what);

/// The heartbeat's watch has this id, rows' have others.
inline constexpr watch_id heartbeat_watch = 1;

struct watched_rows {
  watch_id id = 0;
  table of{};
  std::string prefix;
  revision from = 0;
};
/// Of one stream: the heartbeats from now on, and all of these.
[[nodiscard]] std::string watch_requests(const row_space& space, const std::vector<watched_rows>& watches);

struct heard_changes {
  watch_id id = 0;
  /// As of the node that serves the stream.
  revision at = 0;
  bool created = false, canceled = false;
  /// More of the last revision follows.
  bool fragment = false;
  struct change {
    bool is_put = false;
    std::string key; ///< etcd's
    std::string value{};
    revision at = 0;
    std::int64_t lease = 0; ///< etcd's
  };
  std::vector<change> changes;
};
[[nodiscard]] std::optional<answer<heard_changes>> decode_changes(std::string_view line);
/// What a change is of a watched table; nothing when its key is not under the table's prefix.
[[nodiscard]] std::optional<watch_event> event_of(heard_changes::change&& change, const row_space& space,
                                                  const watched_rows& watched);

[[nodiscard]] std::string put_heartbeat_request(const row_space& space, std::string_view node);
[[nodiscard]] std::string grant_request(std::int64_t lease, std::chrono::seconds ttl);
/// To keep it alive, to revoke it.
[[nodiscard]] std::string lease_request(std::int64_t lease);
/// What is left of its time; 0: there is no such lease. Of keepalive's answer.
[[nodiscard]] std::optional<answer<std::uint64_t>> decode_keepalive(std::string_view body, std::int64_t lease);
/// Of any answer; 0: none.
[[nodiscard]] std::uint64_t cluster_of(std::string_view body);
/// What an answer of another status than 200 says went wrong; empty when it is none of etcd's.
[[nodiscard]] std::string fault_of(std::string_view body);

} // namespace glocal::store::etcd
