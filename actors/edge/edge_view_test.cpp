#include "actors/edge/edge_view.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::actors;
using dataplane::no_port;
using dataplane::rule_action;

namespace {

const std::map<std::string, model::vnf_instance> instances{
    {"fw-1", {"fw-1", "firewall", "dc1", *parse_ip("172.16.2.2")}},
    {"opt-1", {"opt-1", "optimiser", "dc2", *parse_ip("172.16.3.2")}},
};

} // namespace

TEST_CASE("each match becomes a rule and its mirror, and beginnings win over replies") {
  model::service web{"web", 0, 100, {}, {"firewall"}, {}, {}};
  web.matches.push_back({});
  web.matches.back().source = *parse_prefix("10.1.0.0/24");
  web.matches.back().destination_ports = {80, 80};
  model::service any{"any", 0, 100, {{}}, {"firewall"}, {}, {}};

  const auto rules = compile_rules({{7, web}, {8, any}});
  REQUIRE(rules.size() == 4);
  CHECK(rules[0].cookie == 7);
  CHECK(rules[0].action == static_cast<std::uint32_t>(rule_action::decide));
  CHECK(rules[1].cookie == 8);
  CHECK(rules[1].action == static_cast<std::uint32_t>(rule_action::decide));
  CHECK(rules[2].cookie == 7);
  CHECK(rules[2].action == static_cast<std::uint32_t>(rule_action::reply));
  CHECK(rules[2].match.destination == parse_prefix("10.1.0.0/24").value());
  CHECK(rules[2].match.source_ports == dataplane::l4_port_range{80, 80});
}

TEST_CASE("what is attached here is local, what is elsewhere has its RLOC, per tenant") {
  const auto here = *parse_prefix("10.1.0.0/24");
  const auto there = *parse_prefix("0.0.0.0/0");
  const auto rloc = *parse_ip("172.16.4.2");
  const auto routes = compile_routes({{0, here, "inet-edge", rloc},
                                      {0, there, "inet-edge", rloc},
                                      {5, here, "inet-edge", rloc},
                                      {0, *parse_prefix("10.9.0.0/24"), "sub-edge", rloc},
                                      {0, *parse_prefix("10.8.0.0/24"), "dc1", {}}},
                                     {{3, 0, {here}}}, "sub-edge");
  REQUIRE(routes.size() == 3);
  CHECK(routes[0] == dataplane::eid_route{0, here, 3, {}});
  CHECK(routes[1] == dataplane::eid_route{0, there, no_port, rloc});
  CHECK(routes[2] == dataplane::eid_route{5, here, no_port, rloc});
}

TEST_CASE("a path's hops are arms where the instance runs here and RLOCs elsewhere") {
  const model::service_path path{0x10, "web", {"fw-1", "opt-1"}};
  const auto at_dc1 = compile_path(path, instances, {{"fw-1", {4, 5}}}, "dc1");
  REQUIRE(at_dc1);
  CHECK(at_dc1->id == 0x10);
  CHECK(at_dc1->hops[0] == dataplane::path_hop{true, 4, 5, {}});
  CHECK(at_dc1->hops[1] == dataplane::path_hop{false, no_port, no_port, *parse_ip("172.16.3.2")});
}

TEST_CASE("an instance that nobody registered, or that should be here and is not running, is named") {
  CHECK(compile_path({0x10, "web", {"fw-9"}}, instances, {}, "dc1").error().name == "fw-9");
  CHECK(compile_path({0x10, "web", {"fw-1"}}, instances, {}, "dc1").error().name == "fw-1");
}
