#pragma once
// Matches as people write them: `src=10.1.0.0/16,proto=tcp,dport=80`.
//
//   match  := "any" | field { "," field }          each key at most once
//   field  := in_port=N | vlan=N | src=PREFIX | dst=PREFIX | proto=NAME-OR-N | dscp=N
//           | sport=N[-N] | dport=N[-N] | tcp_flags=VALUE/MASK | icmp_type=N
//
// Numbers are decimal; those of tcp_flags may also be hexadecimal (0x02/0x12 is SYN without ACK).
// Threading: pure functions.

#include "base/expected.hpp"
#include "dataplane/classify/rule.hpp"

#include <string>
#include <string_view>

namespace glocal::dataplane {

struct rule_text_error {
  enum class code : std::uint8_t { missing_equals, unknown_key, repeated_key, malformed_value, contradiction };

  code what = code::malformed_value;
  /// Where in the text the field at fault begins, in bytes from 0.
  std::size_t offset = 0;
  /// What to tell the user: names the key, and says what is wrong with it.
  std::string message;
};

/// Reads back as an equal match.
[[nodiscard]] std::string to_string(const rule_match& match);

[[nodiscard]] expected<rule_match, rule_text_error> parse_rule_match(std::string_view text);

} // namespace glocal::dataplane
