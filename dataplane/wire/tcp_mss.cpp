#include "dataplane/wire/tcp_mss.hpp"

#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/headers.hpp"

namespace glocal::dataplane {
namespace {

/// RFC 9293 section 3.2.
constexpr std::uint8_t end_of_options = 0, no_operation = 1, maximum_segment_size = 2;
constexpr std::size_t mss_option_bytes = 4, checksum_at = 16;

} // namespace

bool clamp_mss(std::byte* frame, const parsed_packet& parsed, std::size_t most_ip_bytes) noexcept {
  if (parsed.tuple.protocol != ip_protocol::tcp || parsed.is_icmp_error || (parsed.tcp_flags & tcp_flag::syn) == 0)
    return false;
  const std::size_t headers = parsed.l4_offset - parsed.l3_offset + tcp_header_bytes;
  if (most_ip_bytes <= headers)
    return false;
  const auto most = most_ip_bytes - headers; // options count as data here (RFC 6691 section 2)
  auto* tcp = frame + parsed.l4_offset;
  const std::size_t end = parsed.payload_offset - parsed.l4_offset;
  for (std::size_t at = tcp_header_bytes; at < end;) {
    const auto kind = load_u8(tcp + at);
    if (kind == end_of_options)
      return false;
    if (kind == no_operation) {
      ++at;
      continue;
    }
    const std::size_t size = at + 1 < end ? load_u8(tcp + at + 1) : 0;
    if (size < 2 || at + size > end)
      return false;
    if (kind != maximum_segment_size) {
      at += size;
      continue;
    }
    if (size != mss_option_bytes || load_be16(tcp + at + 2) <= most)
      return false;
    // Behind an odd number of no-operations the value lies across two words of the sum.
    const auto first = (at + 2) & ~std::size_t{1};
    const bool is_split = (at & 1) != 0;
    const auto before = load_be16(tcp + first);
    const auto before_next = is_split ? load_be16(tcp + first + 2) : std::uint16_t{0};
    store_be16(tcp + at + 2, static_cast<std::uint16_t>(most));
    auto sum = checksum_update(load_be16(tcp + checksum_at), before, load_be16(tcp + first));
    if (is_split)
      sum = checksum_update(sum, before_next, load_be16(tcp + first + 2));
    store_be16(tcp + checksum_at, sum);
    return true;
  }
  return false;
}

} // namespace glocal::dataplane
