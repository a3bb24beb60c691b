#include "node/daemon/store_requests.hpp"

#include "store/slots.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace glocal::node {
namespace {

using namespace std::string_literals;
using nlohmann::json;
using store::op_code;

constexpr store::slot_id slots = 8;

/// Status and text of what `parse` throws; 0 when it throws nothing.
template <class Parse>
std::pair<int, std::string> refused(Parse parse) {
  try {
    (void)parse();
    return {0, ""};
  } catch (const api_refusal& why) {
    return {why.status, why.what()};
  }
}

store::entry row(std::string key, std::string value, store::lease_id lease = 0) {
  return {store::table::user, std::move(key), std::move(value), 7, lease};
}

} // namespace

TEST_CASE("requests to write become operations") {
  struct line {
    std::string title, verb, body;
    store::operation expected;
  };
  const std::vector<line> lines{
      {"put", "put", R"({"table":"user","key":"a","value":"b"})", store::put_op{store::table::user, "a", "b", 0}},
      {"an empty value", "put", R"({"table":"user","key":"a","value":""})",
       store::put_op{store::table::user, "a", "", 0}},
      {"bytes", "put", R"({"table":"user","key_base64":"AP8=","value_base64":"AA=="})",
       store::put_op{store::table::user, "\0\xff"s, "\0"s, 0}},
      {"a lease", "put-if-absent", R"({"table":"paths","key":"a","value":"b","lease":"00000000000000ff"})",
       store::put_if_absent_op{store::table::paths, "a", "b", 255}},
      {"a condition", "compare-and-set", R"({"table":"user","key":"a","value":"b","expected":18446744073709551615})",
       store::compare_and_set_op{store::table::user, "a", "b", ~store::revision{0}, 0}},
      {"erase", "erase", R"({"table":"user","key":"a"})", store::erase_op{store::table::user, "a", {}}},
      {"erase with a condition", "erase", R"({"table":"user","key":"a","expected":3,"timeout_ms":50})",
       store::erase_op{store::table::user, "a", 3}},
  };
  for (const auto& each : lines) {
    INFO(each.title);
    const auto request = parse_write(each.verb, each.body);
    REQUIRE(request.operations.size() == 1);
    CHECK(request.operations[0] == each.expected);
  }
  CHECK(parse_write("erase", lines.back().body).manner.within == std::chrono::milliseconds{50});
  const auto batch = parse_batch(R"({"operations":[{"operation":"get","table":"user","key":"a"},
      {"operation":"put","table":"user","key":"b","value":"c"}],"encoding":"base64"})");
  CHECK(batch.operations.size() == 2);
  CHECK(batch.manner.form == byte_form::base64);
}

TEST_CASE("what is not understood is refused, and said where") {
  struct line {
    std::string title, verb, body;
    int status;
    std::string text;
  };
  const std::vector<line> lines{
      {"nothing", "put", "", 400, "no JSON object"},
      {"no object", "put", "[1]", 400, "no JSON object"},
      {"cut off", "put", R"({"table":"user")", 400, "no JSON object"},
      {"deep", "put", std::string(100'000, '['), 400, "no JSON object"},
      {"no table", "put", R"({"key":"a","value":"b"})", 400, "which table? There are catalogue"},
      {"another table", "put", R"({"table":"usr","key":"a","value":"b"})", 400, "no table 'usr'"},
      {"a table of another type", "put", R"({"table":3,"key":"a","value":"b"})", 400, "'table' must be a text"},
      {"no key", "put", R"({"table":"user","value":"b"})", 400, "a key must be given"},
      {"an empty key", "put", R"({"table":"user","key":"","value":"b"})", 400, "a key must be given"},
      {"a key twice", "put", R"({"table":"user","key":"a","key_base64":"YQ==","value":"b"})", 400, "not both"},
      {"no base64", "put", R"({"table":"user","key_base64":"a","value":"b"})", 400, "'key_base64' is no base64"},
      {"no value", "put", R"({"table":"user","key":"a"})", 400, "a value must be given"},
      {"a misspelt condition", "erase", R"({"table":"user","key":"a","expcted":3})", 400, "no field 'expcted' here"},
      {"a condition on a put", "put", R"({"table":"user","key":"a","value":"b","expected":1})", 400, "'expected'"},
      {"no condition", "compare-and-set", R"({"table":"user","key":"a","value":"b"})", 400, "'expected' must be given"},
      {"a negative version", "erase", R"({"table":"user","key":"a","expected":-1})", 400, "whole number"},
      {"half a version", "erase", R"({"table":"user","key":"a","expected":1.5})", 400, "whole number"},
      {"a version too large", "erase", R"({"table":"user","key":"a","expected":18446744073709551616})", 400,
       "whole number"},
      {"lease 0", "put", R"({"table":"user","key":"a","value":"b","lease":"0"})", 400, "'lease' must be"},
      {"a lease that is none", "put", R"({"table":"user","key":"a","value":"b","lease":"xyz"})", 400, "hexadecimal"},
      {"a lease too long", "put", R"({"table":"user","key":"a","value":"b","lease":"10000000000000000"})", 400,
       "hexadecimal"},
      {"a long wait", "put", R"({"table":"user","key":"a","value":"b","timeout_ms":10001})", 400, "at most 10000"},
      {"an encoding", "erase", R"({"table":"user","key":"a","encoding":"hex"})", 400, "auto or base64"},
      {"a long key", "put", json{{"table", "user"}, {"key", std::string(1025, 'k')}, {"value", ""}}.dump(), 413,
       "at most 1024 bytes"},
      {"a long value", "put", json{{"table", "user"}, {"key", "k"}, {"value", std::string(262'145, 'v')}}.dump(), 413,
       "a value 262144"},
  };
  for (const auto& each : lines) {
    INFO(each.title);
    const auto [status, text] = refused([&] { return parse_write(each.verb, each.body); });
    CHECK(status == each.status);
    CHECK_THAT(text, Catch::Contains(each.text));
    CHECK(text.size() < 600);
  }
  const auto nth = refused([] {
    return parse_batch(R"({"operations":[{"operation":"get","table":"user","key":"a"},
      {"operation":"gat","table":"user","key":"a"}]})");
  });
  CHECK(nth.first == 400);
  CHECK_THAT(nth.second, Catch::Contains("operation 1: there is no operation 'gat'"));
  json many = json::array();
  for (int i = 0; i < 4097; ++i)
    many.push_back({{"operation", "get"}, {"table", "user"}, {"key", "a"}});
  CHECK(refused([&] { return parse_batch(json{{"operations", many}}.dump()); }).first == 413);
}

TEST_CASE("queries are understood, or refused") {
  CHECK(parse_get({{"table", "user"}, {"key", "a\0b"s}}).operations[0] ==
        store::operation{store::get_op{store::table::user, "a\0b"s}});
  const auto scan = parse_scan({{"table", "user"}, {"prefix", "p"}, {"limit", "7"}, {"continuation", "AAE"}});
  CHECK(scan.prefix == "p");
  CHECK(scan.limit == 7);
  CHECK(scan.continuation == "\0\1"s);
  CHECK(parse_scan({{"table", "user"}}).limit == store::limits::scan_page_entries);
  for (const auto& wrong : std::vector<api_query>{{},
                                                  {{"table", "user"}, {"limit", "0"}},
                                                  {{"table", "user"}, {"limit", "1001"}},
                                                  {{"table", "user"}, {"limit", "7x"}},
                                                  {{"table", "user"}, {"limit", "-1"}},
                                                  {{"table", "user"}, {"continuation", "*"}},
                                                  {{"table", "user"}, {"perfix", "p"}}})
    CHECK(refused([&] { return parse_scan(wrong); }).first == 400);
  CHECK(parse_slot({{"slot", "7"}}, slots) == 7);
  CHECK(refused([] { return parse_slot({{"slot", "8"}}, slots); }).first == 400);
  CHECK(refused([] { return parse_slot({}, slots); }).first == 400);
  CHECK(parse_lease(R"({"ttl_ms":1000})", true).ttl == std::chrono::milliseconds{1000});
  CHECK(refused([] { return parse_lease(R"({"ttl_ms":999})", true); }).first == 400);
  CHECK(refused([] { return parse_lease("{}", false); }).first == 400);
  CHECK(parse_drain(R"({"node":"s2","undo":true})").undo);
  CHECK(refused([] { return parse_drain("{}"); }).first == 400);
  CHECK(refused([] { return parse_drain(R"({"node":"s2","undo":1})"); }).first == 400);
  CHECK(refused([] { return parse_drain(R"({"node":"s2","force":true})"); }).first == 400);
  CHECK_FALSE(parse_rebalance(""));
  CHECK(parse_rebalance(R"({"dry_run":true})"));
  CHECK(refused([] { return parse_rebalance(R"({"dryrun":true})"); }).first == 400);
  CHECK(answer_of(std::vector<store::planned_move>{{7, {"s1", "s2"}, {"s3", "s2"}}}).body ==
        R"({"moves":[{"from":["s1","s2"],"slot":7,"to":["s3","s2"]}]})");
}

TEST_CASE("a watch goes on where its token says") {
  std::vector<store::slot_revision> positions;
  for (store::slot_id slot = 0; slot < slots; ++slot)
    positions.push_back({slot, slot % 2 == 0 ? 0 : ~store::revision{0} >> slot});
  const auto token = position_token(positions);
  CHECK(parse_watch({{"table", "user"}, {"from", token}}, "", slots).from == positions);
  // A browser gives what it has seen last, and the address it was made with.
  CHECK(parse_watch({{"table", "user"}, {"from", "nonsense"}}, token, slots).from == positions);
  const auto one = parse_watch({{"table", "user"}, {"key", "k"}, {"from", "41"}}, "", slots);
  CHECK(one.one_key);
  CHECK(one.from == std::vector<store::slot_revision>{{store::slot_of(store::table::user, "k", slots), 41}});
  CHECK(position_token(one.from) == "41");
  const std::vector<std::pair<api_query, store::slot_id>> wrong{
      {{{"table", "user"}, {"from", token}}, slots + 1},
      {{{"table", "user"}, {"from", token}}, slots - 1},
      {{{"table", "user"}, {"from", "41"}}, slots},
      {{{"table", "user"}, {"key", "k"}, {"from", token}}, slots},
      {{{"table", "user"}, {"key", "k"}, {"prefix", "k"}}, slots},
      {{{"table", "user"}, {"key", ""}}, slots},
      {{{"table", "user"}, {"from", std::string(5000, 'A')}}, slots}};
  for (const auto& [query, count] : wrong)
    CHECK(refused([&, &query = query, count = count] { return parse_watch(query, "", count); }).first == 400);
  CHECK(parse_watch({{"table", "user"}, {"from", "41"}}, "", 1).from == std::vector<store::slot_revision>{{0, 41}});
  // 4,096 slots of large revisions fit no header.
  std::vector<store::slot_revision> many(4096, {0, ~store::revision{0}});
  CHECK(position_token(many).empty());
}

TEST_CASE("answers say what became of an operation") {
  struct line {
    std::string verb;
    store::op_result result;
    int status;
    json body;
  };
  const json found{{"table", "user"}, {"key", "k"}, {"value", "v"}, {"version", 7}};
  const std::vector<line> lines{
      {"get", {op_code::ok, row("k", "v")}, 200, found},
      {"get", {op_code::not_found, {}}, 404, {{"error", "there is no such key"}, {"code", "not_found"}}},
      {"put", {op_code::ok, row("k", "v")}, 200, {{"version", 7}}},
      {"erase", {op_code::ok, {}}, 200, json::object()},
      {"put-if-absent",
       {op_code::conflict, row("k", "v")},
       409,
       {{"error", "the key is there already: 'found'"}, {"code", "conflict"}, {"found", found}}},
      {"compare-and-set",
       {op_code::conflict, {}},
       412,
       {{"error", "the entry has not the expected version: 'found' is what is there"},
        {"code", "conflict"},
        {"found", nullptr}}},
      {"put",
       {op_code::no_such_lease, {}},
       409,
       {{"error", "the lease ran out or was never granted: nothing was written"}, {"code", "no_such_lease"}}},
  };
  for (const auto& each : lines) {
    INFO(each.verb << ' ' << each.status);
    const auto answer = answer_of(each.verb, each.result, byte_form::text_or_base64);
    CHECK(answer.status == each.status);
    CHECK(json::parse(answer.body) == each.body);
  }
  CHECK(answer_of(store::store_error::unavailable).status == 503);
  CHECK(answer_of(store::store_error::overloaded).status == 503);
  CHECK(answer_of(store::store_error::timeout).status == 504);
  CHECK(answer_of(store::store_error::no_such_lease).status == 404);
}

TEST_CASE("bytes that are no text are base64, and text is when it is wanted so") {
  const store::op_result binary{op_code::ok, row("\xff", "v", 255)};
  CHECK(json::parse(answer_of("get", binary, byte_form::text_or_base64).body) ==
        json{{"table", "user"}, {"key_base64", "/w=="}, {"value", "v"}, {"version", 7}, {"lease", "00000000000000ff"}});
  CHECK(json::parse(answer_of("get", binary, byte_form::base64).body)["value_base64"] == "dg==");
  store::scan_page page{{row("a", "1"), row("b", "2")}, "\0\1a"s};
  const auto body = json::parse(answer_of(page, byte_form::text_or_base64).body);
  CHECK(body["entries"].size() == 2);
  CHECK(parse_scan({{"table", "user"}, {"continuation", body["continuation"]}}).continuation == page.continuation);
  page.continuation.clear();
  CHECK_FALSE(json::parse(answer_of(page, byte_form::base64).body).contains("continuation"));
}

TEST_CASE("an event is one block of text, whatever is in it") {
  using kind = store::watch_event::kind;
  const std::string id = "41";
  const store::watch_event put{kind::put, row("a\nb", "v\r\n\nevent: erase"), 3, 7, {}};
  CHECK(event_text(put, byte_form::text_or_base64, &id) ==
        "event: put\nid: 41\ndata: {\"slot\":3,\"revision\":7,\"table\":\"user\",\"key\":\"a\\nb\",\"value\":"
        "\"v\\u000d\\n\\nevent: erase\",\"version\":7}\n\n");
  CHECK(event_text({.what = kind::live}, byte_form::base64, nullptr) == "event: live\ndata: {}\n\n");
}

} // namespace glocal::node
