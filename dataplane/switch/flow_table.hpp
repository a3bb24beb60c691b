#pragma once
// The flows of one edge, and the exact-match entries that lead to them: (place, 5-tuple) → flow and step.
//
// An *entry* is one key with its action; a *flow* is what the entries of one connection share: clocks, counts, path,
// TCP state. Entries end with their flow, so nothing stale is left behind, and a flow is found from either direction by
// its connection key. Actions are indirections (southbound.hpp), never resolved addresses. A packet of a known flow
// reads the line of its entry and the line of its flow.
//
// With a flow_file, flows on paths and by EID outlive the process: restored ones have their name and no entries; the
// switch programs them at their next packet.
// Invariants: every entry belongs to exactly one flow; a flow in use has kind != free.
// Threading: one thread. Only the constructor allocates.

#include "dataplane/exact_match/match_table.hpp"
#include "dataplane/exact_match/timing_wheel.hpp"
#include "dataplane/switch/counters.hpp"
#include "dataplane/switch/flow_file.hpp"
#include "dataplane/switch/flow_program.hpp"
#include "dataplane/switch/switch_config.hpp"

namespace glocal::dataplane {

struct flow_key {
  place where;
  five_tuple tuple;

  bool operator==(const flow_key&) const = default;
  [[nodiscard]] match_key packed() const noexcept { return {where.word(), tuple}; }
};

class flow_table {
public:
  struct entry {
    std::uint32_t flow = none;
    path_step step;

    explicit operator bool() const noexcept { return flow != none; }
  };

  /// @param counted whose flows_now of ports and paths are kept here; `file` whose live() its flows are. Both outlive
  /// it.
  flow_table(const switch_config& config, counters& counted, flow_file& file);

  /// The entry for `key`, if there is one.
  [[nodiscard]] entry find(const flow_key& key) const noexcept { return entry_of(entries_.find(key.packed())); }
  /// The same in two steps, for bursts: the line of a prepared key is on its way, and then that of the flow.
  [[nodiscard]] match_table::prepared prepare(const flow_key& key) const noexcept {
    return entries_.prepare(key.packed());
  }
  void prepare(const key_words_v4& key, match_table::prepared& out) const noexcept { entries_.prepare(key, out); }
  [[nodiscard]] entry find(const match_table::prepared& at) const noexcept {
    const auto found = entry_of(entries_.find(at));
    if (found)
      __builtin_prefetch(&live_[found.flow], 1);
    return found;
  }
  /// Differs after every change that could make an entry found before another one.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  /// The flow of the connection `tuple` is of, in either direction; `none` if there is none.
  [[nodiscard]] std::uint32_t find_connection(std::uint32_t tenant, const five_tuple& tuple) const noexcept;

  /// A new flow without entries; `none` when full.
  [[nodiscard]] std::uint32_t create(flow::kind what, std::uint32_t tenant, const five_tuple& forward,
                                     std::uint64_t now_ns) noexcept;
  /// A flow to give up for a new one: of sixteen, one that asked nothing of anybody and has had one packet (a scan),
  /// else the one unused for longest. Owned and pending ones are never given up. `none` if there is no other.
  [[nodiscard]] std::uint32_t find_victim() noexcept;
  /// Makes find_connection find it. False when full. REQUIRES: no other flow has that connection key.
  [[nodiscard]] bool name_connection(std::uint32_t flow) noexcept;
  /// Adds an entry for the tuple of `step.way`. False when full. REQUIRES: there is none for that key.
  [[nodiscard]] bool add_entry(std::uint32_t flow, place where, path_step step) noexcept;
  /// Removes the keys of `flow`; its connection key stays.
  void clear_entries(std::uint32_t flow) noexcept;
  /// Counts the flow on the paths of `account` from now on.
  void count_on(std::uint32_t flow, std::uint16_t account) noexcept;
  /// Removes the flow with all its entries.
  void remove(std::uint32_t flow) noexcept;
  /// Writes what it is into the flow file.
  void save(std::uint32_t flow) noexcept;
  /// Takes over what the flow file has, but for what has ended by time, does not fit, or is on a path of which
  /// `slot_of(path id)` says `none`. Once, before any create(). @return flows taken over, and left out.
  template <class SlotOf>
  std::pair<std::uint64_t, std::uint64_t> restore(std::uint64_t now_ns, SlotOf&& slot_of);

  /// Has expire() look at the flow at its time-outs, or at `at_ns` if that is earlier.
  void schedule(std::uint32_t flow, std::uint64_t at_ns = UINT64_MAX) noexcept;
  [[nodiscard]] timing_wheel& timers() noexcept { return timers_; }
  [[nodiscard]] const timing_wheel& timers() const noexcept { return timers_; }

  /// The one key of a pending or refused flow. REQUIRES: it has one.
  [[nodiscard]] flow_key key_of(std::uint32_t flow) const noexcept {
    return {places_[first_place_[flow]].where, identities_[flow].forward};
  }
  /// Whether some entry of `flow` is for packets that come in by `port`. Cost: O(entries of the flow).
  [[nodiscard]] bool enters_by(std::uint32_t flow, port_id port) const noexcept;

  [[nodiscard]] flow& operator[](std::uint32_t index) noexcept { return live_[index]; }
  [[nodiscard]] const flow& operator[](std::uint32_t index) const noexcept { return live_[index]; }
  [[nodiscard]] flow_identity& about(std::uint32_t index) noexcept { return identities_[index]; }
  [[nodiscard]] const flow_identity& about(std::uint32_t index) const noexcept { return identities_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return identities_.used(); }
  /// Flow indices at or above were never in use; those below may be free.
  [[nodiscard]] std::uint32_t high_water() const noexcept { return identities_.high_water(); }

private:
  /// Where an entry of a flow stands; its tuple is the flow's.
  struct entry_place {
    place where;
    path_step step;
    std::uint32_t next = none;
  };

  [[nodiscard]] static entry entry_of(const match_table::result& found) noexcept {
    return {found.value, {static_cast<direction>(found.note >> 8 & 1), static_cast<std::uint8_t>(found.note & 0xff)}};
  }
  [[nodiscard]] match_key key_of(std::uint32_t flow, const entry_place& at) const noexcept;
  void erase_entry(std::uint32_t flow, std::uint32_t index) noexcept;
  [[nodiscard]] bool restore(std::uint32_t index, const flow_file::stored_flow& stored, std::uint32_t path_slot,
                             std::uint64_t now_ns) noexcept;

  counters& counted_;
  flow_file& file_;
  std::span<flow> live_;
  pool<flow_identity> identities_;
  pool<entry_place> places_;
  /// By flow, the first of its places.
  std::vector<std::uint32_t> first_place_;
  match_table entries_;
  timing_wheel timers_;
  std::uint64_t changes_ = 0;
  std::uint32_t victim_hand_ = 0;
};

template <class SlotOf>
std::pair<std::uint64_t, std::uint64_t> flow_table::restore(std::uint64_t now_ns, SlotOf&& slot_of) {
  std::vector<std::uint32_t> left_out;
  std::uint64_t known = 0;
  for (std::uint32_t i = 0; i < file_.flows_to_read(); ++i) {
    // Indices are given out in order while none has come back.
    const auto stored = file_.read_flow(i);
    const auto slot = stored && stored->what == flow::kind::on_path ? slot_of(stored->identity.path) : none;
    const bool is_known = stored && (slot != none || stored->what == flow::kind::by_eid);
    (void)identities_.acquire();
    known += stored ? 1 : 0;
    if (!is_known || !restore(i, *stored, slot, now_ns))
      left_out.push_back(i);
  }
  for (const auto index : left_out) {
    live_[index] = {};
    remove(index);
  }
  return {size(), known - size()};
}

} // namespace glocal::dataplane
