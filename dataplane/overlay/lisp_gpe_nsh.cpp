// LISP-GPE (RFC 9305) with a Network Service Header (RFC 8300) that says which service path a packet is on and where.
//
//    |N|L|E|V|I|P|K|K|        Nonce/Map-Version      | Next Protocol |   P = 1; next protocol 4 is NSH
//    |       Instance ID                             |    LSBs       |
//    |Ver|O|U|    TTL    |   Length  |U|U|U|U|MD Type| Next Protocol |   length in words of 4 bytes, these two included
//    |          Service Path Identifier              | Service Index |
//    |    Metadata Class             |     Type      |U|   Length    |   of a traced packet (RFC 8300 section 2.5.1);
//    |                       trace id                                |   length in bytes of what follows, 8
//    |                                                               |

#include "dataplane/overlay/lisp_header.hpp"

namespace glocal::dataplane {
namespace {

/// RFC 9305 section 3.
namespace gpe_protocol {
constexpr std::uint8_t ipv4 = 1, ipv6 = 2, nsh = 4;
}
/// RFC 8300 section 2.2; the same numbers for IP, by chance.
namespace nsh_protocol {
constexpr std::uint8_t ipv4 = 1, ipv6 = 2;
}

constexpr std::size_t nsh_header_bytes = 8;
constexpr std::uint32_t nsh_word_bytes = 4;
/// RFC 8300 sections 2.4, 2.5: MD type 1 has 16 bytes of metadata, MD type 2 any number, none being the least.
constexpr std::uint32_t md_type_1_words = 6, md_type_2_least_words = 2;

/// RFC 8300 section 9.1.4: classes for experimental use are 0xfff6 to 0xfffe.
constexpr std::uint32_t trace_metadata_class = 0xfff6, trace_metadata_type = 1;
constexpr std::size_t metadata_header_bytes = 4, trace_metadata_bytes = 8;
constexpr std::uint32_t trace_words = (metadata_header_bytes + trace_metadata_bytes) / nsh_word_bytes;

void write_nsh(std::byte* at, const overlay_header& header, packet_kind inner) noexcept {
  const auto next = inner == packet_kind::ipv4 ? nsh_protocol::ipv4 : nsh_protocol::ipv6;
  const auto words = md_type_2_least_words + (header.trace != 0 ? trace_words : 0);
  store_be32(at, std::uint32_t{header.nsh_ttl & 0x3fu} << 22 | words << 16 | 2u << 8 | next);
  store_be32(at + 4, header.spi << 8 | header.si);
  if (header.trace != 0) {
    at += nsh_header_bytes;
    store_be32(at, trace_metadata_class << 16 | trace_metadata_type << 8 | trace_metadata_bytes);
    store_be32(at + 4, static_cast<std::uint32_t>(header.trace >> 32));
    store_be32(at + 8, static_cast<std::uint32_t>(header.trace));
  }
}

/// The trace id among the variable-length metadata `context` (RFC 8300 section 2.5.1), 0 if there is none. What ends in
/// the middle of an element ends the search.
trace_id find_trace(byte_view context) noexcept {
  while (context.size() >= metadata_header_bytes) {
    const auto element = load_be32(context.data());
    const std::size_t bytes = element & 0x7f; // the bit above is unassigned
    // Padded to whole words, which the length does not count.
    const auto padded = metadata_header_bytes + (bytes + nsh_word_bytes - 1) / nsh_word_bytes * nsh_word_bytes;
    if (padded > context.size())
      return 0;
    if (element >> 8 == (trace_metadata_class << 8 | trace_metadata_type) && bytes == trace_metadata_bytes) {
      const auto id = std::uint64_t{load_be32(context.data() + 4)} << 32 | load_be32(context.data() + 8);
      return id <= max_trace_id ? id : 0;
    }
    context = context.subspan(padded);
  }
  return 0;
}

/// Reads the NSH at the front of `data`; adds its bytes to `out.header_bytes`.
drop_verdict read_nsh(byte_view data, encapsulation::contents& out) noexcept {
  if (data.size() < nsh_header_bytes)
    return drop_reason::nsh_length;
  const auto base = load_be32(data.data());
  const auto version = base >> 30;
  const bool is_oam = (base >> 29 & 1) != 0;
  const auto words = base >> 16 & 0x3f;
  const auto md_type = base >> 8 & 0x0f;
  // RFC 8300 section 2.2: versions other than 0 and OAM packets by those who do not speak OAM are discarded.
  if (version != 0 || is_oam || (md_type != 1 && md_type != 2))
    return drop_reason::bad_nsh_header;
  if (md_type == 1 ? words != md_type_1_words : words < md_type_2_least_words)
    return drop_reason::nsh_length;
  const std::size_t bytes = std::size_t{words} * nsh_word_bytes;
  if (bytes > data.size())
    return drop_reason::nsh_length;
  switch (base & 0xff) {
  case nsh_protocol::ipv4: out.inner = packet_kind::ipv4; break;
  case nsh_protocol::ipv6: out.inner = packet_kind::ipv6; break;
  default: return drop_reason::bad_nsh_protocol;
  }
  // RFC 8300 section 2.2: one less at each hop, 0 counts as 64, and nothing is forwarded that comes to 0.
  const auto ttl = ((base >> 22) - 1) & 0x3f;
  if (ttl == 0)
    return drop_reason::nsh_ttl_expired;
  out.header.has_nsh = true;
  out.header.nsh_ttl = static_cast<std::uint8_t>(ttl);
  out.header.spi = load_be32(data.data() + 4) >> 8;
  out.header.si = load_u8(data.data() + 7);
  if (md_type == 2 && words > md_type_2_least_words)
    out.header.trace = find_trace(data.subspan(nsh_header_bytes, bytes - nsh_header_bytes));
  out.header_bytes = static_cast<std::uint16_t>(out.header_bytes + bytes);
  return {};
}

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): final, and the base can't be deleted.
class lisp_gpe_nsh_format final : public encapsulation {
public:
  [[nodiscard]] std::size_t header_bytes(const overlay_header& header) const noexcept override {
    if (!header.has_nsh)
      return lisp_header_bytes;
    return lisp_header_bytes + nsh_header_bytes + (header.trace != 0 ? trace_words * nsh_word_bytes : 0);
  }

  void write(std::byte* at, const overlay_header& header, packet_kind inner) const noexcept override {
    const auto plain = inner == packet_kind::ipv4 ? gpe_protocol::ipv4 : gpe_protocol::ipv6;
    write_lisp_header(at, lisp_flag::gpe, header.instance_id, header.has_nsh ? gpe_protocol::nsh : plain);
    if (header.has_nsh)
      write_nsh(at + lisp_header_bytes, header, inner);
  }

  [[nodiscard]] expected<contents, drop_reason> read(byte_view payload) const noexcept override {
    contents out;
    if (const auto drop = read_lisp_header(payload, out.header))
      return unexpected{*drop};
    out.header_bytes = lisp_header_bytes;
    switch (load_u8(payload.data() + 3)) {
    case gpe_protocol::ipv4: out.inner = packet_kind::ipv4; return out;
    case gpe_protocol::ipv6: out.inner = packet_kind::ipv6; return out;
    case gpe_protocol::nsh:
      if (const auto drop = read_nsh(payload.subspan(lisp_header_bytes), out))
        return unexpected{*drop};
      return out;
    default: return unexpected{drop_reason::bad_gpe_protocol};
    }
  }
};

constexpr lisp_gpe_nsh_format format;

} // namespace

const encapsulation& lisp_gpe_nsh() noexcept {
  return format;
}

} // namespace glocal::dataplane
