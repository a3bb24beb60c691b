#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/neighbour.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

using operation = neighbour_message::operation;

expected<neighbour_message, drop_reason> decode(const bytes& frame) {
  return decode_neighbour(frame, parsed(frame));
}

/// What host_mac at `source` sends to ask for `target`.
bytes solicitation(const char* source, const char* target, std::uint16_t vlan = 0) {
  packet_buffer buffer{{}};
  REQUIRE_FALSE(write_solicitation(buffer.view, *parse_ip(target), *parse_ip(source), host_mac, vlan));
  return buffer.frame();
}

/// Changes an ND frame and makes its ICMPv6 checksum right again, so that only what was changed can be at fault.
bytes changed(bytes frame, const std::function<void(bytes&)>& change) {
  change(frame);
  auto* ip = frame.data() + ethernet_header_bytes;
  store_be16(ip + 4, static_cast<std::uint16_t>(frame.size() - ethernet_header_bytes - ipv6_header_bytes));
  auto* icmp = ip + ipv6_header_bytes;
  const auto p = parsed(frame);
  store_be16(icmp + 2, 0);
  store_be16(icmp + 2, l4_checksum(byte_view{frame}.subspan(ethernet_header_bytes + ipv6_header_bytes), p.tuple.source,
                                   p.tuple.destination, ip_protocol::icmp6));
  return frame;
}

constexpr std::size_t nd = ethernet_header_bytes + ipv6_header_bytes;

} // namespace

TEST_CASE("a question about an address is read, and its answer says where it is") {
  struct row {
    const char* asker;
    const char* target;
  };
  const auto [asker, target] = GENERATE(row{"10.1.0.7", "10.1.0.1"}, row{"2001:db8::7", "2001:db8::1"});
  const auto vlan = static_cast<std::uint16_t>(GENERATE(0, 12));
  const auto question = solicitation(asker, target, vlan);
  CHECK(is_neighbour_message(parsed(question)));
  CHECK(parsed(question).vlan == vlan);
  CHECK(destination_mac(question.data()).is_multicast());

  const auto asked = decode(question);
  REQUIRE(asked);
  CHECK(asked->op == operation::solicit);
  CHECK(asked->target == *parse_ip(target));
  CHECK(asked->asker == *parse_ip(asker));
  CHECK(asked->link_address == host_mac);

  packet_buffer answer{question};
  REQUIRE_FALSE(write_advertisement(answer.view, *asked, edge_mac, vlan));
  CHECK(destination_mac(answer.view.data) == host_mac);
  const auto told = decode(answer.frame());
  REQUIRE(told);
  CHECK(told->op == operation::advertise);
  CHECK(told->target == *parse_ip(target));
  CHECK(told->asker == *parse_ip(asker));
  CHECK(told->link_address == edge_mac);
}

TEST_CASE("the bytes of an ARP request are those of RFC 826") {
  CHECK(to_hex(arp_request(host_mac, "10.1.0.7", "10.1.0.1")) == "ffffffffffff020000000001"
                                                                 "0806"
                                                                 "0001080006040001"
                                                                 "0200000000010a010007"
                                                                 "0000000000000a010001");
}

TEST_CASE("an ARP reply that was not asked for reads as an advertisement") {
  const auto told = decode(arp_reply(edge_mac, "10.1.0.1", host_mac, "10.1.0.7"));
  REQUIRE(told);
  CHECK(told->op == operation::advertise);
  CHECK(told->link_address == edge_mac);
}

TEST_CASE("an address probe is answered so that the prober hears it") {
  SECTION("ARP: to its MAC address") {
    const auto asked = decode(arp_request(host_mac, "0.0.0.0", "10.1.0.1"));
    REQUIRE(asked);
    packet_buffer answer{{}};
    REQUIRE_FALSE(write_advertisement(answer.view, *asked, edge_mac));
    CHECK(destination_mac(answer.view.data) == host_mac);
  }
  SECTION("ND: to all nodes, not solicited") {
    auto question = solicitation("2001:db8::7", "2001:db8::1");
    question.resize(nd + 24); // a probe carries no source link-layer address
    question =
        changed(question, [](bytes& f) { std::fill_n(f.begin() + ethernet_header_bytes + 8, 16, std::byte{0}); });
    const auto asked = decode(question);
    REQUIRE(asked);
    CHECK(asked->asker.is_unspecified());
    CHECK(asked->link_address == host_mac);
    packet_buffer answer{{}};
    REQUIRE_FALSE(write_advertisement(answer.view, *asked, edge_mac));
    CHECK(to_string(parsed(answer.view.view()).tuple.destination) == "ff02::1");
    CHECK(to_string(destination_mac(answer.view.data)) == "33:33:00:00:00:01");
    CHECK(decode(answer.frame()));
  }
}

TEST_CASE("ARP that lies is refused") {
  struct row {
    const char* description;
    std::function<void(bytes&)> change;
  };
  const auto set = [](std::size_t at, int value) {
    return [=](bytes& frame) { frame[ethernet_header_bytes + at] = static_cast<std::byte>(value); };
  };
  const std::vector<row> rows{
      {"cut short", [](bytes& frame) { frame.pop_back(); }},
      {"no message", [](bytes& frame) { frame.resize(ethernet_header_bytes); }},
      {"hardware type", set(1, 6)},
      {"protocol type", set(3, 1)},
      {"hardware length", set(4, 8)},
      {"protocol length", set(5, 16)},
      {"operation 0", set(7, 0)},
      {"operation 3 (RARP)", set(7, 3)},
      {"sender MAC is a group", set(8, 0x01)},
      {"sender is a group", set(14, 224)},
      {"target is a group", set(24, 239)},
      {"target unspecified", [](bytes& frame) { std::fill_n(frame.end() - 4, 4, std::byte{0}); }},
  };
  for (const auto& [description, change] : rows) {
    auto frame = arp_request(host_mac, "10.1.0.7", "10.1.0.1");
    change(frame);
    INFO(description);
    const auto message = decode(frame);
    REQUIRE_FALSE(message);
    CHECK(message.error() == drop_reason::bad_arp);
  }
}

TEST_CASE("Neighbour Discovery that RFC 4861 section 7.1 discards is refused") {
  struct row {
    const char* description;
    std::function<void(bytes&)> change;
  };
  const auto set = [](std::size_t at, int value) {
    return [=](bytes& frame) { frame[at] = static_cast<std::byte>(value); };
  };
  const std::vector<row> rows{
      {"hop limit 254: came through a router", set(ethernet_header_bytes + 7, 254)},
      {"code 1", set(nd + 1, 1)},
      {"shorter than 24 bytes", [](bytes& f) { f.resize(nd + 23); }},
      {"target is a group", set(nd + 8, 0xff)},
      {"option of length 0", set(nd + 25, 0)},
      {"option longer than the message", set(nd + 25, 2)},
      {"half an option", [](bytes& f) { f.resize(nd + 25); }},
      {"source is a group", set(ethernet_header_bytes + 8, 0xff)},
      {"probe with a link-layer address",
       [](bytes& f) { std::fill_n(f.begin() + ethernet_header_bytes + 8, 16, std::byte{0}); }},
      {"link-layer address is a group", set(nd + 26, 0x33)},
  };
  for (const auto& [description, change] : rows) {
    INFO(description);
    const auto message = decode(changed(solicitation("2001:db8::7", "2001:db8::1"), change));
    REQUIRE_FALSE(message);
    CHECK(message.error() == drop_reason::bad_neighbour_discovery);
  }
  SECTION("wrong checksum") {
    auto frame = solicitation("2001:db8::7", "2001:db8::1");
    frame[nd + 2] ^= std::byte{1};
    CHECK_FALSE(decode(frame));
  }
  SECTION("what the rows change is all that is wrong") {
    CHECK(decode(changed(solicitation("2001:db8::7", "2001:db8::1"), [](bytes&) {})));
  }
}

TEST_CASE("answers do not fit a buffer that is too small") {
  packet_buffer small{{}, 0, 41};
  CHECK(write_solicitation(small.view, *parse_ip("10.0.0.1"), *parse_ip("10.0.0.2"), edge_mac) ==
        drop_reason::no_buffer);
  CHECK(write_solicitation(small.view, *parse_ip("::1"), *parse_ip("::2"), edge_mac) == drop_reason::no_buffer);
  CHECK(small.view.length == 0);
}

TEST_CASE("a ping is answered in place as the pinged host would") {
  struct row {
    const char* from;
    const char* to;
  };
  const auto [from, to] = GENERATE(row{"10.1.0.7", "10.1.0.1"}, row{"2001:db8::7", "2001:db8::1"});
  const auto vlan = static_cast<std::uint16_t>(GENERATE(0, 12));
  packet_buffer buffer{packet_builder{}.vlan(vlan).ip(from, to).ttl(9).echo_request(77, 3).payload("data").build()};
  const auto request = parsed(buffer.view.view());
  REQUIRE(is_echo_request(request));
  make_echo_reply(buffer.view.data, request);
  const auto reply =
      packet_builder{}.macs(edge_mac, host_mac).vlan(vlan).ip(to, from).echo_reply(77, 3).payload("data").build();
  CHECK(to_hex(buffer.frame()) == to_hex(reply));
  CHECK_FALSE(is_echo_request(parsed(reply)));
}
