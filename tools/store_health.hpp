#pragma once
// What several store nodes' reports (GET /api/v1/store/status) say together: who serves each slot, who has it, what is
// missing. Reports are not trusted.

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace glocal::cli {

struct slot_health {
  std::uint64_t slot = 0;
  /// That serves it; empty: nobody says so.
  std::string primary;
  std::uint64_t epoch = 0, committed = 0, revision = 0, keys = 0;
  /// Who should have it; who must have a write before it is acknowledged: the members of its view.
  std::vector<std::string> placed, in_sync;
  /// Of the primary's log, not yet on this node's disk; members, and who is becoming one.
  std::map<std::string, std::uint64_t> missing;
  /// Why a replica is out, by node.
  std::map<std::string, std::string> failures;

  /// The most a member is behind.
  [[nodiscard]] std::uint64_t lag() const;
  [[nodiscard]] bool is_whole() const;
};

struct node_health {
  std::string name;
  bool reachable = false;
  /// Slots it is a member of; `replicas`: of which it has anything.
  std::uint64_t primaries = 0, copies = 0, replicas = 0, keys = 0, log_bytes = 0, backlog_bytes = 0,
                unflushed_bytes = 0, watchers = 0;
  std::string disk;
  /// It shall hold nothing.
  bool drained = false;
  /// Of a store on etcd.
  bool reaches_etcd = false;
};

struct store_health {
  /// Where the whole store is, when it is on etcd alone: there are no slots then.
  std::string etcd;
  std::vector<slot_health> slots;
  std::vector<node_health> nodes;
  std::uint64_t copies = 0, unserved = 0, short_of_copies = 0;
  /// Slots on their way now, as text, and how many have to move yet, these among them.
  std::vector<std::string> moving;
  std::uint64_t to_move = 0;
  /// Until shares are even; why no slot moves at all.
  bool evening = false;
  std::string placement_fault;

  [[nodiscard]] bool is_available() const;
  [[nodiscard]] bool is_whole() const;
  [[nodiscard]] bool is_moving() const { return to_move > 0 || evening; }
  /// One line for people.
  [[nodiscard]] std::string headline() const;
};

/// @param reports by node, of all store nodes; null for one that did not answer.
[[nodiscard]] store_health join_reports(const std::map<std::string, nlohmann::json>& reports);

[[nodiscard]] nlohmann::json to_json(const store_health& health);

} // namespace glocal::cli
