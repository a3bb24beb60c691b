#include "dataplane/lisp/message.hpp"

#include "dataplane/lisp/testing/captured_messages.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <map>

namespace glocal::lisp {
namespace {

using dataplane::testing::from_hex;
using dataplane::testing::to_hex;
using testing::captured_messages;
using testing::sample_messages;

std::string error_of(byte_view message) {
  const auto decoded = decode(message);
  return decoded ? "none" : to_string(decoded.error());
}

} // namespace

TEST_CASE("every control message of every capture of Open Overlay Router is written as it was read") {
  std::map<std::string_view, int> seen;
  for (const auto& [where, message] : captured_messages()) {
    INFO(where << ": " << to_hex(message));
    const auto decoded = decode(message);
    REQUIRE(error_of(message) == "none");
    ++seen[to_string(type_of(*decoded))];
    const auto written = encode(*decoded);
    REQUIRE(written);
    CHECK(to_hex(*written) == to_hex(message));
  }
  std::string counts;
  for (const auto& [type, count] : seen)
    counts += std::string{type} + " " + std::to_string(count) + "\n";
  CHECK(counts == "Encapsulated Control Message 13\nMap-Notify 13\nMap-Register 13\nMap-Reply 11\nMap-Request 18\n");
}

TEST_CASE("every kind of message and address survives being written and read") {
  for (const auto& [name, message] : sample_messages()) {
    INFO(name);
    const auto written = encode(message);
    REQUIRE(written);
    REQUIRE(error_of(*written) == "none");
    CHECK(*decode(*written) == message);
  }
}

TEST_CASE("a message cut short at any byte is refused, at a place that exists") {
  auto all = captured_messages();
  for (const auto& [name, message] : sample_messages())
    all.push_back({name, encode(message).value()});
  for (const auto& [where, message] : all) {
    const auto whole = decode(message).value();
    // What LISP-SEC data is nobody here knows, so that it may end anywhere.
    const auto* reply = std::get_if<map_reply>(&whole);
    const auto tail = reply == nullptr || reply->security.empty() ? 0 : reply->security.size() - 1;
    for (std::size_t length = 0; length + tail < message.size(); ++length) {
      INFO(where << " cut to " << length << " bytes");
      const bytes cut{message.begin(), message.begin() + static_cast<std::ptrdiff_t>(length)};
      const auto decoded = decode(cut);
      REQUIRE_FALSE(decoded);
      CHECK(decoded.error().offset <= length);
      CHECK(std::string_view{decoded.error().field} != "");
    }
  }
}

TEST_CASE("a byte too many is refused") {
  for (const auto& [name, message] : sample_messages()) {
    INFO(name);
    auto longer = encode(message).value();
    longer.push_back(std::byte{0});
    if (std::holds_alternative<map_reply>(message) && !std::get<map_reply>(message).security.empty())
      continue;
    CHECK_FALSE(decode(longer));
  }
}

TEST_CASE("what lies is refused by name and place") {
  const std::string nonce = "1122334455667788";
  const std::string source = "0001 c0a80103";
  const std::string rloc = "0001 0a000302";
  const std::string request = "10000001" + nonce + source + rloc;
  const struct {
    const char* what;
    std::string message;
    const char* error;
  } rows[] = {
      {"nothing", "", "first word: cut short at byte 0"},
      {"type 0", "00000000", "message type: not spoken here at byte 0"},
      {"Map-Referral", "60000001" + nonce, "message type: not spoken here at byte 0"},
      {"a request without records", "10000000" + nonce + source + rloc,
       "record count: a value that cannot be at byte 3"},
      {"more ITR-RLOCs announced than there are", "10001f01" + nonce + source + rloc, "ITR-RLOC: cut short at byte 24"},
      {"more records announced than there are", "100000ff" + nonce + source + rloc + "0018 0001 c0a80200",
       "record flags: cut short at byte 32"},
      {"an unknown address family", "10000001" + nonce + "00ff", "source EID: an address family not known at byte 12"},
      {"an IPv4 mask of 33", request + "0021 0001 c0a80200", "EID mask length: a value that cannot be at byte 26"},
      {"an IPv6 mask of 129", request + "0081 0002 20010db8000000000000000000000001",
       "EID mask length: a value that cannot be at byte 26"},
      {"an IPv4 mask of 33 within a tenant", request + "0021 4003 0000 0220 000a 00000007 0001 c0a80200",
       "EID mask length: a value that cannot be at byte 26"},
      {"an LCAF longer than the message", request + "0018 4003 0000 0220 ffff 00000007 0001 c0a80200",
       "LCAF: cut short at byte 34"},
      {"an LCAF shorter than its address", request + "0018 4003 0000 0220 0008 00000007 0001 c0a80200",
       "address in an instance: cut short at byte 40"},
      {"an LCAF longer than its address", request + "0018 4003 0000 0220 000c 00000007 0001 c0a80200 0000",
       "LCAF: more bytes than it has fields at byte 44"},
      {"a port range that ends before it begins",
       request + "0000 4003 0000 0400 0012 00000006 0002 0001 0050 0050 0001 0a010007",
       "local port range: a value that cannot be at byte 38"},
      {"a source mask of 33", request + "0000 4003 0000 0c00 0010 0000 2120 0001 0a010007 0001 cb007109",
       "source/destination mask length: a value that cannot be at byte 36"},
      {"a name that does not end", request + "0028 0011 66772d31", "EID: cut short at byte 32"},
      {"a name that spoils terminals", request + "0028 0011 661b5b3100",
       "distinguished name: a value that cannot be at byte 29"},
      {"more locators announced than there are",
       "20000001" + nonce + "0000000a ff18 1000 0000 0001 c0a80200" + "0164ff000005" + rloc,
       "locator priority: cut short at byte 40"},
      {"authentication data longer than the message", "30000101" + nonce + "0001 ffff 00",
       "authentication data: cut short at byte 16"},
      {"LISP-SEC without data", "22000000" + nonce, "LISP-SEC data: cut short at byte 12"},
      {"LISP-SEC in an encapsulated message", "88000000 45", "LISP-SEC data: not spoken here at byte 0"},
      {"an encapsulated message of nothing", "80000000", "inner IP version: cut short at byte 4"},
      {"an encapsulated message of no IP", "80000000 00", "inner IP version: a value that cannot be at byte 4"},
      {"inner IPv4 shorter than itself", "80000000 4500000a 00000000 4011f0b7 0a000001 0a000002",
       "inner IPv4 length: a value that cannot be at byte 6"},
      {"an inner fragment", "80000000 4500001d 00002000 4011c6cd 0a000001 0a000002 10f610f6 00090000 10",
       "inner IPv4 fragment: not spoken here at byte 10"},
      {"inner TCP", "80000000 4500001d 00000000 4006e6d8 0a000001 0a000002 10f610f6 00090000 10",
       "inner IP protocol: a value that cannot be at byte 13"},
      {"a wrong inner IPv4 checksum", "80000000 4500001d 00000000 40110000 0a000001 0a000002 10f610f6 00090000 10",
       "inner IPv4 checksum: a value that cannot be at byte 14"},
      {"inner UDP of another length than IP says",
       "80000000 4500001d 00000000 401166ce 0a000001 0a000002 10f610f6 00080000 10",
       "inner UDP length: a value that cannot be at byte 28"},
      {"encapsulated twice", "80000000 4500001d 00000000 401166ce 0a000001 0a000002 10f610f6 00090000 80",
       "encapsulated message within an encapsulated message: addresses nested too deep at byte 32"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(error_of(from_hex(row.message)) == row.error);
  }
}

TEST_CASE("addresses that nest without end, and addresses without number, are refused") {
  // Instance id within instance id, as deep as the message is long.
  std::string bomb = "10000001 1122334455667788";
  for (int left = 1000; left > 0; --left) {
    bytes length(2);
    store_be16(length.data(), static_cast<std::uint16_t>(12 * left - 6));
    bomb += "4003 0000 0220 " + to_hex(length) + " 00000007";
  }
  CHECK(error_of(from_hex(bomb + "0000")) == "address in an instance: addresses nested too deep at byte 60");

  // An AFI list of empty addresses: 32 K values out of 64 KiB.
  const std::size_t items = 32'000;
  bytes flood = from_hex("10000001 1122334455667788 4003 0000 0100");
  flood.resize(flood.size() + 2 + 2 * items);
  store_be16(flood.data() + 18, static_cast<std::uint16_t>(2 * items));
  CHECK(error_of(flood) == "AFI list: too many addresses at byte 8210");
}

TEST_CASE("what is reserved is ignored when received and not sent") {
  const auto sent = from_hex("10000001 1122334455667788 0000 0001 0a000302 0018 0001 c0a80200");
  auto received = sent;
  received[1] |= std::byte{0x0f}; // reserved bits, but not I
  received[1] &= std::byte{0xef};
  received[20] = std::byte{0x7f}; // of the record, but not N
  REQUIRE(error_of(received) == "none");
  CHECK(to_hex(encode(*decode(received)).value()) == to_hex(sent));
}

TEST_CASE("a receiver is not sent what its implementation does not survive") {
  const auto at = [](address rloc) {
    map_reply out;
    out.records.resize(1);
    out.records[0].eid = make_eid(*parse_prefix("10.0.0.0/8"));
    out.records[0].locators.resize(1);
    out.records[0].locators[0].rloc = std::move(rloc);
    return out;
  };
  const auto of = [&](address eid) {
    auto out = at(*parse_ip("10.0.0.1"));
    out.records[0].eid = {std::move(eid), 0};
    return out;
  };
  const address plain = *parse_ip("10.0.0.1");
  const address flow = make_flow_eid(*parse_five_tuple("tcp 10.1.0.7:1 > 10.1.0.8:2")).eid;
  const struct {
    const char* what;
    control_message message;
    const peer_profile& receiver;
    bool sent;
  } rows[] = {
      {"plain", at(plain), oor_profile(), true},
      {"ELP", at(explicit_locator_path{{{false, false, true, plain}}}), oor_profile(), true},
      {"RLE", at(replication_list{{{0, plain}}}), oor_profile(), true},
      {"a tenant's EID", of(in_instance(7, plain)), oor_profile(), true},
      {"AFI list", at(afi_list{{plain}}), oor_profile(), false},
      {"application data", at(application_data{0, 6, {}, {}, plain}), oor_profile(), false},
      {"name as an RLOC", at(distinguished_name{"a"}), oor_profile(), false},
      {"name as an EID", of(distinguished_name{"a"}), oor_profile(), false},
      {"source/destination EID", of(source_destination{32, 32, plain, plain}), oor_profile(), false},
      {"flow EID", of(flow), oor_profile(), false},
      {"flow EID of a tenant", of(in_instance(7, flow)), oor_profile(), false},
      {"ELP over tenants", at(explicit_locator_path{{{false, false, true, in_instance(7, plain)}}}), oor_profile(),
       false},
      {"LCAF 11", at(opaque_lcaf{11, 0, 0, {}}), oor_profile(), false},
      {"LCAF 14", at(opaque_lcaf{14, 0, 0, {}}), oor_profile(), false},
      {"vendor LCAF", at(vendor_lcaf{1, {}}), oor_profile(), false},
      {"MAC", of(mac_address{}), oor_profile(), false},
      {"ELP", at(explicit_locator_path{}), plain_profile(), false},
      {"vendor LCAF", at(vendor_lcaf{1, {}}), full_profile(), true},
      {"flow EID of a tenant", of(in_instance(7, flow)), full_profile(), true},
  };
  for (const auto& row : rows) {
    INFO(row.what << " to " << row.receiver.name);
    const auto written = encode(row.message, row.receiver);
    CHECK(written.has_value() == row.sent);
    if (!written) {
      CHECK(written.error().what == encode_error::kind::refused);
      CHECK(written.error().message.find(row.receiver.name) != std::string::npos);
    }
  }
  map_request subscription;
  subscription.itr_rlocs = {plain};
  subscription.records = {{true, make_eid(*parse_prefix("10.0.0.0/8"))}};
  CHECK_FALSE(encode(subscription, oor_profile()));
  CHECK(encode(subscription, full_profile()));
  CHECK(find_profile("oor") == &oor_profile());
  CHECK(find_profile("other") == nullptr);
}

TEST_CASE("what no message can carry is not sent") {
  map_request request;
  CHECK(encode(request).error().message == "a Map-Request has 1 to 32 ITR-RLOCs");
  request.itr_rlocs.resize(1);
  CHECK(encode(request).error().message == "a Map-Request has 1 to 255 records");
  request.records.resize(256);
  CHECK_FALSE(encode(request));
  request.records.resize(255);
  CHECK(encode(request));
  request.records[0].eid = {*parse_ip("10.0.0.1"), 33};
  CHECK(encode(request).error().message == "an EID mask length beyond its address");

  map_reply reply;
  reply.records.resize(1);
  reply.records[0].locators.resize(256);
  CHECK(encode(reply).error().message == "more than 255 locators in a record");
  reply.records[0].locators.resize(255);
  for (auto& one : reply.records[0].locators)
    one.rloc = opaque_lcaf{6, 0, 0, bytes(300)};
  CHECK(encode(reply).error().what == encode_error::kind::too_long);
  reply.records[0].locators.resize(1);
  reply.records[0].locators[0].rloc = opaque_lcaf{6, 0, 0, bytes(65536)};
  CHECK(encode(reply).error().message == "an LCAF of more than 65535 bytes");
  reply.records[0].locators[0].rloc = opaque_lcaf{lcaf_type::instance_id, 0, 0, {}};
  CHECK_FALSE(encode(reply));
  reply.records[0].locators[0].rloc = distinguished_name{std::string{"a\0b", 3}};
  CHECK_FALSE(encode(reply));

  encapsulated_message twice;
  twice.message = encode(encapsulated_message{}).value_or(bytes{std::byte{0x80}});
  CHECK_FALSE(encode(twice));
}

TEST_CASE("EIDs are flows and prefixes of tenants, and read as people write them") {
  const auto flow = *parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(flow_of(make_flow_eid(flow)) == flow);
  CHECK(flow_of(make_flow_eid(flow, 7)) == flow);
  CHECK(instance_of(make_flow_eid(flow, 7).eid) == 7);
  CHECK(to_string(make_flow_eid(flow, 7)) == "[7]tcp 10.1.0.7:51514 > 203.0.113.9:80");
  const auto prefix = *parse_prefix("192.168.1.0/24");
  CHECK(ip_prefix_of(make_eid(prefix, 7)) == prefix);
  CHECK(to_string(make_eid(prefix)) == "192.168.1.0/24");
  CHECK(to_string(make_eid(prefix, 7)) == "[7]192.168.1.0/24");
  CHECK_FALSE(flow_of(make_eid(prefix)));
  CHECK_FALSE(ip_prefix_of(make_flow_eid(flow)));
  CHECK_FALSE(ip_prefix_of({*parse_ip("192.168.1.1"), 24}));
  CHECK(to_string(address{explicit_locator_path{
            {{false, false, true, *parse_ip("10.0.5.2")}, {true, true, false, *parse_ip("10.0.4.2")}}}}) ==
        "path (10.0.5.2! > 10.0.4.2?*)");
  CHECK(to_string(address{opaque_lcaf{6, 0, 0, bytes(14)}}) == "lcaf 6 (14 B)");
}

} // namespace glocal::lisp
