#pragma once
// A rule list that changes while lookups run: add, modify and remove, many of them visible at once.
//
// Two planes share one forest: each rule says in which of them it lives. Lookups of one burst see the plane that the
// generation's parity says; a transaction changes the hidden one, flips the generation, waits until no burst is left in
// the plane that was visible, and does the same there. So memory does not double, a burst sees all of a transaction or
// nothing, and lookups never wait: what they announce is a store to a cache line of their own.
//
// Of equal priorities the lower rule id wins. Ids are places in the list the table was made from; rules added later
// take the lowest id that is free.
//
// Threading: one writer (`apply`, `replace`, and everything else but lookups). Each reading thread has a `reader` of
// its own; they look up at any time. Readers are made and destroyed by the writer's thread, and before the table.

#include "dataplane/classify/forest_classifier.hpp"
#include "dataplane/classify/forest_editor.hpp"

#include <atomic>
#include <functional>

namespace glocal::dataplane {

/// One change of a transaction. Rules are named by match and priority (OpenFlow 1.3.5 section 6.4, the strict
/// commands).
struct rule_change {
  enum class kind : std::uint8_t { add, modify, remove };

  kind what = kind::add;
  /// Of a modification the cookie and action to have; of a removal only match and priority count.
  rule of;
};

struct change_error {
  enum class code : std::uint8_t {
    contradictory_rule,
    no_such_rule,
    too_many_rules,
    too_many_masks,
    too_many_shapes,
    too_many_lines,
    out_of_memory
  };

  code what = code::no_such_rule;
  /// The change at fault, by its place in the transaction.
  std::size_t change = 0;
};
[[nodiscard]] std::string_view to_string(change_error::code code) noexcept;

struct rule_counters {
  std::uint64_t packets = 0, bytes = 0;

  bool operator==(const rule_counters&) const = default;
};

class rule_table {
public:
  class reader;

  /// @error as forest_classifier::build.
  [[nodiscard]] static expected<std::unique_ptr<rule_table>, build_error> make(forest_classifier::loader rules);
  [[nodiscard]] static expected<std::unique_ptr<rule_table>, build_error> make(std::span<const rule> rules,
                                                                               const classifier_options& options = {});
  rule_table(const rule_table&) = delete;
  rule_table& operator=(const rule_table&) = delete;
  ~rule_table();

  /// All changes or, on an error, none. The ids of the rules added and modified (a modified rule changes its id and
  /// keeps its counters), no_rule for removals. Cost: some 0.5 us a change, and one burst of each reader a transaction.
  [[nodiscard]] expected<std::vector<rule_id>, change_error> apply(std::span<const rule_change> changes);

  /// Makes the table hold exactly these rules, as one transaction: what is in both stays, also its counters.
  [[nodiscard]] expected<void, change_error> replace(std::span<const rule> rules);

  /// Every rule, with its id.
  void each(const std::function<void(rule_id, const rule&)>& visit) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return forest_->bytes(); }
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }
  /// What all readers counted for the rule since it was added.
  [[nodiscard]] rule_counters counters(rule_id id) const;

  [[nodiscard]] std::unique_ptr<reader> add_reader();
  [[nodiscard]] const forest_classifier& classifier() const noexcept { return *forest_; }
  void use(const lookup_kernel& kernel) noexcept { forest_->use(kernel); }

private:
  friend struct rule_file_access;

  /// A rule as the forests of its families hold it; without id and live bits.
  struct packed_rule {
    std::optional<packed_v4> v4;
    std::optional<packed_v6> v6;
    /// Whether there were templates for it.
    bool complete = true;
  };
  /// A change as it is carried out: the rule that goes and the one that comes, by their ids.
  struct step {
    packed_rule of;
    rule_id gone = no_rule, come = no_rule;
    /// The planes the one that goes lived in.
    unsigned gone_live = 0;
  };

  explicit rule_table(std::shared_ptr<forest_classifier> forest);

  [[nodiscard]] std::optional<change_error::code> prepare(const rule_change& change, unsigned hidden, step& out);
  [[nodiscard]] std::optional<change_error::code> insert(const rule& of, const packed_rule& packed, unsigned hidden,
                                                         rule_id& id);
  void complete(const step& done, unsigned visible);
  void undo(const step& done);
  /// Takes out what no plane shows; its id becomes free.
  void take_out(const packed_rule& of, rule_id id);
  [[nodiscard]] packed_rule pack_rule(const rule& of);
  /// Calls `visit` with the editor and the packed rule of each family the rule belongs to, until it says false.
  template <class Visit>
  bool each_family(const packed_rule& of, rule_id id, unsigned live, Visit&& visit);
  /// Packs what the changes name, and asks for the memory that making them will read.
  void begin_steps(std::span<const rule_change> changes, std::span<step> steps);
  [[nodiscard]] std::optional<rule_id> take_id();
  void flip(std::uint64_t generations);
  void make_room(std::uint32_t& max_visits, std::uint32_t visits);
  [[nodiscard]] rule_counters raw_counters(rule_id id) const;

  std::shared_ptr<forest_classifier> forest_;
  forest_editor<4> edit_v4_;
  forest_editor<8> edit_v6_;
  std::atomic<std::uint64_t> generation_{2};
  std::size_t size_ = 0;
  rule_id next_id_ = 0;
  std::vector<rule_id> free_ids_;
  /// Rules that no plane shows but that there was no memory to take out.
  std::vector<std::pair<packed_rule, rule_id>> abandoned_;
  std::vector<reader*> readers_;
  /// What earlier rules of an id counted, and what a modified rule brought along (subtracted, modulo 2^64).
  std::unordered_map<rule_id, rule_counters> counted_before_;
  std::unordered_map<rule_id, rule_counters> left_by_readers_;
};

/// One thread's way to look up, and its counters.
class rule_table::reader {
public:
  ~reader();
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  /// Lookups between begin() and end() see one generation, and so do the outcomes of what they find. Wait-free; end()
  /// soon: the writer waits for it.
  void begin() noexcept;
  void lookup(std::span<const packed_v4> keys, std::span<rule_id> out) const noexcept;
  void lookup(std::span<const packed_v6> keys, std::span<rule_id> out) const noexcept;
  void lookup(std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept;
  [[nodiscard]] rule_outcome outcome(rule_id id) const noexcept { return table_.forest_->outcome(id); }
  /// Counts a packet of `bytes` for a rule found. Without room for the counter (see room_for_counters) it is not
  /// counted.
  void count(rule_id id, std::uint32_t bytes) noexcept;
  void end() noexcept { state_.store(0, std::memory_order_release); }

  /// Makes room for counters, 16 bytes a rule; from now on adding a rule makes room here too, or is refused. By the
  /// writer's thread. False where there is no memory.
  [[nodiscard]] bool count_rules();
  [[nodiscard]] bool counts_rules() const noexcept { return room_.load(std::memory_order_relaxed) > 0; }

private:
  friend class rule_table;
  explicit reader(rule_table& table) : table_{table} {}

  [[nodiscard]] bool make_room(std::size_t rules);

  rule_table& table_;
  huge_memory counters_;
  /// Rules there is a counter for. Raised by the writer before there is a rule that needs it.
  std::atomic<std::size_t> room_{0};
  unsigned plane_ = 0;
  /// The generation of the burst under way, 0 between bursts. Alone on its line: only its thread writes it.
  alignas(64) std::atomic<std::uint64_t> state_{0};
};

} // namespace glocal::dataplane
