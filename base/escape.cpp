#include "base/escape.hpp"

#include <algorithm>
#include <cstdio>

namespace glocal {
namespace {

/// Bytes of the UTF-8 character `text` begins with (RFC 3629, section 4); 0 when it is none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto first = byte(0);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xc2 ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || text.size() < size)
    return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
  // Overlong forms, surrogates and what is beyond Unicode.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) || (first == 0xf0 && byte(1) < 0x90) ||
      (first == 0xf4 && byte(1) > 0x8f))
    return 0;
  return size;
}

bool is_plain(char c, escape_quotes quotes) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7f && (quotes == escape_quotes::no || (c != '"' && c != '\\'));
}

} // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto size = character_bytes(text);
    if (size == 0)
      return false;
    text.remove_prefix(size);
  }
  return true;
}

void append_escaped(std::string& to, std::string_view text, escape_quotes quotes) {
  while (!text.empty()) {
    // Nearly all of nearly every text.
    const auto plain = static_cast<std::size_t>(
        std::find_if_not(text.begin(), text.end(), [&](char c) { return is_plain(c, quotes); }) - text.begin());
    to += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty())
      return;
    const auto size = character_bytes(text);
    if (size == 0)
      to += "\xef\xbf\xbd"; // U+FFFD
    else if (size > 1)
      to += text.substr(0, size);
    else if (text[0] == '\n')
      to += "\\n";
    else if (text[0] == '"' || text[0] == '\\')
      (to += '\\') += text[0];
    else {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(text[0]));
      to += code;
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

} // namespace glocal
