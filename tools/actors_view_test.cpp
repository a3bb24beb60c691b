#include "tools/actors_view.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace glocal::cli {
namespace {

using nlohmann::json;

json actor(const char* node, int id, int parent, const char* name, double age_s, int in) {
  return {{"node", node},
          {"id", static_cast<unsigned>(id)},
          {"parent", static_cast<unsigned>(parent)},
          {"name", name},
          {"kind", "k"},
          {"age_s", age_s},
          {"messages_in", in},
          {"messages_out", 2 * in},
          {"mailbox", 1},
          {"mailbox_peak", 9},
          {"oldest_wait_s", 0.25},
          {"handling_p50_us", 1.0},
          {"handling_p99_us", 20.5},
          {"restarts", 0u},
          {"last_error", ""},
          {"state_age_s", 0.001},
          {"state_brief", "ready"},
          {"state", {{"ready", "true"}}}};
}

/// As `glocal actors` gets them from one answer.
actor_rows rows(json actors) {
  auto out = parse_actors(json{{"actors", std::move(actors)}}.dump());
  REQUIRE(out);
  sort_actors(*out);
  return std::move(*out);
}
actor_rows between(json first, json second) {
  auto now = rows(std::move(second));
  take_rates(rows(std::move(first)), now);
  return now;
}

} // namespace

TEST_CASE("an actor of a node's answer is a row of what a table shows") {
  auto one = actor("a", 7, 3, "x", 10.5, 100);
  one["parent_name"] = "top";
  one["last_error"] = "a \"bug\" \n";
  one["messages_in_per_s"] = 12;
  one["messages_out_per_s"] = 2.5;
  one["restarts"] = 2u;
  one["state"] = {{"name", "not the actor's"}, {"mailbox", 99}, {"list", {1, {{"id", 4}}}}};
  one["state_brief"] = "slot 17";
  const auto all = rows(json::array({actor("b", 1, 0, "first", 1, 1), one}));
  REQUIRE(all.size() == 2);
  const auto& row = all[0];
  CHECK(row.node == "a");
  CHECK(row.name == "x");
  CHECK(row.kind == "k");
  CHECK(row.id == 7);
  CHECK(row.parent == 3);
  CHECK(row.parent_name == "top");
  CHECK(row.state == "slot 17");
  CHECK(row.last_error == "a \"bug\" \n");
  CHECK(row.mailbox == 1);
  CHECK(row.mailbox_peak == 9);
  CHECK(row.messages_in == 100);
  CHECK(row.messages_out == 200);
  CHECK(row.restarts == 2);
  CHECK(row.in_per_s == 12.0);
  CHECK(row.out_per_s == 2.5);
  CHECK(row.oldest_wait_s == 0.25);
  CHECK(row.handling_p50_us == 1.0);
  CHECK(row.handling_p99_us == 20.5);
  CHECK(row.age_s == 10.5);
  CHECK_FALSE(all[1].parent_name);
  CHECK_FALSE(all[1].in_per_s); // without a former sample rates are what the nodes say
}

TEST_CASE("rates are those between two samples of the same actor, by its own age") {
  const auto both = between(json::array({actor("a", 1, 0, "top", 10, 100), actor("b", 1, 0, "top", 10, 0)}),
                            json::array({actor("b", 1, 0, "top", 12, 10), actor("a", 1, 0, "top", 10.5, 150)}));
  REQUIRE(both.size() == 2);
  CHECK(both[0].node == "a");
  CHECK(both[0].in_per_s.value() == Approx(100));
  CHECK(both[0].out_per_s.value() == Approx(200));
  CHECK(both[1].in_per_s.value() == Approx(5));
}

TEST_CASE("an actor that was not there before, or is new under its name, has no rate") {
  const auto both =
      between(json::array({actor("a", 1, 0, "top", 10, 100)}), json::array({actor("a", 7, 0, "top", 1, 3)}));
  CHECK_FALSE(both[0].in_per_s);
}

TEST_CASE("as JSON actors are as their nodes sent them, in the table's order and with its rates") {
  auto one = actor("b", 1, 0, "top", 12, 10);
  one["news"] = "of a later version";
  std::vector<std::string> as_sent;
  auto now = parse_actors(json{{"actors", {5, one, actor("a", 1, 0, "top", 10, 100)}}}.dump(2), &as_sent).value();
  sort_actors(now);
  take_rates(rows(json::array({actor("b", 1, 0, "top", 10, 0)})), now);
  const auto out = described_actors(now, as_sent);
  REQUIRE(out.size() == 2);
  CHECK(out[0]["node"] == "a");
  CHECK(out[0]["messages_in_per_s"].is_null());
  CHECK(out[1]["messages_in_per_s"] == 5.0);
  CHECK(out[1]["news"] == "of a later version");
  CHECK(out[1]["state"] == one["state"]);
  // And whole, a line each or all on one.
  const auto document = actors_document(as_sent, false), line = actors_document(as_sent, true);
  CHECK(std::count(document.begin(), document.end(), '\n') == 4);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  CHECK(json::parse(document) == json::parse(line));
  CHECK(json::parse(document)["actors"][0] == one);
  CHECK(json::parse(actors_document({}, false)) == json{{"actors", json::array()}});
}

TEST_CASE("rows of a trace: one header, columns that only widen, kinds before types") {
  const auto message = [](const char* from, json kind) -> json {
    return {{"time_us", 1'700'000'000'123'456},
            {"node", "a"},
            {"actor", "x"},
            {"from", from},
            {"type", "tick"},
            {"kind", kind},
            {"bytes", nullptr},
            {"handling_us", 1.25},
            {"outcome", "handled"}};
  };
  trace_rows rows;
  CHECK(rows.add({}).empty());
  const auto first = rows.add({message("y", nullptr)});
  const auto time = first.substr(first.find('\n') + 1, 15);
  CHECK(time.substr(8) == ".123456");
  CHECK(first == "TIME             NODE  ACTOR  FROM  MESSAGE  BYTES  HANDLING us  OUTCOME\n" + time +
                     "  a     x      y     tick     -      1.2          handled\n");
  CHECK(rows.add({message("a longer name", "store.scan_request")}) ==
        time + "  a     x      a longer name  store.scan_request  -      1.2          handled\n");
  CHECK(rows.add({message("y", nullptr)}) ==
        time + "  a     x      y              tick                -      1.2          handled\n");
  CHECK_FALSE(rows.add({nullptr, 5, json::object()}).empty());
}

TEST_CASE("the table has a row for each actor and says what it does not know") {
  auto one = actor("a", 2, 1, "edge/a/switch", 5, 1);
  one["last_error"] = "a very long error that goes on and on, further than a column of a table should be";
  one["parent_name"] = "top";
  one["state_brief"] = "slot a value longer than a cell";
  const auto text = actors_table(rows(json::array({actor("a", 1, 0, "top", 5, 1), one})));
  CHECK(text == "NAME           KIND  NODE  PARENT  STATE                     MAILBOX now/peak  OLDEST  IN/s  OUT/s  "
                "p50/p99 us  RESTARTS  LAST ERROR\n"
                "edge/a/switch  k     a     top     slot a value longer t...  1/9               250 ms     -      -  "
                "1.0/20.5           0  a very long error that goes on and on, furthe...\n"
                "top            k     a     -       ready                     1/9               250 ms     -      -  "
                "1.0/20.5           0  -\n");
}

TEST_CASE("the tree has children below their parents, and orphans below their node") {
  auto killed = actor("a", 3, 2, "grandchild", 1, 1);
  killed["restarts"] = 2u;
  const auto all = rows(json::array({actor("a", 1, 0, "top", 1, 1), actor("a", 2, 1, "child", 1, 1), killed,
                                     actor("a", 4, 1, "second", 1, 1), actor("b", 5, 99, "orphan", 1, 1)}));
  CHECK(actors_tree(all) == "a\n"
                            "└─ top  (k, ready)\n"
                            "   ├─ child  (k, ready)\n"
                            "   │  └─ grandchild  (k, ready, 2 restarts)\n"
                            "   └─ second  (k, ready)\n"
                            "b\n"
                            "└─ orphan  (k, ready)\n");
}

TEST_CASE("actors that claim to be each other's parents do not keep the tree from ending") {
  const auto all =
      rows(json::array({actor("a", 1, 2, "x", 1, 1), actor("a", 2, 1, "y", 1, 1), actor("a", 3, 3, "self", 1, 1)}));
  CHECK(actors_tree(all) == "a\n└─ self  (k, ready)\n");
}

TEST_CASE("one actor's page has its own summary, or says that it gave none") {
  auto one = actor("a", 1, 0, "top", 75, 4);
  CHECK_THAT(actor_page(one), Catch::Contains("alive for     1 min 15 s\n") &&
                                  Catch::Contains("  ready       true\n") &&
                                  Catch::Contains("messages in   4 (-/s)\n"));
  one["state_age_s"] = nullptr;
  CHECK_THAT(actor_page(one), Catch::Contains("no answer: it is busy or stuck"));
}

TEST_CASE("the busiest come first, and no more than asked for") {
  const auto top = busiest_actors(between(json::array({actor("a", 1, 0, "idle", 1, 0), actor("a", 2, 0, "busy", 1, 0),
                                                       actor("a", 3, 0, "some", 1, 0)}),
                                          json::array({actor("a", 1, 0, "idle", 2, 0), actor("a", 2, 0, "busy", 2, 50),
                                                       actor("a", 3, 0, "some", 2, 5)})),
                                  2);
  REQUIRE(top.size() == 2);
  CHECK(top[0].name == "busy");
  CHECK(top[1].name == "some");
}

TEST_CASE("whatever a node sends is shown without a failure") {
  const json odd = json::array({nullptr, 5, json::object(), json::array({1, "x", json{{"name", "no actor"}}}),
                                json{{"name", 7}, {"node", json::array()}, {"id", -1}, {"age_s", "x"}}});
  const auto all = between(odd, odd);
  CHECK(all.size() == 2);
  CHECK_FALSE(actors_table(all).empty());
  CHECK_FALSE(actors_tree(all).empty());
  std::vector<std::string> as_sent;
  const auto again = parse_actors(json{{"actors", odd}}.dump(), &as_sent).value();
  for (const auto& one : described_actors(again, as_sent))
    CHECK_FALSE(actor_page(one).empty());
  for (const auto* text : {"", "[]", "7", "{\"actors\":", "{\"actors\":[{]}", "nonsense", "{\"actors\":\"\xff\"}"})
    CHECK_FALSE(parse_actors(text));
  for (const auto* text : {"{}", "{\"actors\":5}", "{\"actors\":[]}", "{\"actors\":[[[{\"name\":\"x\"}]]]}"})
    CHECK(parse_actors(text).value().empty());
  // As deep as nobody means it.
  CHECK_FALSE(parse_actors("{\"actors\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"));
}

} // namespace glocal::cli
