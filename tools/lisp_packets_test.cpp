#include "tools/lisp_packets.hpp"

#include "dataplane/lisp/testing/captured_messages.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"
#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"
#include "tools/lisp_json.hpp"

#include <catch2/catch.hpp>

namespace glocal::cli {
namespace {

using namespace dataplane;
using namespace dataplane::testing;
using json = nlohmann::ordered_json;

captured_packet captured(bytes frame, std::size_t cut_bytes = 0) {
  const auto size = frame.size() + cut_bytes;
  return {std::chrono::seconds{1'700'000'000} + std::chrono::microseconds{42}, std::move(frame), size};
}

packet_builder from_peer(std::uint16_t source, std::uint16_t destination) {
  return packet_builder{}.ip("10.0.3.2", "10.0.2.2").udp(source, destination);
}

bytes with_inner(std::string_view shim) {
  auto out = from_hex(shim);
  const auto inner = packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).payload("GET /").build();
  out.insert(out.end(), inner.begin() + ethernet_header_bytes, inner.end());
  return out;
}

const bytes& registration() {
  static const auto all = lisp::testing::captured_messages();
  return all.front().message;
}

} // namespace

TEST_CASE("a control packet is shown with its time, its ends and every field") {
  packet_describer describer{{{std::nullopt, "password"}}};
  const auto shown = describer.describe(captured(from_peer(4342, 4342).payload(registration()).build()));
  CHECK(packet_text(shown) == "#1  2023-11-14T22:13:20.000042Z  10.0.3.2:4342 > 10.0.2.2:4342  Map-Register\n"
                              "  flags: want-map-notify\n"
                              "  nonce: 0xf1fa0a6f1e0b7ae1\n"
                              "  authentication:\n"
                              "    key id: 0\n"
                              "    algorithm: HMAC-SHA-1-96\n"
                              "    data: de68dc607c69656c64383f4ab122163aef1b0ef2\n"
                              "    verdict: good\n"
                              "  records 1:\n"
                              "    eid: 192.168.1.0/24\n"
                              "    ttl minutes: 10\n"
                              "    action: no-action\n"
                              "    authoritative: yes\n"
                              "    map version: 0\n"
                              "    locators 1:\n"
                              "      rloc: 10.0.3.2\n"
                              "      priority: 1\n"
                              "      weight: 100\n"
                              "      multicast priority: 255\n"
                              "      multicast weight: 0\n"
                              "      flags: local, reachable\n");
  CHECK(summary_text(describer.counts()) ==
        "1 packet: 1 control message, 0 data messages (Map-Register 1); authentication: good 1\n");
}

TEST_CASE("keys are tried for the site they are of") {
  const struct {
    std::vector<const char*> keys;
    const char* verdict;
  } rows[] = {
      {{}, "not checked: no key given"},
      {{"password"}, "good"},
      {{"other"}, "bad"},
      {{"other", "password"}, "good"},
      {{"192.168.0.0/16=password"}, "good"},
      {{"192.168.0.0/16=other"}, "bad"},
      {{"10.0.0.0/8=password"}, "not checked: no key for this site"},
      {{"10.0.0.0/8=other", "192.168.1.0/24=password"}, "good"},
      {{"a=b", "password"}, "good"},
  };
  for (const auto& row : rows) {
    std::vector<site_key> keys;
    for (const auto* key : row.keys)
      keys.push_back(parse_site_key(key));
    packet_describer describer{keys};
    const auto shown = describer.describe_control(registration());
    CHECK(shown["message"]["authentication"]["verdict"] == row.verdict);
  }
  CHECK(parse_site_key("a=b").secret == "a=b");
  CHECK(parse_site_key("10.0.0.0/8=b=c").secret == "b=c");
}

TEST_CASE("what an encapsulated message carries is shown inside it") {
  packet_describer describer{{}};
  for (const auto& [name, message] : lisp::testing::sample_messages()) {
    INFO(name);
    const auto shown = describer.describe_control(lisp::encode(message).value());
    REQUIRE(shown.contains("message"));
    CHECK(shown["message"].contains("message") == std::holds_alternative<lisp::encapsulated_message>(message));
    CHECK_FALSE(packet_text(shown).empty());
  }
  CHECK(describer.counts().malformed == 0);
}

TEST_CASE("LCAFs are text, with their parts beside it") {
  lisp::map_reply reply;
  reply.records.resize(1);
  reply.records[0].eid = lisp::make_eid(*parse_prefix("192.168.2.0/24"), 7);
  reply.records[0].locators.resize(1);
  reply.records[0].locators[0].rloc = lisp::explicit_locator_path{
      {{false, false, true, *parse_ip("10.0.5.2")}, {true, false, false, *parse_ip("10.0.4.2")}}};
  const auto record = to_json(lisp::control_message{reply})["records"][0];
  CHECK(record["eid"] == "[7]192.168.2.0/24");
  CHECK(record["eid_fields"]["instance_id"] == 7);
  CHECK(record["locators"][0]["rloc"] == "path (10.0.5.2! > 10.0.4.2*)");
  CHECK(record["locators"][0]["rloc_fields"]["hops"].dump() ==
        R"([{"rloc":"10.0.5.2","flags":["strict"]},{"rloc":"10.0.4.2","flags":["lookup"]}])");
}

TEST_CASE("data packets are shown by their format, with the inner flow") {
  const struct {
    const char* shim;
    const char* type;
    const char* fields;
  } rows[] = {
      {"00000000 00000000", "LISP", R"({"type":"LISP","flags":[],"instance_id":0})"},
      {"08000000 00000700", "LISP", R"({"type":"LISP","flags":["instance-id"],"instance_id":7})"},
      {"04000001 00000000", "LISP-GPE", R"({"type":"LISP-GPE","flags":["gpe"],"instance_id":0})"},
      {"0c000004 00000700 0fc20201 123456fe", "LISP-GPE, NSH",
       R"({"type":"LISP-GPE, NSH","flags":["instance-id","gpe"],"instance_id":7,"path":1193046,"service_index":254,"nsh_ttl":63})"},
  };
  for (const auto& row : rows) {
    packet_describer describer{{}};
    auto shown = describer.describe(captured(from_peer(50000, 4341).payload(with_inner(row.shim)).build()))["data"];
    CHECK(shown["inner"] == "tcp 10.1.0.7:51514 > 203.0.113.9:80");
    CHECK(shown["inner_bytes"] == 45);
    shown.erase("inner");
    shown.erase("inner_bytes");
    CHECK(shown.dump() == row.fields);
    CHECK(describer.counts().types.at(row.type) == 1);
  }
}

TEST_CASE("malformed packets are counted and do not stop the rest; others are passed over") {
  packet_describer describer{{}};
  CHECK(describer.describe(captured(packet_builder{}.tcp(4342, 4342).build())).is_null());
  CHECK(describer.describe(captured(from_peer(53, 53).build())).is_null());
  CHECK(describer.describe(captured({})).is_null());
  CHECK(describer.describe(captured(arp_request(host_mac, "10.0.0.1", "10.0.0.2"))).is_null());
  CHECK(describer.counts().lisp() == 0);

  const auto error = [&](std::uint16_t port, std::string_view payload) {
    return describer.describe(captured(from_peer(port, port).payload(from_hex(payload)).build()))["error"]
        .get<std::string>();
  };
  CHECK(error(4342, "") == "first word: cut short at byte 0");
  CHECK(error(4342, "10000001 11") == "nonce: cut short at byte 4");
  CHECK(error(4342, "80000000 4500001d 00000000 401166ce 0a000001 0a000002 10f610f6 0009eccd 10") ==
        "inside: first word: cut short at byte 0");
  CHECK(error(4341, "") == "LISP header: cut short at byte 0");
  CHECK(error(4341, "0000") == "bad_lisp_header");
  CHECK(error(4341, "00000000 00000000 45") == "inner packet: truncated_ip");
  CHECK(describer.counts().malformed == 6);
  CHECK(describer.counts().packets == 10);

  auto cut = from_peer(4342, 4342).payload(registration()).build();
  cut.resize(60);
  CHECK(describer.describe(captured(cut, 40)).is_null());
  CHECK(describer.counts().cut == 1);
  CHECK(summary_text(describer.counts()) ==
        "11 packets: 0 control messages, 0 data messages, 6 malformed, 1 packet cut by "
        "the capture's snapshot length and not looked at\n");
}

} // namespace glocal::cli
