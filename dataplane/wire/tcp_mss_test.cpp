// The MSS a TCP end announces, lowered on its way.

#include "dataplane/wire/tcp_mss.hpp"

#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// A TCP segment with these options (hexadecimal, a multiple of four bytes) and a correct checksum.
bytes segment(std::uint8_t flags, std::string_view options, bool is_v6 = false) {
  const auto extra = from_hex(options);
  bytes tcp(20, std::byte{});
  store_be16(tcp.data(), 51514);
  store_be16(tcp.data() + 2, 80);
  tcp[12] = std::byte((20 + extra.size()) / 4 << 4);
  tcp[13] = std::byte(flags);
  tcp.insert(tcp.end(), extra.begin(), extra.end());
  const auto* source = is_v6 ? "2001:db8::7" : "10.1.0.7";
  const auto* destination = is_v6 ? "2001:db8:1::9" : "203.0.113.9";
  store_be16(tcp.data() + 16,
             l4_checksum(tcp, parse_ip(source).value(), parse_ip(destination).value(), ip_protocol::tcp));
  return packet_builder{}.ip(source, destination).raw(ip_protocol::tcp, tcp).build();
}

} // namespace

TEST_CASE("a SYN announces no more than what fits") {
  struct row {
    const char* description;
    std::uint8_t flags;
    const char* options;
    bool is_v6;
    std::size_t most_ip_bytes;
    /// As it is afterwards; empty: unchanged.
    const char* expected;
  };
  const row rows[] = {
      {"too much", tcp_flag::syn, "02 04 05 b4", false, 1400, "02 04 05 50"},
      {"too much, of IPv6", tcp_flag::syn, "02 04 05 b4", true, 1400, "02 04 05 3c"},
      {"SYN and ACK", tcp_flag::syn | tcp_flag::ack, "02 04 05 b4", false, 1400, "02 04 05 50"},
      {"behind other options", tcp_flag::syn, "04 02 02 04 05 b4 01 01", false, 1400, "04 02 02 04 05 50 01 01"},
      {"across two words", tcp_flag::syn, "01 02 04 05 b4 01 01 01", false, 1400, "01 02 04 05 50 01 01 01"},
      {"less than what fits", tcp_flag::syn, "02 04 05 00", false, 1400, ""},
      {"just what fits", tcp_flag::syn, "02 04 05 50", false, 1400, ""},
      {"no SYN", tcp_flag::ack, "02 04 05 b4", false, 1400, ""},
      {"no options", tcp_flag::syn, "", false, 1400, ""},
      {"behind the end of options", tcp_flag::syn, "00 00 00 00 02 04 05 b4", false, 1400, ""},
      {"an option of no length", tcp_flag::syn, "03 00 02 04 05 b4 01 01", false, 1400, ""},
      {"an option longer than the header", tcp_flag::syn, "03 09 01 01", false, 1400, ""},
      {"an MSS of three bytes", tcp_flag::syn, "02 03 05 01", false, 1400, ""},
      {"an option that ends with its kind", tcp_flag::syn, "01 01 01 02", false, 1400, ""},
      {"not even headers fit", tcp_flag::syn, "02 04 05 b4", false, 40, ""},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    auto frame = segment(row.flags, row.options, row.is_v6);
    const auto before = frame;
    const auto what = parsed(frame);
    const std::string_view expected{row.expected};
    CHECK(clamp_mss(frame.data(), what, row.most_ip_bytes) == !expected.empty());
    CHECK(frame == (expected.empty() ? before : segment(row.flags, expected, row.is_v6)));
  }
}
