#include "tools/lisp_query.hpp"

#include <catch2/catch.hpp>

namespace glocal::cli {
namespace {

query asked(std::string_view eid) {
  query out;
  out.eid = parse_query_eid(eid).value();
  out.nonce = 0x1122334455667788;
  out.local = {*parse_ip("10.0.3.2"), 40001};
  out.server = {*parse_ip("10.0.2.2"), 4342};
  return out;
}

lisp::map_reply reply_about(const char* eid, bool with_locator = true) {
  lisp::map_reply out;
  out.nonce = 0x1122334455667788;
  out.records.resize(1);
  auto& record = out.records[0];
  record.eid = parse_query_eid(eid).value();
  record.ttl_minutes = 10;
  if (with_locator) {
    record.locators.resize(1);
    record.locators[0].priority = 1;
    record.locators[0].weight = 100;
    record.locators[0].reachable = true;
    record.locators[0].rloc = *parse_ip("10.0.4.2");
  } else {
    record.action = lisp::map_action::natively_forward;
  }
  return out;
}

std::string name_of(query_answer::kind what) {
  constexpr const char* names[] = {"mapping", "negative", "other", "bad nonce", "malformed", "other EID"};
  return names[static_cast<std::size_t>(what)];
}

} // namespace

TEST_CASE("servers are addresses with or without a port") {
  const struct {
    const char* text;
    const char* shown;
  } rows[] = {
      {"10.0.2.2", "10.0.2.2:4342"},
      {"10.0.2.2:53", "10.0.2.2:53"},
      {"2001:db8::1", "[2001:db8::1]:4342"},
      {"[2001:db8::1]:53", "[2001:db8::1]:53"},
      {"[10.0.2.2]:53", nullptr},
      {"10.0.2.2:0", nullptr},
      {"10.0.2.2:65536", nullptr},
      {"10.0.2.2:", nullptr},
      {"map-server", nullptr},
      {"", nullptr},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto parsed = parse_udp_endpoint(row.text, 4342);
    CHECK((parsed ? to_string(*parsed) : "none") == (row.shown == nullptr ? "none" : row.shown));
  }
}

TEST_CASE("EIDs are hosts, prefixes and flows, of a tenant or none") {
  for (const auto* text : {"192.168.2.3/32", "192.168.2.0/24", "2001:db8::1/128", "[7]192.168.2.0/24",
                           "tcp 10.1.0.7:51514 > 203.0.113.9:80", "udp [2001:db8::1]:5 > [2001:db8::2]:53",
                           "[9]tcp 10.1.0.7:1 > 10.1.0.8:2"}) {
    INFO(text);
    const auto eid = parse_query_eid(text);
    REQUIRE(eid);
    CHECK(lisp::to_string(*eid) == text);
  }
  CHECK(lisp::to_string(parse_query_eid("192.168.2.3").value()) == "192.168.2.3/32");
  for (const auto* text :
       {"", "host", "192.168.2.3/24", "10.0.0.0/33", "[x]10.0.0.1", "[7", "[4294967296]10.0.0.1", "tcp 10.1.0.7:1"}) {
    INFO(text);
    CHECK_FALSE(parse_query_eid(text));
  }
}

TEST_CASE("a query is a Map-Request for one EID, encapsulated unless told otherwise") {
  for (const auto* eid : {"192.168.2.3", "[7]2001:db8::1", "[7]tcp 10.1.0.7:51514 > 203.0.113.9:80"}) {
    INFO(eid);
    auto question = asked(eid);
    const auto outer = std::get<lisp::encapsulated_message>(lisp::decode(query_message(question).value()).value());
    CHECK(outer.source == question.local.address);
    CHECK(outer.source_port == 40001);
    CHECK(outer.destination_port == lisp::control_port);
    CHECK(outer.destination == (eid[0] == '1' ? *parse_ip(eid) : question.server.address));
    question.encapsulated = false;
    CHECK(query_message(question).value() == outer.message);
    const auto request = std::get<lisp::map_request>(lisp::decode(outer.message).value());
    CHECK(request.nonce == question.nonce);
    CHECK(request.itr_rlocs == std::vector<lisp::address>{question.local.address});
    REQUIRE(request.records.size() == 1);
    CHECK(request.records[0].eid == question.eid);
  }
}

TEST_CASE("only a Map-Reply with our nonce about our EID is the answer") {
  const auto sent = [](const lisp::control_message& message) { return lisp::encode(message).value(); };
  auto forged = reply_about("192.168.2.0/24");
  forged.nonce = 1;
  auto cut = sent(reply_about("192.168.2.0/24"));
  cut.pop_back();
  lisp::map_request request;
  request.itr_rlocs.resize(1);
  request.records.resize(1);
  request.nonce = forged.nonce;
  const struct {
    const char* what;
    const char* eid;
    bytes datagram;
    const char* kind;
  } rows[] = {
      {"a mapping", "192.168.2.3", sent(reply_about("192.168.2.0/24")), "mapping"},
      {"a hole", "192.168.2.3", sent(reply_about("192.168.0.0/16", false)), "negative"},
      {"a mapping of the tenant", "[7]192.168.2.3", sent(reply_about("[7]192.168.2.0/24")), "mapping"},
      {"the flow", "tcp 10.1.0.7:1 > 10.1.0.8:2", sent(reply_about("tcp 10.1.0.7:1 > 10.1.0.8:2")), "mapping"},
      {"the flow's destination", "tcp 10.1.0.7:1 > 10.1.0.8:2", sent(reply_about("10.1.0.0/16")), "mapping"},
      {"another flow", "tcp 10.1.0.7:1 > 10.1.0.8:2", sent(reply_about("tcp 10.1.0.7:1 > 10.1.0.8:3")), "other EID"},
      {"nothing", "192.168.2.3", {}, "other"},
      {"a Map-Request", "192.168.2.3", sent(request), "other"},
      {"another nonce", "192.168.2.3", sent(forged), "bad nonce"},
      {"a type and no more", "192.168.2.3", {std::byte{0x20}}, "bad nonce"},
      {"cut short", "192.168.2.3", cut, "malformed"},
      {"another prefix", "192.168.2.3", sent(reply_about("192.168.3.0/24")), "other EID"},
      {"a longer prefix than asked for", "192.168.2.0/24", sent(reply_about("192.168.2.3")), "other EID"},
      {"another tenant", "[7]192.168.2.3", sent(reply_about("192.168.2.0/24")), "other EID"},
      {"another family", "192.168.2.3", sent(reply_about("::/0")), "other EID"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(name_of(read_answer(row.datagram, asked(row.eid)).what) == row.kind);
  }
}

TEST_CASE("an answer is shown with its locators, whence and how fast it came, and what was ignored") {
  answered_query answered;
  answered.asked = asked("192.168.2.3");
  answered.reply = reply_about("192.168.2.0/24");
  answered.reply.records[0].locators.resize(2);
  answered.reply.records[0].locators[1].rloc = lisp::explicit_locator_path{
      {{false, false, true, *parse_ip("10.0.5.2")}, {false, false, false, *parse_ip("10.0.4.2")}}};
  answered.from = {*parse_ip("10.0.2.2"), 4342};
  answered.round_trip = std::chrono::microseconds{420};
  answered.sent = 2;
  answered.ignored.bad_nonce = 1;
  CHECK(answer_text(answered) == "192.168.2.0/24: TTL 10 min\n"
                                 "RLOC                         PRIORITY    WEIGHT  MULTICAST  FLAGS\n"
                                 "10.0.4.2                     1              100  255/0      reachable\n"
                                 "path (10.0.5.2! > 10.0.4.2)  do not use       0  255/0      -\n"
                                 "from 10.0.2.2:4342 in 0.4 ms after 2 requests\n"
                                 "ignored: 1 with another nonce\n");
  answered.reply = reply_about("192.168.0.0/16", false);
  answered.sent = 1;
  answered.ignored = {};
  CHECK(answer_text(answered) == "192.168.0.0/16: nobody has it (natively-forward, TTL 10 min)\n"
                                 "from 10.0.2.2:4342 in 0.4 ms\n");
  CHECK(to_json(answered)["records"][0]["action"] == "natively-forward");
}

} // namespace glocal::cli
