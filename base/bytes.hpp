#pragma once
// Unaligned big-endian access to packet and frame bytes (network order, RFC 1700).
//
// REQUIRES of every function: the bytes touched exist; callers check lengths first.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace glocal {

using bytes = std::vector<std::byte>;
using byte_view = std::span<const std::byte>;

template <class Int>
[[nodiscard]] inline Int load_be(const std::byte* at) noexcept {
  Int raw;
  std::memcpy(&raw, at, sizeof raw);
  if constexpr (sizeof(Int) == 2)
    return static_cast<Int>(__builtin_bswap16(raw));
  else if constexpr (sizeof(Int) == 4)
    return static_cast<Int>(__builtin_bswap32(raw));
  else if constexpr (sizeof(Int) == 8)
    return static_cast<Int>(__builtin_bswap64(raw));
  else
    return raw;
}

template <class Int>
inline void store_be(std::byte* at, Int value) noexcept {
  if constexpr (sizeof(Int) == 2)
    value = static_cast<Int>(__builtin_bswap16(value));
  else if constexpr (sizeof(Int) == 4)
    value = static_cast<Int>(__builtin_bswap32(value));
  else if constexpr (sizeof(Int) == 8)
    value = static_cast<Int>(__builtin_bswap64(value));
  std::memcpy(at, &value, sizeof value);
}

[[nodiscard]] inline std::uint8_t load_u8(const std::byte* at) noexcept {
  return std::to_integer<std::uint8_t>(*at);
}
[[nodiscard]] inline std::uint16_t load_be16(const std::byte* at) noexcept {
  return load_be<std::uint16_t>(at);
}
[[nodiscard]] inline std::uint32_t load_be32(const std::byte* at) noexcept {
  return load_be<std::uint32_t>(at);
}
[[nodiscard]] inline std::uint64_t load_be64(const std::byte* at) noexcept {
  return load_be<std::uint64_t>(at);
}
inline void store_u8(std::byte* at, std::uint8_t value) noexcept {
  *at = std::byte{value};
}
inline void store_be16(std::byte* at, std::uint16_t value) noexcept {
  store_be(at, value);
}
inline void store_be32(std::byte* at, std::uint32_t value) noexcept {
  store_be(at, value);
}
inline void store_be64(std::byte* at, std::uint64_t value) noexcept {
  store_be(at, value);
}

/// An immutable run of bytes shared between messages: a frame's body is copied once, then referenced.
using shared_bytes = std::shared_ptr<const bytes>;

} // namespace glocal
