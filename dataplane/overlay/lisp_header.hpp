#pragma once
// The eight bytes LISP and LISP-GPE share (RFC 9300 section 5.1, RFC 9305 section 3). Private to this folder.

#include "dataplane/overlay/encapsulation.hpp"

namespace glocal::dataplane {

inline constexpr std::size_t lisp_header_bytes = 8;

namespace lisp_flag {
inline constexpr std::uint8_t nonce = 0x80, locator_status = 0x40, echo_nonce = 0x20, map_version = 0x10,
                              instance_id = 0x08, gpe = 0x04, key = 0x03;
}

/// `flags` besides the I bit, which an instance id other than 0 sets.
inline void write_lisp_header(std::byte* at, std::uint8_t flags, std::uint32_t instance_id,
                              std::uint8_t next_protocol) noexcept {
  if (instance_id != 0)
    flags |= lisp_flag::instance_id;
  store_be32(at, std::uint32_t{flags} << 24 | next_protocol);
  store_be32(at + 4, instance_id << 8);
}

/// Reads the instance id, and refuses what can't be understood: a header cut short, an encrypted payload (RFC 8061), a
/// nonce and a map version in the same bits (RFC 9300 section 5.3).
[[nodiscard]] inline drop_verdict read_lisp_header(byte_view payload, overlay_header& out) noexcept {
  if (payload.size() < lisp_header_bytes)
    return drop_reason::bad_lisp_header;
  const auto flags = load_u8(payload.data());
  constexpr auto both = lisp_flag::nonce | lisp_flag::map_version;
  if ((flags & lisp_flag::key) != 0 || (flags & both) == both)
    return drop_reason::bad_lisp_header;
  if ((flags & lisp_flag::instance_id) != 0)
    out.instance_id = load_be32(payload.data() + 4) >> 8;
  return {};
}

} // namespace glocal::dataplane
