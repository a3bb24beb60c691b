#pragma once
// Text for readers that trust its form: lines of a log, strings of JSON. Names and errors may come from peers.

#include <string>
#include <string_view>

namespace glocal {

enum class escape_quotes : bool { no, yes };

/// Appends `text` to `to`: control characters as `\n` or `\u001b`, what is no UTF-8 as U+FFFD and, for JSON, `"` and
/// the backslash behind a backslash.
void append_escaped(std::string& to, std::string_view text, escape_quotes quotes);

/// Whether all of it is UTF-8 (RFC 3629).
[[nodiscard]] bool is_utf8(std::string_view text);

/// `"text"`, as JSON has it.
inline void append_json_string(std::string& to, std::string_view text) {
  to += '"';
  append_escaped(to, text, escape_quotes::yes);
  to += '"';
}

} // namespace glocal
