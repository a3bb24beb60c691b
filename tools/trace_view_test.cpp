// Packets and filters as text, and steps as a tree.

#include "dataplane/classify/rule_text.hpp"
#include "tools/trace_text.hpp"
#include "tools/trace_view.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::cli;
using nlohmann::json;

TEST_CASE("a packet is read as people write it") {
  const auto plain = parse_packet("tcp 10.1.0.7:51514 > 203.0.113.9:80");
  REQUIRE(plain);
  CHECK(to_string(plain->tuple) == "tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(plain->tcp_flags == 0x02);
  const auto full = parse_packet("  tcp [2001:db8::7]:1   > [2001:db8::9]:80 vlan=12 dscp=46 ttl=3 flags=syn,ack ");
  REQUIRE(full);
  CHECK(to_string(full->tuple.source) == "2001:db8::7");
  CHECK(full->vlan == 12);
  CHECK(full->dscp == 46);
  CHECK(full->ttl == 3);
  CHECK(full->tcp_flags == 0x12);
  CHECK(parse_packet("udp 10.1.0.7 > 9.9.9.9:53")->tuple.source_port == 49152);
  CHECK(parse_packet("icmp 10.1.0.7 > 9.9.9.9")->tuple.source_port == 1);
  CHECK(parse_packet("icmp6 2001:db8::7 > 2001:db8::9")->tuple.protocol == 58);
  CHECK(parse_packet("89 10.1.0.7 > 9.9.9.9")->tuple.protocol == 89);
  CHECK(parse_packet("sctp 10.1.0.7:5 > 9.9.9.9:6")->tuple.destination_port == 6);
}

TEST_CASE("what is wrong with a packet is said with its column") {
  struct row {
    const char* text;
    std::size_t column;
    const char* says;
  };
  const row rows[] = {
      {"", 1, "is missing"},
      {"tpc 10.1.0.7:1 > 9.9.9.9:2", 1, "no protocol"},
      {"tcp", 4, "a source is missing"},
      {"tcp 10.1.0.777:1 > 9.9.9.9:2", 5, "no address"},
      {"tcp 10.1.0.7:66000 > 9.9.9.9:2", 14, "no port"},
      {"tcp 10.1.0.7:1 9.9.9.9:2", 16, "'>' is missing"},
      {"tcp 10.1.0.7:1", 15, "'>' is missing"},
      {"tcp 10.1.0.7:1 >", 17, "a destination is missing"},
      {"tcp 10.1.0.7:1 > 9.9.9.9", 25, "needs a destination port"},
      {"tcp 10.1.0.7:1 > [::1]:2", 18, "different IP versions"},
      {"tcp [::1 > [::2]:2", 5, "without ']'"},
      {"tcp [::1]80 > [::2]:2", 10, "comes ':'"},
      {"icmp ::1 > ::2", 1, "'icmp6'"},
      {"icmp6 1.1.1.1 > 2.2.2.2", 1, "'icmp'"},
      {"89 10.1.0.7:1 > 9.9.9.9", 4, "no ports"},
      {"tcp 10.1.0.7:1 > 9.9.9.9:2 vlan=4095", 33, "no VLAN"},
      {"tcp 10.1.0.7:1 > 9.9.9.9:2 dscp=x", 33, "no DSCP"},
      {"tcp 10.1.0.7:1 > 9.9.9.9:2 flags=syn,sin", 38, "no TCP flag"},
      {"tcp 10.1.0.7:1 > 9.9.9.9:2 flags=-syn", 34, "no TCP flag"},
      {"udp 10.1.0.7:1 > 9.9.9.9:2 flags=syn", 28, "flags are of tcp"},
      {"tcp 10.1.0.7:1 > 9.9.9.9:2 quickly", 28, "no option of a packet"},
  };
  for (const auto& [text, column, says] : rows) {
    INFO(text);
    const auto wrong = parse_packet(text);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().column == column);
    CHECK(wrong.error().message.find(says) != std::string::npos);
  }
  CHECK(shown({5, "'x' is no address"}, "tcp x > y") == "tcp x > y\n    ^\ncolumn 5: 'x' is no address");
}

TEST_CASE("a filter is read as people write it") {
  struct row {
    const char* text;
    const char* match;
    bool both = false;
    std::optional<std::uint32_t> tenant = {};
    const char* port = "";
  };
  const row rows[] = {
      {"", "any"},
      {"any", "any"},
      {"tcp", "proto=tcp"},
      {"tcp any > any:80", "proto=tcp,dport=80"},
      {"tcp 10.1.0.0/24 > any:80", "src=10.1.0.0/24,proto=tcp,dport=80"},
      {"tcp 10.1.0.7 <> 203.0.113.9:80-90", "src=10.1.0.7/32,dst=203.0.113.9/32,proto=tcp,dport=80-90", true},
      {"10.1.0.7 > any", "src=10.1.0.7/32"},
      {"any * > [2001:db8::/32]", "dst=2001:db8::/32"},
      {"icmp icmp_type=8", "proto=icmp,icmp_type=8"},
      {"tcp flags=syn,-ack", "proto=tcp,tcp_flags=0x02/0x12"},
      {"udp vlan=3 dscp=1 tenant=7 port=subscribers", "vlan=3,proto=udp,dscp=1", false, 7, "subscribers"},
      {"port=subscribers", "any", false, {}, "subscribers"},
  };
  for (const auto& [text, match, both, tenant, port] : rows) {
    INFO(text);
    const auto parsed = parse_filter(text);
    REQUIRE(parsed);
    CHECK(parsed->match == dataplane::parse_rule_match(match).value());
    CHECK(parsed->both_directions == both);
    CHECK(parsed->tenant == tenant);
    CHECK(parsed->port == port);
  }
}

TEST_CASE("what is wrong with a filter is said with its column") {
  struct row {
    const char* text;
    std::size_t column;
    const char* says;
  };
  const row rows[] = {
      {"htpp", 1, "no protocol"},
      {"tcp 10.1.0.7", 13, "'>' or '<>'"},
      {"tcp 10.1.0.7 and 9.9.9.9", 14, "'>' or '<>'"},
      {"tcp 10.1.0.7 >", 15, "a destination is missing"},
      {"tcp 10.1.0.7/24 > any", 5, "bits beyond its length"},
      {"tcp nowhere > any", 5, "neither 'any'"},
      {"tcp any:90-80 > any", 9, "empty"},
      {"tcp any:x > any", 9, "no port"},
      {"tcp 10.1.0.7 > [::1]", 16, "different IP versions"},
      {"tcp flags=syn,-syn", 5, "set and not set"},
      {"tcp colour=red", 5, "no option of a filter"},
      {"tcp port=", 5, "no option of a filter"},
      {"tcp tenant=16777216", 12, "no tenant"},
  };
  for (const auto& [text, column, says] : rows) {
    INFO(text);
    const auto wrong = parse_filter(text);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().column == column);
    CHECK(wrong.error().message.find(says) != std::string::npos);
  }
}

namespace {

json step(const char* trace, std::int64_t us, const char* node, const char* what, json fields = json::object(),
          const char* who = "lcore") {
  return {{"trace", trace}, {"t_ns", 1'000'000'000 + us * 1000}, {"node", node}, {"who", who},
          {"what", what},   {"fields", std::move(fields)}};
}

/// A first packet over two edges, as their nodes tell it: each in its own order, one after the other.
json two_edges() {
  auto decided = step("01", 90, "sub", "decided",
                      {{"chain", "fw-1"}, {"policy", "least-loaded"}, {"because", "the least loaded"}}, "service/web");
  decided["choices"] = {{{"class", "firewall"},
                         {"version", 12},
                         {"age_s", 0.42},
                         {"suspect", false},
                         {"candidates",
                          {{{"instance", "fw-1"},
                            {"node", "dc1"},
                            {"flows", 3},
                            {"own_choices", 1},
                            {"rate_pps", 10.5},
                            {"drawn", true},
                            {"chosen", true}},
                           {{"instance", "fw-2"},
                            {"node", "dc1"},
                            {"flows", 5},
                            {"own_choices", 0},
                            {"rate_pps", 20},
                            {"delay_us", 350},
                            {"cost", 1.5},
                            {"drawn", true},
                            {"chosen", false}}}}}};
  auto rule = step("01", 2, "sub", "rule",
                   {{"service", "web"}, {"rule", 0}, {"action", "decide"}, {"priority", 100}, {"match", "dport=80"}});
  rule["config"] = "/etc/glocal/figure3.yaml:134";
  return {step("01", 700, "dc1", "decapsulated",
               {{"from_rloc", "172.16.1.2"}, {"spi", 4}, {"si", 255}, {"path", "000004"}}),
          step("01", 701, "dc1", "path_step",
               {{"path", "000004"}, {"position", 0}, {"hops", 1}, {"direction", "forward"}, {"to_port", "fw-1.in"}}),
          step("01", 702, "dc1", "sent", {{"port", "fw-1.in"}}),
          step("01", 0, "sub", "received",
               {{"port", "subscribers"},
                {"packet", "tcp 10.1.0.7:1 > 203.0.113.9:80"},
                {"tcp_flags", "syn"},
                {"ip_bytes", 60},
                {"tenant", 0},
                {"ttl", 64}}),
          step("01", 1, "sub", "miss"),
          rule,
          decided,
          step("01", 500, "sub", "put_if_absent",
               {{"result", "won"}, {"path", "000004"}, {"version", 9}, {"round_trip_us", 400.5}, {"decided_by", "sub"}},
               "service/web"),
          step("01", 600, "sub", "encapsulated",
               {{"to_rloc", "172.16.2.2"}, {"spi", 4}, {"si", 255}, {"outer_bytes", 116}, {"trace_id", "carried"}}),
          step("01", 601, "sub", "sent", {{"port", "underlay"}})};
}

std::string outcome_of(const std::vector<json>& steps) {
  const auto packets = traced_packets(steps);
  REQUIRE(packets.size() == 1);
  const auto& outcome = packets[0]["outcome"];
  return outcome["result"].get<std::string>() + "|" + outcome["node"].get<std::string>() + "|" +
         outcome["reason"].get<std::string>();
}

} // namespace

TEST_CASE("steps of several nodes become one tree, by time") {
  const auto packets = traced_packets(two_edges());
  REQUIRE(packets.size() == 1);
  CHECK(packets[0]["nodes"] == json({"sub", "dc1"}));
  CHECK(packets[0]["packet"] == "tcp 10.1.0.7:1 > 203.0.113.9:80");
  CHECK(packet_tree(packets[0]) ==
        "packet 01: tcp 10.1.0.7:1 > 203.0.113.9:80, syn, 60 B\n"
        "sub → dc1: went into a function at dc1 by fw-1.in, and was not seen since, 702.0 us\n"
        "├─ sub\n"
        "│      0.000 ms  received        by subscribers, ttl 64\n"
        "│      0.001 ms  miss            no exact-match entry\n"
        "│      0.002 ms  rule            web #0, /etc/glocal/figure3.yaml:134, dport=80, priority 100: decide\n"
        "│      0.090 ms  decided         chain fw-1, by least-loaded: the least loaded  [service/web]\n"
        "│                                firewall: digest version 12, 0.42 s old\n"
        "│                                  → fw-1 at dc1: 3 flows + 1 chosen since, 10.5 packets/s (chosen)\n"
        "│                                  · fw-2 at dc1: 5 flows + 0 chosen since, 20 packets/s, 350 us away, cost "
        "1.5 (drawn)\n"
        "│      0.500 ms  put_if_absent   won, path 000004, version 9, round trip 400.5 us  [service/web]\n"
        "│      0.600 ms  encapsulated    to RLOC 172.16.2.2, SPI/SI 4/255, 116 B\n"
        "│      0.601 ms  sent            by underlay\n"
        "└─ dc1\n"
        "       0.700 ms  decapsulated    from RLOC 172.16.1.2, path 000004, SPI/SI 4/255\n"
        "       0.701 ms  path_step       path 000004, hop 0 of 1, forward, to port fw-1.in\n"
        "       0.702 ms  sent            by fw-1.in\n");
}

TEST_CASE("how a packet ended is told from its last steps") {
  CHECK(outcome_of({step("1", 0, "e", "received"), step("1", 1, "e", "dropped", {{"reason", "spoofed_source"}})}) ==
        "dropped|e|spoofed_source");
  CHECK(outcome_of({step("1", 0, "e", "eid_route", {{"to_port", "internet"}}),
                    step("1", 1, "e", "sent", {{"port", "internet"}})}) == "delivered|e|by internet");
  CHECK(outcome_of({step("1", 0, "e", "encapsulated", {{"to_rloc", "1.1.1.1"}, {"trace_id", "carried"}}),
                    step("1", 1, "e", "sent")}) == "left|e|for RLOC 1.1.1.1, and was not seen there");
  CHECK(outcome_of({step("1", 0, "e", "encapsulated", {{"to_rloc", "1.1.1.1"}, {"trace_id", "no metadata"}}),
                    step("1", 1, "e", "sent")}) == "left|e|for RLOC 1.1.1.1, without its id: no metadata");
  CHECK(outcome_of({step("1", 0, "e", "packet_in"), step("1", 1, "e", "decided", {}, "service/web")}) ==
        "held|e|not answered yet");
  CHECK(outcome_of({step("1", 0, "e", "answered")}) == "answered|e|by the edge itself");
  CHECK(outcome_of({step("1", 0, "e", "waiting", {{"neighbour", "1.1.1.1"}})}) ==
        "waiting|e|for the MAC address of 1.1.1.1");
  CHECK(outcome_of({step("1", 0, "e", "received")}) == "unknown|e|last seen: received");
}

TEST_CASE("packets are told apart and stand in the order they were met") {
  const auto packets =
      traced_packets({step("b", 5, "e", "miss"), step("a", 7, "e", "miss"), step("b", 6, "e", "sent")});
  REQUIRE(packets.size() == 2);
  CHECK(packets[0]["trace"] == "b");
  CHECK(packets[0]["steps"].size() == 2);
  CHECK(packets[0]["took_us"] == 1.0);
  CHECK(packets[1]["trace"] == "a");
  CHECK(traced_packets(json::array()).empty());
}

TEST_CASE("a simulated packet is a tree without times, and its verdict stands on top") {
  json steps{
      step("1", 0, "sub", "received",
           {{"port", "subscribers"},
            {"packet", "tcp 1.1.1.1:1 > 2.2.2.2:80"},
            {"tcp_flags", "syn"},
            {"ip_bytes", 40},
            {"tenant", 3},
            {"ttl", 64}}),
      step("1", 0, "sub", "store", {{"in_store", false}}, "service/web"),
      step("1", 0, "dc1", "hop",
           {{"position", 0}, {"instance", "fw-1"}, {"class", "firewall"}, {"path", "000004"}, {"rloc", "9.9.9.9"}},
           "switch agent"),
      step("1", 0, "inet", "verdict", {{"result", "delivered"}}, "switch agent")};
  CHECK(simulated_tree(steps) ==
        "tcp 1.1.1.1:1 > 2.2.2.2:80, syn, 40 B, tenant 3\n"
        "delivered at inet\n"
        "├─ sub\n"
        "│  received        by subscribers, ttl 64\n"
        "│  store           the flow is not in the store: put-if-absent would win  [service/web]\n"
        "├─ dc1\n"
        "│  hop             hop 0, fw-1 (firewall), path 000004, RLOC 9.9.9.9  [switch agent]\n"
        "└─ inet\n"
        "   verdict         delivered  [switch agent]\n");
}

TEST_CASE("whatever a node sends, something is shown") {
  for (const auto& odd : {json(5), json::object(), json{{"what", 7}}, json{{"fields", "x"}}, json{{"choices", 3}},
                          json{{"what", "rule"}}, json{{"what", "put_if_absent"}, {"fields", {{"round_trip_us", "x"}}}},
                          json{{"what", "new_step"}, {"fields", {{"colour", "red"}}}},
                          json{{"t_ns", "late"}, {"choices", {{{"candidates", 5}}}}}}) {
    const auto packets = traced_packets(json::array({odd}));
    for (const auto& packet : packets)
      CHECK_FALSE(packet_tree(packet).empty());
    CHECK_FALSE(simulated_tree(json::array({odd})).empty());
  }
  CHECK(step_words({{"what", "new_step"}, {"fields", {{"colour", "red"}}}}) == "colour red");
  CHECK(packet_tree(json::object()).empty());
}
