#pragma once
// Wildcard classification: the second match stage of an edge (the first is the exact-match table).
//
// A classifier is built from a whole rule list and never changes: a new list makes a new classifier, published to the
// lcores as one pointer. So lookups take no locks, and what they point to lives as long as the snapshot does.
//
// Threading: immutable after build; any number of threads look up at once.

#include "base/expected.hpp"
#include "dataplane/classify/rule.hpp"
#include "dataplane/wire/parse.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace glocal::dataplane {

/// Most packets one lookup takes: one rx burst.
inline constexpr std::size_t max_classify_burst = 64;

/// Most rules of one classifier: 256 Mi. Slot numbers of 32 bits leave each 16 slots.
inline constexpr std::size_t max_rules = 1u << 28;

/// The number of a rule in its classifier: its place in the list the classifier was built from.
using rule_id = std::uint32_t;
inline constexpr rule_id no_rule = 0xffff'ffff;

/// What a rule says when it wins.
struct rule_outcome {
  std::uint64_t cookie = 0;
  std::uint32_t action = 0;
  std::uint32_t priority = 0;

  bool operator==(const rule_outcome&) const = default;
};

/// The fields of one packet that rules can match.
struct packet_fields {
  ip_address source, destination;
  /// TCP, UDP and SCTP; else 0 (also for ICMP echo, whose identifier is no port).
  std::uint16_t source_port = 0, destination_port = 0;
  port_id in_port = 0;
  std::uint16_t vlan = 0;
  std::uint8_t protocol = 0;
  std::uint8_t dscp = 0;
  std::uint8_t tcp_flags = 0;
  std::uint8_t icmp_type = 0;

  bool operator==(const packet_fields&) const = default;
};

/// REQUIRES: parsed.is_ip().
[[nodiscard]] packet_fields make_packet_fields(const parsed_packet& parsed, port_id in_port) noexcept;

/// Whether one match accepts one packet: the meaning of rules, which every classifier must reproduce.
[[nodiscard]] bool matches(const rule_match& match, const packet_fields& packet) noexcept;

/// Why a rule list was refused, and which rule was at fault (of `too_many_rules` and `too_many_masks`: the first beyond
/// the bound; of `too_many_lines`: the best of those that one lookup would have to compare).
struct build_error {
  enum class code : std::uint8_t {
    too_many_rules,
    too_many_masks,
    too_many_shapes,
    too_many_lines,
    contradictory_rule,
    out_of_memory
  };

  code what = code::contradictory_rule;
  std::size_t rule_index = 0;
};

[[nodiscard]] std::string_view to_string(build_error::code code) noexcept;

/// What every classifier refuses: more than max_rules, and rules that contradict themselves.
[[nodiscard]] std::optional<build_error> find_build_error(std::span<const rule> rules) noexcept;

class classifier {
public:
  classifier() = default;
  classifier(const classifier&) = delete;
  classifier& operator=(const classifier&) = delete;
  virtual ~classifier() = default;

  /// out[i] becomes the winning rule for keys[i], no_rule when none matches.
  /// REQUIRES: keys.size() == out.size() <= max_classify_burst.
  virtual void lookup(std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept = 0;

  /// REQUIRES: a lookup answered `id`.
  [[nodiscard]] virtual rule_outcome outcome(rule_id id) const noexcept = 0;

  /// Rules held.
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;

  /// As a burst of one.
  [[nodiscard]] rule_id lookup(const packet_fields& key) const noexcept {
    auto out = no_rule;
    lookup({&key, 1}, {&out, 1});
    return out;
  }
  [[nodiscard]] std::optional<rule_outcome> find(const packet_fields& key) const noexcept {
    const auto id = lookup(key);
    return id == no_rule ? std::nullopt : std::optional{outcome(id)};
  }
};

using classifier_ptr = std::shared_ptr<const classifier>;

} // namespace glocal::dataplane
