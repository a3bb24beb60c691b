#include "tools/actors_view.hpp"
#include "tools/glocal_cells.hpp"

#include <catch2/catch.hpp>

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
          {"state", {{"ready", "true"}}}};
}

} // namespace

TEST_CASE("rates are those between two samples of the same actor, by its own age") {
  const json first = json::array({actor("a", 1, 0, "top", 10, 100), actor("b", 1, 0, "top", 10, 0)});
  const json second = json::array({actor("b", 1, 0, "top", 12, 10), actor("a", 1, 0, "top", 10.5, 150)});
  const auto both = described_actors(first, second);
  REQUIRE(both.size() == 2);
  CHECK(both[0]["node"] == "a");
  CHECK(both[0]["messages_in_per_s"].get<double>() == Approx(100));
  CHECK(both[0]["messages_out_per_s"].get<double>() == Approx(200));
  CHECK(both[1]["messages_in_per_s"].get<double>() == Approx(5));
}

TEST_CASE("an actor that was not there before, or is new under its name, has no rate") {
  const json first = json::array({actor("a", 1, 0, "top", 10, 100)});
  const auto both = described_actors(first, json::array({actor("a", 7, 0, "top", 1, 3)}));
  CHECK(both[0]["messages_in_per_s"].is_null());
}

TEST_CASE("without a former sample rates are what the nodes say") {
  auto one = actor("a", 1, 0, "top", 10, 100);
  one["messages_in_per_s"] = 12.5;
  const auto all = described_actors(nullptr, json::array({one}));
  CHECK(all[0]["messages_in_per_s"] == 12.5);
  CHECK_FALSE(all[0].contains("messages_out_per_s"));
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
  const auto text = actors_table(described_actors({}, json::array({actor("a", 1, 0, "top", 5, 1), one})));
  CHECK(text ==
        "NAME           KIND  NODE  PARENT  STATE  MAILBOX now/peak  OLDEST  IN/s  OUT/s  p50/p99 us  RESTARTS  "
        "LAST ERROR\n"
        "edge/a/switch  k     a     top     ready  1/9               250 ms     -      -  1.0/20.5           0  "
        "a very long error that goes on and on, furthe...\n"
        "top            k     a     -       ready  1/9               250 ms     -      -  1.0/20.5           0  "
        "-\n");
}

TEST_CASE("the tree has children below their parents, and orphans below their node") {
  auto killed = actor("a", 3, 2, "grandchild", 1, 1);
  killed["restarts"] = 2u;
  const auto all =
      described_actors({}, json::array({actor("a", 1, 0, "top", 1, 1), actor("a", 2, 1, "child", 1, 1), killed,
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
  const auto all = described_actors(
      {}, json::array({actor("a", 1, 2, "x", 1, 1), actor("a", 2, 1, "y", 1, 1), actor("a", 3, 3, "self", 1, 1)}));
  CHECK(actors_tree(all) == "a\n└─ self  (k, ready)\n");
}

TEST_CASE("an actor's state in a word") {
  const auto with = [](json state) {
    auto one = actor("a", 1, 0, "x", 1, 1);
    one["state"] = std::move(state);
    return short_state(one);
  };
  CHECK(with({{"ready", "true"}}) == "ready");
  CHECK(with({{"ready", "false"}, {"slots", "3"}}) == "not ready");
  CHECK(with({{"healthy", "false"}}) == "unhealthy");
  CHECK(with({{"slot", "17"}}) == "slot 17");
  CHECK(with({{"slot", "a value longer than a cell"}}) == "slot a value longer t...");
  CHECK(with(json::object()) == "-");
  auto stuck = actor("a", 1, 0, "x", 1, 1);
  stuck["state_age_s"] = nullptr;
  CHECK(short_state(stuck) == "no answer");
}

TEST_CASE("one actor's page has its own summary, or says that it gave none") {
  auto one = described_actors({}, json::array({actor("a", 1, 0, "top", 75, 4)}))[0];
  CHECK_THAT(actor_page(one), Catch::Contains("alive for     1 min 15 s\n") &&
                                  Catch::Contains("  ready       true\n") &&
                                  Catch::Contains("messages in   4 (-/s)\n"));
  one["state_age_s"] = nullptr;
  CHECK_THAT(actor_page(one), Catch::Contains("no answer: it is busy or stuck"));
}

TEST_CASE("the busiest come first, and no more than asked for") {
  const json first =
      json::array({actor("a", 1, 0, "idle", 1, 0), actor("a", 2, 0, "busy", 1, 0), actor("a", 3, 0, "some", 1, 0)});
  const json second =
      json::array({actor("a", 1, 0, "idle", 2, 0), actor("a", 2, 0, "busy", 2, 50), actor("a", 3, 0, "some", 2, 5)});
  const auto top = busiest_actors(described_actors(first, second), 2);
  REQUIRE(top.size() == 2);
  CHECK(top[0]["name"] == "busy");
  CHECK(top[1]["name"] == "some");
}

TEST_CASE("whatever a node sends is shown without a failure") {
  const json odd =
      json::array({nullptr, 5, json::object(), json{{"name", 7}, {"node", json::array()}, {"id", -1}, {"age_s", "x"}}});
  const auto all = described_actors(odd, odd);
  CHECK(all.size() == 2);
  CHECK_FALSE(actors_table(all).empty());
  CHECK_FALSE(actors_tree(all).empty());
  for (const auto& one : all)
    CHECK_FALSE(actor_page(one).empty());
}

} // namespace glocal::cli
