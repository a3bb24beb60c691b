// Packets that go through the stages together, and by the short way where they can: the same must become of them as of
// packets that come one by one and all take the long way.
// Commands run between bursts, so that rules, EIDs and paths are the same for all packets of one.

#include "dataplane/switch/testing/edge_bench.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// Printed by every failing case; GLOCAL_SEED=N runs the same again.
std::uint64_t seed_of_run() {
  const auto* given = std::getenv("GLOCAL_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261125;
}

/// A few rules among which the ports of the packets below find each action, and none.
classifier_ptr any_rules(std::mt19937_64& random) {
  std::vector<rule> out(random() % 6);
  for (std::uint32_t i = 0; i < out.size(); ++i) {
    const auto low = static_cast<std::uint16_t>(random() % 8);
    out[i].match.destination_ports = {low, static_cast<std::uint16_t>(low + random() % 4)};
    out[i].priority = 100 - i;
    out[i].cookie = random() % 1000;
    out[i].action = static_cast<std::uint32_t>(random() % 4);
  }
  return linear_classifier_of(out);
}

/// In and out of order, of few flows, so that packets of one burst meet what others of it have changed.
std::pair<port_id, bytes> any_packet(std::mt19937_64& random) {
  const auto port = static_cast<std::uint16_t>(random() % 8);
  const auto flags = random() % 3 == 0 ? tcp_flag::ack : random() % 8 == 0 ? tcp_flag::rst : tcp_flag::syn;
  switch (random() % 6) {
  case 0: return {host, packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(5, port, flags).build()};
  case 1: return {host, packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5, port).build()};
  case 2: return {host, packet_builder{}.ip("10.9.0.7", "203.0.113.9").udp(5, port).build()}; // not attached
  case 3:
    return {under, from_overlay(packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(port, 5, flags).build(),
                                at_step(path + 1, random() % 2 == 0 ? 255 : 254))};
  case 4: return {under, from_overlay(packet_builder{}.ip("203.0.113.9", "10.1.0.7").udp(port, 5).build(), {})};
  default: return {out_arm, packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(5, port, flags).build()};
  }
}

/// What left, in order by port: what leaves by different ports has no order.
std::vector<sent_frame> by_port(std::vector<sent_frame> sent) {
  std::ranges::stable_sort(sent, {}, &sent_frame::port);
  return sent;
}

std::string describe(const packet_in& asked) {
  return to_string(asked.tuple) + " reason " + std::to_string(static_cast<int>(asked.reason)) + " cookie " +
         std::to_string(asked.rule_cookie) + " spi " + std::to_string(asked.spi);
}

void compare(std::uint64_t seed, const switch_config& config) {
  INFO("GLOCAL_SEED=" << seed);
  std::mt19937_64 random{seed};
  auto long_way = config;
  long_way.simple_lane = false;
  edge together{config}, singly{long_way};
  const auto both = [&](const auto& what) {
    what(together);
    what(singly);
  };
  for (int turn = 0; turn < 400; ++turn) {
    if (random() % 4 == 0) {
      const auto rules = any_rules(random);
      both([&](edge& it) { it.order(set_classifier{rules}); });
    }
    if (random() % 8 == 0)
      both([&](edge& it) { it.order(set_mappings{edge::routes()}); });
    const auto port = random() % 8 == 0 ? under : static_cast<port_id>(host);
    std::vector<bytes> burst;
    // More than go together, too.
    for (auto left = random() % 4 == 0 ? random() % 150 : random() % 32; left > 0; --left)
      if (auto [in, frame] = any_packet(random); in == port || random() % 4 == 0)
        burst.push_back(std::move(frame));
    together.receive_burst(port, burst);
    for (const auto& frame : burst)
      singly.receive(port, frame);

    const auto left = by_port(together.sent()), wanted = by_port(singly.sent());
    REQUIRE(left == wanted);
    REQUIRE(together.new_drops() == singly.new_drops());
    const auto asked = together.packet_ins(), wanted_asked = singly.packet_ins();
    REQUIRE(asked.size() == wanted_asked.size());
    for (std::size_t i = 0; i < asked.size(); ++i) {
      REQUIRE(describe(asked[i]) == describe(wanted_asked[i]));
      switch (random() % 4) {
      case 0: both([&](edge& it) { decide(it, &it == &together ? asked[i] : wanted_asked[i], here(), false); }); break;
      case 1:
        both([&](edge& it) {
          it.order(refuse{(&it == &together ? asked : wanted_asked)[i].hold, refuse::verdict::pass, {}});
        });
        break;
      case 2:
        both([&](edge& it) {
          it.order(refuse{(&it == &together ? asked : wanted_asked)[i].hold, refuse::verdict::drop,
                          drop_reason::decision_refused});
        });
        break;
      default: break; // left to its time-out
      }
    }
    REQUIRE(by_port(together.sent()) == by_port(singly.sent()));
    if (random() % 8 == 0)
      both([&](edge& it) { it.advance(std::chrono::milliseconds{700}); });
    REQUIRE(together.new_drops() == singly.new_drops());
    const auto &one = together.channel.statistics(), &other = singly.channel.statistics();
    REQUIRE(one.exact_hits.value() == other.exact_hits.value());
    REQUIRE(one.exact_misses.value() == other.exact_misses.value());
    REQUIRE(one.classifier_lookups.value() == other.classifier_lookups.value());
    REQUIRE(one.flows_now.value() == other.flows_now.value());
    (void)together.sent();
    (void)singly.sent();
  }
  CHECK(together.channel.statistics().exact_hits.value() > 0);
  CHECK(together.channel.statistics().classifier_lookups.value() > 0);
}

} // namespace

TEST_CASE("of a burst becomes what would become of its packets one by one, whatever they change for each other") {
  const auto seed = seed_of_run();
  for (std::uint64_t i = 0; i < 4; ++i)
    compare(seed + i, bench::small());
}

TEST_CASE("of a burst becomes the same as of its packets, also without entries for traffic of no service") {
  auto config = bench::small();
  config.entries_by_eid = false;
  compare(seed_of_run(), config);
}

TEST_CASE("the answer for a burst is that of the rules of its time: not a longer list's, nor for packets held since") {
  edge it;
  std::vector<rule> many(40);
  for (std::uint32_t i = 0; i < many.size(); ++i) {
    many[i].match.destination_ports = {static_cast<std::uint16_t>(80 + i), static_cast<std::uint16_t>(80 + i)};
    many[i].priority = i;
    many[i].cookie = 100 + i;
    many[i].action = static_cast<std::uint32_t>(rule_action::decide);
  }
  const auto to = [](std::uint16_t port) {
    return packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(1, port, tcp_flag::syn).build();
  };
  it.order(set_classifier{linear_classifier_of(many)});
  it.receive_burst(host, {to(119), to(119), to(118)});
  auto asked = it.packet_ins();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].rule_cookie == 139);

  it.order(set_classifier{linear_classifier_of({})}); // no id is one of its rules
  it.receive_burst(host, {to(117), to(119)});
  CHECK(it.packet_ins().empty());
  CHECK(it.sent_flows() == flows{"1 1>117"});
  it.order(refuse{asked[0].hold, refuse::verdict::pass, {}});
  CHECK(it.sent_flows() == flows{"1 1>119", "1 1>119", "1 1>119"});

  it.order(set_classifier{http_service()});
  it.order(refuse{asked[1].hold, refuse::verdict::pass, {}});
  CHECK(it.sent_flows() == flows{"1 1>118"});
  it.receive_burst(host, {to(80)});
  asked = it.packet_ins();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].rule_cookie == 7);
}

TEST_CASE("without entries for traffic of no service its packets are classified one by one, and new rules take all") {
  auto config = bench::small();
  config.entries_by_eid = false;
  edge it{config};
  const auto& counted = it.channel.statistics();
  it.receive_burst(host, {query(1).build(), query(1).build(), query(2).build()});
  CHECK(it.sent_flows() == flows{"1 1>53", "1 1>53", "1 2>53"});
  CHECK(counted.classifier_lookups.value() == 3);
  CHECK(counted.exact_hits.value() == 0);
  CHECK(counted.flows_now.value() == 0);

  // Flows of services have entries as ever.
  it.receive(host, request().build());
  decide(it, it.packet_ins().at(0), elsewhere());
  it.receive(host, request(51514, tcp_flag::ack).build());
  CHECK(it.sent_flows() == flows{"1 100/255 51514>80", "1 100/255 51514>80"});
  CHECK(counted.exact_hits.value() == 2);

  rule no_dns;
  no_dns.match.destination_ports = {53, 53};
  no_dns.action = static_cast<std::uint32_t>(rule_action::drop);
  it.order(set_classifier{linear_classifier_of({no_dns})});
  it.receive(host, query(1).build());
  CHECK(it.new_drops() == "policy_drop 1");
}
