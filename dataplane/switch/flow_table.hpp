#pragma once
// The exact-match stage: (place, 5-tuple) → what to do, for the flows of one edge.
//
// Two kinds of records. An *entry* is one key with its action; a *flow* is what the entries of one connection share:
// clocks, counts, path, TCP state. Entries end with their flow, so nothing stale is left behind, and a flow is found
// from either direction by its connection key. Actions are indirections (southbound.hpp), never resolved addresses.
//
// Invariants: every entry belongs to exactly one flow; a flow in the pool has kind != free.
// Threading: one thread. Only the constructor allocates. Cost: a lookup is one hash and three cache lines.

#include "dataplane/switch/counters.hpp"
#include "dataplane/switch/flow_program.hpp"
#include "dataplane/switch/hash_index.hpp"
#include "dataplane/switch/southbound.hpp"
#include "dataplane/switch/switch_config.hpp"

namespace glocal::dataplane {

struct flow_key {
  place where;
  five_tuple tuple;

  bool operator==(const flow_key&) const = default;
};

/// What the edge knows about one connection.
struct flow {
  enum class kind : std::uint8_t {
    free,
    /// Follows a path.
    on_path,
    /// Of no service: to its destination EID.
    by_eid,
    /// Waits for the agent in hold `hold`.
    pending,
    /// Dropped under `refusal` until it ends.
    refused
  };

  static constexpr std::uint16_t no_account = 0xffff;

  /// As the initiator sends it; for pending and refused flows, as the packet had it.
  five_tuple forward;
  std::uint32_t tenant = 0;
  kind what = kind::free;
  bool owner = false;
  /// TCP, by direction: FIN seen. RST sets both.
  bool forward_closed = false, reverse_closed = false;
  drop_reason refusal = drop_reason::decision_refused;
  /// What to report when it ends by time.
  removal ends_as = removal::idle;
  /// Of the path it is counted on; `no_account` when it is another edge's to count.
  std::uint16_t account = no_account;
  /// Slot in the path table, and which states of path, EID table and rules the entries were made for.
  std::uint32_t path_slot = none;
  std::uint32_t path_generation = 0, eid_generation = 0, rules_generation = 0;
  /// By direction, where its packets end; valid while eid_generation is the table's.
  std::array<const eid_route*, 2> routes{};
  std::uint32_t hold = none;
  std::uint32_t first_entry = none;
  std::uint64_t cookie = 0;
  std::uint64_t last_used_ns = 0, idle_ns = 0;
  std::uint64_t packets = 0, bytes = 0;

  [[nodiscard]] bool is_closed() const noexcept { return forward_closed && reverse_closed; }
};

class flow_table {
public:
  struct entry {
    flow_key key;
    path_step step;
    std::uint32_t flow = none;
    std::uint32_t next_of_flow = none;
  };

  /// @param counted whose flows_now of ports and paths are kept here; outlives the table.
  flow_table(const switch_config& config, counters& counted);

  /// The entry for `key`, or nullptr. Valid until the next change of its flow.
  [[nodiscard]] const entry* find(const flow_key& key) const noexcept;
  /// The flow of the connection `tuple` is of, in either direction; `none` if there is none.
  [[nodiscard]] std::uint32_t find_connection(std::uint32_t tenant, const five_tuple& tuple) const noexcept;

  /// A new flow without entries; `none` when full.
  [[nodiscard]] std::uint32_t create(flow::kind what, std::uint32_t tenant, const five_tuple& forward) noexcept;
  /// Makes find_connection find it. False when full. REQUIRES: no other flow has that connection key.
  [[nodiscard]] bool name_connection(std::uint32_t flow) noexcept;
  /// Adds a key. False when full. REQUIRES: find(key) == nullptr.
  [[nodiscard]] bool add_entry(std::uint32_t flow, const flow_key& key, path_step step) noexcept;
  /// Removes the keys of `flow`; its connection key stays.
  void clear_entries(std::uint32_t flow) noexcept;
  /// Counts the flow on the paths of `account` from now on.
  void count_on(std::uint32_t flow, std::uint16_t account) noexcept;
  /// Removes the flow with all its entries.
  void remove(std::uint32_t flow) noexcept;

  /// The one key of a pending or refused flow. REQUIRES: it has one.
  [[nodiscard]] const flow_key& key_of(std::uint32_t flow) const noexcept {
    return entries_[flows_[flow].first_entry].key;
  }
  /// Whether some entry of `which` is for packets that come in by `port`. Cost: O(entries of the flow).
  [[nodiscard]] bool enters_by(const flow& which, port_id port) const noexcept;

  [[nodiscard]] flow& operator[](std::uint32_t index) noexcept { return flows_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return flows_.used(); }
  /// Flow indices at or above were never in use; those below may be free.
  [[nodiscard]] std::uint32_t high_water() const noexcept { return flows_.high_water(); }

private:
  [[nodiscard]] std::uint64_t hash(const flow_key& key) const noexcept;
  void erase_entry(std::uint32_t index) noexcept;

  std::uint64_t hash_key_;
  counters& counted_;
  pool<flow> flows_;
  pool<entry> entries_;
  hash_index index_;
};

} // namespace glocal::dataplane
