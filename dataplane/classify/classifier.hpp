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
#include <span>
#include <vector>

namespace glocal::dataplane {

/// Most packets one lookup takes: one rx burst.
inline constexpr std::size_t max_classify_burst = 64;

/// Most rules of one classifier; position in rank order must fit 32 bits with room to spare.
inline constexpr std::size_t max_rules = 1u << 24;

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

/// Why a rule list was refused, and which rule was at fault (of `too_many_*`: the first beyond the bound).
struct build_error {
  enum class code : std::uint8_t { too_many_rules, too_many_tuples, contradictory_rule };

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

  /// out[i] becomes the winning rule for keys[i], nullptr when none matches. The rules belong to the classifier.
  /// REQUIRES: keys.size() == out.size() <= max_classify_burst.
  virtual void lookup(std::span<const packet_fields> keys, std::span<const rule*> out) const noexcept = 0;

  /// Rules held.
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;

  /// As a burst of one.
  [[nodiscard]] const rule* lookup(const packet_fields& key) const noexcept {
    const rule* out = nullptr;
    lookup({&key, 1}, {&out, 1});
    return out;
  }
};

using classifier_ptr = std::shared_ptr<const classifier>;

} // namespace glocal::dataplane
