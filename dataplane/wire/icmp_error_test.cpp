// ICMP errors: those we write, and what those of others say about which flow.

#include "dataplane/wire/icmp_error.hpp"

#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

ip_address address(std::string_view text) {
  return parse_ip(text).value();
}

/// The error about `frame` as `from` writes it.
bytes error_about(const bytes& frame, std::string_view from, icmp_error what = icmp_error::packet_too_big,
                  std::uint16_t mtu = 1400) {
  packet_buffer buffer{frame};
  REQUIRE_FALSE(write_icmp_error(buffer.view, parsed(frame), what, mtu, address(from)));
  return buffer.frame();
}

} // namespace

TEST_CASE("an error of ours is whole, says what fits, and quotes what it is about") {
  struct row {
    const char* description;
    packet_builder about;
    const char* from;
    std::size_t most_bytes, mtu_at;
  };
  const row rows[] = {
      {"IPv4", packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).payload(bytes(1460)), "10.1.0.1", 576, 6},
      {"IPv4, short", packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5000, 53), "10.1.0.1", 576, 6},
      {"IPv4 behind a tag", packet_builder{}.vlan(5).ip("10.1.0.7", "203.0.113.9").udp(5000, 53), "10.1.0.1", 576, 6},
      {"IPv6", packet_builder{}.ip("2001:db8::7", "2001:db8:1::9").tcp(51514, 80).payload(bytes(1460)), "2001:db8::1",
       1280, 6},
      {"an echo", packet_builder{}.ip("10.1.0.7", "203.0.113.9").echo_request(77), "10.1.0.1", 576, 6},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    const auto original = row.about.build();
    const auto about = parsed(original);
    CHECK(may_be_reported(about));
    const auto frame = error_about(original, row.from);
    const auto said = parsed(frame);
    CHECK(said.ip_total_length <= row.most_bytes);
    CHECK(frame.size() == said.l3_offset + said.ip_total_length);
    CHECK(said.is_icmp_error);
    CHECK_FALSE(said.is_echo());
    CHECK(said.tuple == about.tuple.reversed());
    CHECK_FALSE(may_be_reported(said));
    const auto* icmp = frame.data() + said.l4_offset;
    CHECK(load_be16(icmp + row.mtu_at) == 1400);
    const byte_view message{icmp, frame.size() - said.l4_offset};
    if (said.kind == packet_kind::ipv4)
      CHECK(internet_checksum(message) == 0);
    else
      CHECK(l4_checksum(message, address(row.from), about.tuple.source, ip_protocol::icmp6) == 0);
    const auto quoted = message.subspan(icmp_header_bytes);
    CHECK(std::equal(quoted.begin(), quoted.end(), original.begin() + about.l3_offset));
  }
}

TEST_CASE("time exceeded has its own type") {
  const auto frame = error_about(packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5000, 33434).build(), "10.1.0.1",
                                 icmp_error::time_exceeded);
  CHECK(parsed(frame).icmp_type == icmp_type::time_exceeded);
  CHECK(parsed(frame).icmp_code == 0);
}

TEST_CASE("an error that does not say what it is about is a packet like others") {
  const auto good = error_about(packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).build(), "10.1.0.1");
  constexpr std::size_t icmp_at = 34, quoted_at = icmp_at + 8;
  struct row {
    const char* description;
    bytes frame;
  };
  const auto changed = [&](std::size_t at, unsigned value) {
    auto out = good;
    out.at(at) = std::byte(value);
    return out;
  };
  const auto cut = [&](std::size_t quoted_bytes) {
    return packet_builder{}
        .ip("10.1.0.1", "10.1.0.7")
        .raw(ip_protocol::icmp,
             {good.begin() + icmp_at, good.begin() + static_cast<std::ptrdiff_t>(quoted_at + quoted_bytes)})
        .build();
  };
  const row rows[] = {
      {"another type", changed(icmp_at, 5)},
      {"quotes another version", changed(quoted_at, 0x65)},
      {"quotes a header too short", changed(quoted_at, 0x44)},
      {"quotes a header longer than all of it", changed(quoted_at, 0x4f)},
      {"quotes a later fragment", changed(quoted_at + 7, 1)},
      {"quotes what somebody else sent", changed(quoted_at + 15, 8)},
      {"quotes an ICMP error", changed(quoted_at + 9, ip_protocol::icmp)},
      {"quotes nothing", cut(0)},
      {"quotes half an IP header", cut(10)},
      {"quotes no ports", cut(22)},
  };
  for (const auto& row : rows) {
    INFO(row.description);
    const auto said = parsed(row.frame);
    CHECK_FALSE(said.is_icmp_error);
    CHECK(said.tuple.protocol == ip_protocol::icmp);
    CHECK(said.tuple.source == address("10.1.0.1"));
    CHECK(said.tuple.source_port == 0);
  }
  CHECK(parsed(cut(24)).is_icmp_error);
}

TEST_CASE("what must not be reported is not") {
  CHECK_FALSE(may_be_reported(parsed(packet_builder{}.ip("10.1.0.7", "224.0.0.251").udp(1, 1).build())));
  CHECK_FALSE(may_be_reported(parsed(packet_builder{}.ip("0.0.0.0", "10.1.0.7").udp(1, 1).build())));
  CHECK_FALSE(may_be_reported(
      parsed(packet_builder{}.ip("10.1.0.7", "10.1.0.8").raw(ip_protocol::icmp, bytes(8, std::byte{5})).build())));
}
