// The trace book's bounds and cursors, and records in words.

#include "actors/edge/trace_book.hpp"
#include "actors/edge/trace_steps.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::actors;
using namespace glocal::dataplane;

namespace {

trace_entry numbered(std::uint64_t number) {
  trace_entry out;
  out.trace = number;
  return out;
}

switch_names names() {
  switch_names out;
  out.node = "e1";
  out.ports = {{0, "underlay"}, {1, "subscribers"}, {2, "fw-1.in"}};
  model::service web;
  web.name = "web";
  web.priority = 100;
  for (const std::uint16_t port : {80, 8080}) {
    web.matches.emplace_back();
    web.matches.back().protocol = ip_protocol::tcp;
    web.matches.back().destination_ports = {port, port};
  }
  out.services = {{7, web, true}};
  return out;
}

std::string line(const trace_record& record) {
  const auto said = describe(record, names());
  std::string out = said.what;
  for (const auto& field : said.fields)
    out += " " + field.name + "=" + said.text(field.name);
  return out;
}

trace_record record_of(trace_step step) {
  trace_record out;
  out.trace = 9;
  out.time_ns = 1000;
  out.step = step;
  return out;
}

void add_packet(trace_record& record, const char* tuple) {
  record.tuple = *parse_five_tuple(tuple);
  record.length = 60;
  record.ttl = 64;
  record.tcp_flags = 0x12;
}

} // namespace

TEST_CASE("a reader goes on where it stopped, and is told what it missed") {
  trace_book book;
  CHECK(book.end() == 0);
  CHECK(book.read(0, 10).entries.empty());
  for (std::uint64_t i = 1; i <= 5; ++i)
    book.add(numbered(i));
  auto page = book.read(0, 3);
  REQUIRE(page.entries.size() == 3);
  CHECK(page.entries.back().trace == 3);
  CHECK(page.missed == 0);
  page = book.read(page.next, 3);
  REQUIRE(page.entries.size() == 2);
  CHECK(page.entries.front().trace == 4);
  CHECK(book.read(page.next, 3).entries.empty());
  CHECK(book.read(page.next, 3).next == page.next);
  CHECK(book.end() == page.next);

  for (std::uint64_t i = 6; i <= trace_book::max_entries + 10; ++i)
    book.add(numbered(i));
  page = book.read(5, 1);
  CHECK(page.missed == 5); // 6 to 10 gave way
  CHECK(page.entries.front().trace == 11);
  // A cursor from before a restart of the node is ahead of everything.
  CHECK(book.read(1'000'000, 5).entries.empty());
}

TEST_CASE("of a session's ends the first is the reason") {
  trace_book book;
  book.begin_session({42, true, {}, 100, 0});
  book.end_session(41, "stopped");
  CHECK(book.last_session().is_running);
  book.end_session(42, "limit reached");
  book.end_session(42, "stopped");
  CHECK_FALSE(book.last_session().is_running);
  CHECK(book.last_session().ended_because == "limit reached");
}

TEST_CASE("records are said in names") {
  auto received = record_of(trace_step::received);
  received.port = 1;
  add_packet(received, "tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(line(received) == "received port=subscribers packet=tcp 10.1.0.7:51514 > 203.0.113.9:80 tenant=0 ip_bytes=60 "
                          "ttl=64 tcp_flags=syn,ack");
  auto hit = record_of(trace_step::hit);
  hit.detail = static_cast<std::uint8_t>(entry_kind::on_path);
  hit.spi = 100;
  hit.si = 1;
  hit.reverse = true;
  CHECK(line(hit) == "hit entry=on path path=000064 position=1 direction=reply");
  auto step = record_of(trace_step::path_step);
  step.spi = 100;
  step.hops = 2;
  step.port = 2;
  CHECK(line(step) == "path_step path=000064 position=0 hops=2 direction=forward to_port=fw-1.in");
  auto encapsulated = record_of(trace_step::encapsulated);
  encapsulated.address = *parse_ip("172.16.2.2");
  encapsulated.spi = 101;
  encapsulated.si = 254;
  encapsulated.length = 116;
  CHECK(line(encapsulated) ==
        "encapsulated to_rloc=172.16.2.2 path=000064 spi=101 si=254 outer_bytes=116 trace_id=carried");
  auto dropped = record_of(trace_step::dropped);
  dropped.reason = drop_reason::spoofed_source;
  dropped.port = 9;
  CHECK(line(dropped) == "dropped reason=spoofed_source in_port=#9");
  CHECK(describe(hit, names()).trace == 9);
  CHECK(describe(hit, names()).at_ns == 1000);
  CHECK(describe(hit, names()).node == "e1");
}

TEST_CASE("a rule is found again by what it matched") {
  auto rule = record_of(trace_step::rule);
  rule.value = 7;
  rule.priority = 100;
  rule.port = 1;
  add_packet(rule, "tcp 10.1.0.7:51514 > 203.0.113.9:8080");
  CHECK(line(rule) == "rule action=decide priority=100 service=web rule=1 match=proto=tcp,dport=8080");
  SECTION("mirrored") {
    rule.detail = static_cast<std::uint8_t>(rule_action::reply);
    add_packet(rule, "tcp 203.0.113.9:80 > 10.1.0.7:51514");
    CHECK(line(rule) == "rule action=reply priority=100 service=web rule=0 match=proto=tcp,sport=80");
  }
  SECTION("of a service that has changed since") {
    add_packet(rule, "udp 10.1.0.7:51514 > 203.0.113.9:53");
    CHECK(line(rule) == "rule action=decide priority=100 service=web");
  }
  SECTION("of a service that is gone") {
    rule.value = 8;
    CHECK(line(rule) == "rule action=decide priority=100 cookie=8");
  }
}
