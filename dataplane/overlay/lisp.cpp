// Plain LISP data (RFC 9300 section 5.1): flags, nonce and locator-status bits are tolerated and not used; of the
// header only the instance id counts.
//
//    |N|L|E|V|I|R|K|K|            Nonce/Map-Version                  |
//    |       Instance ID (I = 1)                     |    LSBs       |

#include "dataplane/overlay/lisp_header.hpp"

namespace glocal::dataplane {
namespace {

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): final, and the base can't be deleted.
class lisp_format final : public encapsulation {
public:
  [[nodiscard]] std::size_t header_bytes(const overlay_header& header) const noexcept override {
    return header.has_nsh ? 0 : lisp_header_bytes;
  }

  void write(std::byte* at, const overlay_header& header, packet_kind) const noexcept override {
    write_lisp_header(at, 0, header.instance_id, 0);
  }

  [[nodiscard]] expected<contents, drop_reason> read(byte_view payload) const noexcept override {
    contents out;
    if (const auto drop = read_lisp_header(payload, out.header))
      return unexpected{*drop};
    out.header_bytes = lisp_header_bytes;
    // Nothing but the inner packet itself says what it is.
    if (payload.size() == lisp_header_bytes)
      return unexpected{drop_reason::truncated_ip};
    const auto version = load_u8(payload.data() + lisp_header_bytes) >> 4;
    if (version != 4 && version != 6)
      return unexpected{drop_reason::bad_ip_version};
    out.inner = version == 4 ? packet_kind::ipv4 : packet_kind::ipv6;
    return out;
  }
};

constexpr lisp_format format;

} // namespace

const encapsulation& lisp() noexcept {
  return format;
}

} // namespace glocal::dataplane
