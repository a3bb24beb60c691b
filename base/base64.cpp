#include "base/base64.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace glocal {
namespace {

using alphabet = std::array<char, 65>;
constexpr alphabet plain{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"};
constexpr alphabet for_urls{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

constexpr std::int8_t none = -1;
using reverse = std::array<std::int8_t, 256>;
constexpr reverse reverse_of(const alphabet& digits) {
  reverse out{};
  out.fill(none);
  for (std::size_t i = 0; i < 64; ++i)
    out[static_cast<unsigned char>(digits[i])] = static_cast<std::int8_t>(i);
  return out;
}
constexpr reverse plain_values = reverse_of(plain), url_values = reverse_of(for_urls);

std::string encode(std::string_view in, const alphabet& digits) {
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < in.size(); i += 3) {
    std::uint32_t group = 0;
    const auto have = std::min<std::size_t>(3, in.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < have ? static_cast<unsigned char>(in[i + k]) : 0u);
    for (std::size_t k = 0; k <= have; ++k)
      out += digits[group >> (18 - 6 * k) & 63];
  }
  return out;
}

std::optional<std::string> decode(std::string_view in, const reverse& values) {
  if (in.size() % 4 == 1)
    return std::nullopt;
  std::string out;
  out.reserve(in.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : in) {
    const auto value = values[static_cast<unsigned char>(c)];
    if (value == none)
      return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(value);
    if ((bits += 6) >= 8)
      out += static_cast<char>(group >> (bits -= 8) & 0xff);
  }
  // Bits beyond the last byte must be zero (section 3.5), else several texts would be the same bytes.
  if ((group & ((1u << bits) - 1)) != 0)
    return std::nullopt;
  return out;
}

} // namespace

std::string to_base64(std::string_view in) {
  auto out = encode(in, plain);
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::optional<std::string> from_base64(std::string_view in) {
  if (in.size() % 4 != 0)
    return std::nullopt;
  const auto size = in.size();
  while (!in.empty() && in.back() == '=' && size - in.size() < 2)
    in.remove_suffix(1);
  return decode(in, plain_values);
}

std::string to_base64url(std::string_view in) {
  return encode(in, for_urls);
}

std::optional<std::string> from_base64url(std::string_view in) {
  return decode(in, url_values);
}

} // namespace glocal
