#pragma once
// Tuple space search: rules that look at the same bits of a packet (a tuple) share one hash table.
//
// A packet is hashed once per tuple, with the bits the tuple looks at. Tuples are tried in order of their best rule,
// and no further than the best rule found, so that a few high-priority tuples answer most packets. What a hash can't
// express (port ranges, TCP flags, ICMP type) is verified natively on each candidate, without expanding rules.
// The hash is keyed, so that rules and packets that collide here can't be computed elsewhere. The number of tuples is
// bounded at build, so that a rule list can't make lookups slow without being refused (tuple-space explosion, Csikor et
// al., CoNEXT 2019); packets create no state at all.
//
// Source: Srinivasan, Suri, Varghese, SIGCOMM 1999; pruning as in Pfaff et al., NSDI 2015, section 5.

#include "dataplane/classify/classifier.hpp"

namespace glocal::dataplane {

class tuple_space_classifier final : public classifier {
public:
  /// A lookup costs about 10 ns a tuple in the worst case: 10 us a packet at this bound.
  static constexpr std::size_t max_tuples = 1024;

  /// `hash_key` should be random and secret. Cost: O(rules log rules), 2 copies of the list.
  /// @error build_error::too_many_rules, too_many_tuples, contradictory_rule.
  [[nodiscard]] static expected<classifier_ptr, build_error> build(std::vector<rule> rules, std::uint64_t hash_key);

  using classifier::lookup;
  /// Cost: O(tuples tried) hashes a packet, and one verification per rule of the bucket hit until one matches.
  void lookup(std::span<const packet_fields> keys, std::span<const rule*> out) const noexcept override;
  [[nodiscard]] std::size_t size() const noexcept override { return rules_.size(); }
  [[nodiscard]] std::size_t tuples() const noexcept { return tuples_.size(); }

private:
  /// The bits of a packet the rules of one tuple look at. Every prefix length under one family is a tuple of its own.
  struct mask {
    /// Of source and destination; `any_length` leaves the address out.
    std::uint8_t source_length = any_length, destination_length = any_length;
    /// 0 when neither address matters.
    std::uint8_t family = 0;
    /// A range of one port is hashed; other ranges are verified.
    bool source_port = false, destination_port = false;
    bool in_port = false, vlan = false, protocol = false, dscp = false;

    static constexpr std::uint8_t any_length = 0xff;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the 0 that <=> is compared with for a pointer.
    auto operator<=>(const mask&) const = default;
  };
  /// A run of `bucket_rules_` with one hash; `count` 0 marks a free slot.
  struct slot {
    std::uint64_t hash = 0;
    std::uint32_t first = 0, count = 0;
  };
  struct tuple {
    mask bits;
    /// Rank of its best rule: position in `rules_`, 0 is best.
    std::uint32_t best_rank = 0;
    /// Open addressing, linear probing, a power of two of slots, at most half full.
    std::uint32_t first_slot = 0, slot_mask = 0;
  };

  explicit tuple_space_classifier(std::uint64_t hash_key) : hash_key_{hash_key} {}

  [[nodiscard]] static mask mask_of(const rule_match& match) noexcept;
  [[nodiscard]] std::uint64_t hash_of(const mask& bits, const packet_fields& fields) const noexcept;
  [[nodiscard]] const rule* find(const packet_fields& packet) const noexcept;
  void fill(tuple& into, std::span<const std::uint32_t> ranks);

  std::uint64_t hash_key_;
  /// In rank order: best first.
  std::vector<rule> rules_;
  /// In order of best_rank.
  std::vector<tuple> tuples_;
  std::vector<slot> slots_;
  /// Ranks, grouped by bucket, ascending within one.
  std::vector<std::uint32_t> bucket_ranks_;
};

} // namespace glocal::dataplane
