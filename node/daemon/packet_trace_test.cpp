// What goes over the API for `glocal trace`: requests are read without trust, steps are written with their config line.

#include "node/daemon/packet_trace.hpp"
#include "node/trace_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <functional>

using namespace glocal;
using namespace glocal::node;
using nlohmann::json;

namespace {

std::string refused(const std::function<void()>& act) {
  try {
    act();
  } catch (const api_refusal& refusal) {
    CHECK(refusal.status == 400);
    return refusal.what();
  }
  return "accepted";
}

const cluster_config& figure3() {
  static const auto loaded = load_cluster_file(std::string{GLOCAL_SOURCE_DIR} + "/configs/figure3.yaml");
  REQUIRE(loaded);
  return *loaded;
}

actors::trace_entry rule_step() {
  actors::trace_entry step;
  step.trace = 0xabc000001;
  step.node = "sub-edge";
  step.who = "lcore";
  step.what = "rule";
  step.fields = {{"action", "decide"},
                 {"priority", std::uint64_t{100}},
                 {"service", "web"},
                 {"rule", std::uint64_t{0}},
                 {"match", "src=10.1.0.0/24,proto=tcp,dport=80"}};
  return step;
}

} // namespace

TEST_CASE("what is asked of a trace is read, with defaults for what is absent") {
  const auto plain = parse_begin_trace(json::object());
  CHECK(plain.packets == 10);
  CHECK(plain.duration == std::chrono::seconds{30});
  CHECK(plain.filter.match == dataplane::rule_match{});
  CHECK_FALSE(plain.filter.tenant);
  CHECK_FALSE((plain.drops_only || plain.anywhere || plain.replace || plain.filter.both_directions));

  const auto all = parse_begin_trace({{"match", "proto=tcp,dport=80"},
                                      {"both_directions", true},
                                      {"tenant", 3},
                                      {"port", "subscribers"},
                                      {"count", 7},
                                      {"seconds", 9},
                                      {"drops", true},
                                      {"anywhere", true},
                                      {"replace", true}});
  CHECK(all.filter.match.destination_ports == dataplane::l4_port_range{80, 80});
  CHECK(all.filter.tenant == 3u);
  CHECK(all.port == "subscribers");
  CHECK(all.packets == 7);
  CHECK((all.drops_only && all.anywhere && all.replace && all.filter.both_directions));
}

TEST_CASE("a request that makes no sense is refused, and the field named") {
  struct row {
    json body;
    const char* says;
  };
  const row starts[] = {{{{"match", 5}}, "'match'"},       {{{"match", "dport=80,dport=81"}}, "byte 9"},
                        {{{"count", -1}}, "'count'"},      {{{"count", 1001}}, "0 to 1000"},
                        {{{"seconds", "x"}}, "'seconds'"}, {{{"tenant", 1 << 24}}, "'tenant'"},
                        {{{"drops", 1}}, "'drops'"}};
  for (const auto& [body, says] : starts) {
    INFO(body.dump());
    CHECK(refused([&] { (void)parse_begin_trace(body); }).find(says) != std::string::npos);
  }
  const row packets[] = {{json::object(), "'packet'"},
                         {{{"packet", "tcp 10.1.0.7 >"}}, "'packet'"},
                         {{{"packet", "tcp 10.1.0.7:1 > [::1]:2"}}, "'packet'"},
                         {{{"packet", "tcp 10.1.0.7:1 > 1.1.1.1:2"}, {"vlan", 4095}}, "'vlan'"},
                         {{{"packet", "tcp 10.1.0.7:1 > 1.1.1.1:2"}, {"tcp_flags", 64}}, "'tcp_flags'"}};
  for (const auto& [body, says] : packets) {
    INFO(body.dump());
    CHECK(refused([&] { (void)parse_foretell_packet(body); }).find(says) != std::string::npos);
  }
}

TEST_CASE("a rule is shown with its line in the cluster file, if it is that file's rule") {
  const auto& config = figure3();
  const auto line = config_line_of(rule_step(), config);
  const auto expected_line = std::string{GLOCAL_SOURCE_DIR} + "/configs/figure3.yaml:";
  REQUIRE(line.starts_with(expected_line));
  // The line is that of the match.
  std::ifstream file{std::string{GLOCAL_SOURCE_DIR} + "/configs/figure3.yaml"};
  std::string text;
  for (auto left = std::stoul(line.substr(expected_line.size())); left > 0; --left)
    std::getline(file, text);
  CHECK(text.find("- {protocol: tcp, source: 10.1.0.0/24, destination_ports: 80}") != std::string::npos);
  CHECK(step_json(rule_step(), config)["config"] == line);

  auto other = rule_step();
  other.fields[4].value = "src=10.1.0.0/24,proto=tcp,dport=443";
  CHECK(config_line_of(other, config).empty());
  other = rule_step();
  other.fields[3].value = std::uint64_t{1};
  CHECK(config_line_of(other, config).empty());
  other = rule_step();
  other.fields[2].value = "mail";
  CHECK(config_line_of(other, config).empty());
  other = rule_step();
  other.fields[0].value = "reply";
  other.fields[4].value = "dst=10.1.0.0/24,proto=tcp,sport=80";
  CHECK(config_line_of(other, config) == line);
  other.what = "hit";
  CHECK(config_line_of(other, config).empty());
}

TEST_CASE("a step is written with all that is known of it") {
  auto step = rule_step();
  step.what = "decided";
  step.at_ns = 123;
  step.choices = {{"firewall", 9, 0.5, true, {{"fw-1", "dc1", 3, 1, 2.5, true, true}}}};
  const auto out = step_json(step, figure3());
  CHECK(out["trace"] == "000abc000001");
  CHECK(out["at_ns"] == 123);
  CHECK(out["fields"]["priority"] == 100);
  CHECK(out["choices"][0]["class"] == "firewall");
  CHECK(out["choices"][0]["suspect"] == true);
  CHECK(out["choices"][0]["candidates"][0]["flows"] == 3);
  CHECK_FALSE(out.contains("config"));
}
