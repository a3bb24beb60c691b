#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

TEST_CASE("the sum of RFC 1071 section 3 comes out as printed there") {
  const auto data = from_hex("00 01 f2 03 f4 f5 f6 f7");
  CHECK(internet_checksum(data) == 0x220d); // ~ddf2
}

TEST_CASE("an odd last byte counts as if a zero followed") {
  CHECK(internet_checksum(from_hex("12 34 56")) == internet_checksum(from_hex("12 34 56 00")));
  CHECK(internet_checksum({}) == 0xffff);
}

TEST_CASE("a header taken off a wire checks out, and not with a bit changed") {
  auto header = from_hex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
  CHECK(internet_checksum(header) == 0);
  header[3] ^= std::byte{1};
  CHECK(internet_checksum(header) != 0);
}

TEST_CASE("the update of RFC 1624 section 4 yields the checksum that equation 2 gets wrong") {
  CHECK(checksum_update(0xdd2f, 0x5555, 0x3285) == 0x0000);
}

TEST_CASE("updating word by word equals computing anew") {
  const std::uint64_t seed = 20;
  INFO("seed " << seed);
  std::mt19937_64 random{seed};
  bytes data(40);
  for (auto& byte : data)
    byte = static_cast<std::byte>(random());
  auto checksum = internet_checksum(data);
  for (int i = 0; i < 10000; ++i) {
    const auto at = random() % 20 * 2;
    const auto after = static_cast<std::uint16_t>(random());
    checksum = checksum_update(checksum, load_be16(data.data() + at), after);
    store_be16(data.data() + at, after);
    // 0x0000 and 0xffff are the same sum.
    REQUIRE((checksum % 0xffff) == (internet_checksum(data) % 0xffff));
  }
}

TEST_CASE("the pseudo header binds a message to its addresses") {
  const auto frame = packet_builder{}.ip("2001:db8::1", "2001:db8::2").udp(5000, 53).payload("odd").build();
  const auto packet = parsed(frame);
  const auto message = byte_view{frame}.subspan(packet.l4_offset);
  CHECK(l4_checksum(message, packet.tuple.source, packet.tuple.destination, ip_protocol::udp) == 0);
  CHECK(l4_checksum(message, packet.tuple.source, *parse_ip("2001:db8::3"), ip_protocol::udp) != 0);
}
