#include "dataplane/wire/drop_reason.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

TEST_CASE("a packet grows into its headroom and no further") {
  packet_buffer buffer{from_hex("01 02 03"), 4, 2};
  auto& packet = buffer.view;
  CHECK(packet.prepend(5) == nullptr);
  CHECK(packet.length == 3);
  auto* front = packet.prepend(4);
  REQUIRE(front == packet.data);
  CHECK(packet.length == 7);
  CHECK(packet.headroom == 0);
  packet.trim_front(4);
  CHECK(buffer.frame() == from_hex("01 02 03"));
  CHECK(packet.headroom == 4);
}

TEST_CASE("a packet's end moves within its tailroom") {
  packet_buffer buffer{from_hex("01 02 03"), 0, 2};
  auto& packet = buffer.view;
  CHECK_FALSE(packet.set_length(6));
  CHECK(packet.length == 3);
  CHECK(packet.set_length(1));
  CHECK(packet.tailroom == 4);
  CHECK(packet.set_length(5));
  CHECK(packet.tailroom == 0);
}

TEST_CASE("every drop reason has a name of its own") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < drop_reason_count; ++i)
    names.insert(to_string(static_cast<drop_reason>(i)));
  CHECK(names.size() == drop_reason_count);
  CHECK(names.count("unknown") == 0);
}
