#pragma once
// Bytes as text (RFC 4648): section 4 with padding, and section 5 (`-` and `_`, no padding) for addresses and headers.

#include <optional>
#include <string>
#include <string_view>

namespace glocal {

[[nodiscard]] std::string to_base64(std::string_view in);
/// Nothing unless `in` is exactly what to_base64 gives for some bytes.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view in);

[[nodiscard]] std::string to_base64url(std::string_view in);
/// Nothing unless `in` is exactly what to_base64url gives for some bytes.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view in);

} // namespace glocal
