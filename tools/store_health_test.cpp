#include "tools/store_health.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace glocal::cli;
using nlohmann::json;

namespace {

json row(int slot, int epoch, bool serving, const std::vector<std::string>& members, int missing = 0) {
  json out{{"slot", slot},  {"epoch", epoch},       {"serving", serving},
           {"keys", 5},     {"committed", 9},       {"members", members},
           {"failure", ""}, {"placed", {"a", "b"}}, {"missing", json::object()}};
  if (serving)
    out["missing"]["b"] = missing;
  return out;
}

/// As it is read: numbers that are not negative are unsigned.
json report(const std::vector<json>& slots) {
  const json out{{"slot_count", 2}, {"copies", 2}, {"disk", "ok"}, {"log_bytes", 100}, {"slots", slots}};
  return json::parse(out.dump());
}

} // namespace

TEST_CASE("reports of all nodes make one picture of the store") {
  const auto whole = join_reports({{"a", report({row(0, 3, true, {"a", "b"}, 4), row(1, 2, false, {"a", "b"})})},
                                   {"b", report({row(0, 3, false, {"a", "b"}), row(1, 2, true, {"a", "b"})})}});
  CHECK(whole.is_whole());
  CHECK(whole.headline() == "healthy: 2 slots, each with 2 copies, on 2 nodes");
  REQUIRE(whole.slots.size() == 2);
  CHECK(whole.slots[0].primary == "a");
  CHECK(whole.slots[0].lag() == 4);
  CHECK(whole.slots[1].primary == "b");
  CHECK(whole.nodes[0].primaries == 1);
  CHECK(whole.nodes[0].keys == 5);
  CHECK(to_json(whole)["state"] == "healthy");
}

TEST_CASE("what is wrong is said in the first line") {
  struct line {
    std::string title;
    std::map<std::string, json> reports;
    std::string expected;
  };
  const auto both = report({row(0, 3, true, {"a", "b"}), row(1, 2, true, {"a", "b"})});
  const std::vector<line> lines{
      {"a copy is missing",
       {{"a", report({row(0, 3, true, {"a"}), row(1, 2, true, {"a", "b"})})}, {"b", both}},
       "degraded: 1 of 2 slots have fewer than 2 copies"},
      {"a node is gone",
       {{"a", report({row(0, 3, true, {"a"}), row(1, 2, true, {"a"})})}, {"b", nullptr}},
       "degraded: 2 of 2 slots have fewer than 2 copies; no answer from b"},
      {"no primary",
       {{"a", report({row(0, 3, false, {"a", "b"})})}, {"b", nullptr}},
       "unavailable: 2 of 2 slots have no primary; no answer from b"},
      {"a disk",
       {{"a", both},
        {"b",
         [&] {
           auto out = both;
           out["disk"] = "failed: EIO";
           return out;
         }()}},
       "healthy: 2 slots, each with 2 copies, on 2 nodes; b: disk failed: EIO"},
      {"nobody answers", {{"a", nullptr}, {"b", nullptr}}, "unknown: no store node answers"},
  };
  for (const auto& each : lines) {
    INFO(each.title);
    CHECK(join_reports(each.reports).headline() == each.expected);
  }
}

TEST_CASE("drained nodes and moves are said") {
  auto told = report({row(0, 3, true, {"a", "b"}), row(1, 2, true, {"a", "b"})});
  told["placement"] = json::parse(R"({"to_move":3,"evening":true,"fault":"","drained":["b"],"moving":["0","1"]})");
  const auto health = join_reports({{"a", told}, {"b", report({})}});
  CHECK(health.headline() == "healthy: 2 slots, each with 2 copies, on 2 nodes; 3 slots have to move");
  CHECK(health.is_moving());
  CHECK_FALSE(health.nodes[0].drained);
  CHECK(health.nodes[1].drained);
  CHECK(health.moving == std::vector<std::string>{"0", "1"});
  CHECK(to_json(health)["to_move"] == 3);
}

TEST_CASE("of two that think they serve, the newer epoch is believed") {
  const auto health =
      join_reports({{"a", report({row(0, 7, true, {"a", "b"})})}, {"b", report({row(0, 8, true, {"b"})})}});
  CHECK(health.slots[0].primary == "b");
  CHECK(health.slots[0].epoch == 8);
}

TEST_CASE("reports that are not what they should be are no picture, and no harm") {
  for (const auto& wrong : {json{{"slot_count", 1e9}}, json{{"slot_count", "x"}, {"slots", 3}},
                            json{{"slot_count", 2}, {"slots", {1, nullptr, json::object(), json{{"slot", 99}}}}},
                            json{{"slot_count", 100'000'000u}}, json::array(), json("text")})
    CHECK_FALSE(join_reports({{"a", wrong}}).is_available());
}

TEST_CASE("a store on etcd is as well as its nodes' way there") {
  const auto on_etcd = [](const char* answers) {
    return json::parse(
        json{{"slot_count", 0}, {"etcd", "etcd at http://a:1"}, {"answers", answers}, {"slots", json::array()}}.dump());
  };
  const auto well = join_reports({{"a", on_etcd("true")}, {"b", on_etcd("true")}});
  CHECK(well.is_whole());
  CHECK(well.headline() == "healthy: etcd at http://a:1");
  CHECK(to_json(well)["etcd"] == "etcd at http://a:1");
  CHECK(to_json(well)["nodes"][0]["reaches_etcd"] == true);
  const auto ill = join_reports({{"a", on_etcd("true")}, {"b", on_etcd("false")}, {"c", json{}}});
  CHECK_FALSE(ill.is_whole());
  CHECK(ill.is_available());
  CHECK(ill.headline() == "degraded: etcd at http://a:1, which does not answer b; no answer from c");
  CHECK_FALSE(join_reports({{"a", on_etcd("false")}}).is_available());
}
