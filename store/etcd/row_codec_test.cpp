#include "store/etcd/row_codec.hpp"

#include "base/base64.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::store;
using namespace glocal::store::etcd;

namespace {

const row_space lab{"lab"};
const std::string header = R"("header":{"cluster_id":"14841639068965178418","revision":"9"})";

std::string coded(table of, const std::string& key) {
  return to_base64(lab.prefix_of(of) + key);
}
std::string row(table of, const std::string& key, const std::string& version = "7", const std::string& more = "") {
  return R"({"key":")" + coded(of, key) + R"(","mod_revision":")" + version + R"(","value":"dg==")" + more + "}";
}
std::optional<std::vector<op_result>> results(const batch& operations, const std::string& responses) {
  auto out = decode_txn("{" + header + R"(,"succeeded":true,"responses":[)" + responses + "]}", lab, operations);
  return out ? std::optional{std::move(out->value)} : std::nullopt;
}

} // namespace

TEST_CASE("leases are etcd's by another number, of each cluster's own, and back") {
  for (const lease_id lease : {lease_id{1}, lease_id{42}, ~lease_id{0}}) {
    CHECK(lab.from_etcd(lab.to_etcd(lease)) == lease);
    CHECK(lab.to_etcd(lease) != row_space{"field"}.to_etcd(lease));
  }
  CHECK(lab.to_etcd(0) == 0);
  CHECK(lab.from_etcd(0) == 0);
}

TEST_CASE("what became of each operation is read from its own answer") {
  const batch operations{put_op{table::paths, "p", "v"}, put_if_absent_op{table::flows, "f", "v"},
                         compare_and_set_op{table::paths, "q", "v", 3}, erase_op{table::paths, "r", {}},
                         get_op{table::paths, "s"}};
  const auto read = results(operations, R"({"response_txn":{"responses":[{"response_put":{}}]}},)"
                                        R"({"response_txn":{"responses":[{"response_range":{"kvs":[)" +
                                            row(table::flows, "f") +
                                            R"(]}}]}},)"
                                            R"({"response_txn":{"succeeded":true,"responses":[{"response_put":{}}]}},)"
                                            R"({"response_delete_range":{"deleted":"1"}},)"
                                            R"({"response_range":{}})");
  REQUIRE(read);
  CHECK((*read)[0] == op_result{op_code::ok, entry{table::paths, "p", "v", 9, 0}});
  CHECK((*read)[1] == op_result{op_code::conflict, entry{table::flows, "f", "v", 7, 0}});
  CHECK((*read)[2] == op_result{op_code::ok, entry{table::paths, "q", "v", 9, 0}});
  CHECK((*read)[3] == op_result{op_code::ok, {}});
  CHECK((*read)[4] == op_result{op_code::not_found, {}});
}

TEST_CASE("answers that are not to what was asked give nothing") {
  const batch get{get_op{table::paths, "p"}};
  CHECK(results(get, R"({"response_range":{"kvs":[)" + row(table::paths, "p") + "]}}"));
  for (const auto& wrong : {
           std::string{},
           std::string{"{}"},
           std::string{"7"},
           R"({"response_range":{}},{"response_range":{}})" + std::string{},
           R"({"response_range":{"kvs":[)" + row(table::paths, "other") + "]}}",
           R"({"response_range":{"kvs":[)" + row(table::flows, "p") + "]}}",
           R"({"response_range":{"kvs":[)" + row(table::paths, "p", "0") + "]}}",
           R"({"response_range":{"kvs":[)" + row(table::paths, "p", "x") + "]}}",
           R"({"response_range":{"kvs":[)" + row(table::paths, "p", "7", R"(,"lease":5)") + "]}}",
           R"({"response_range":{"kvs":[)" + row(table::paths, "p") + "," + row(table::paths, "p") + "]}}",
       }) {
    INFO(wrong);
    CHECK_FALSE(results(get, wrong));
  }
  CHECK_FALSE(decode_txn(R"({"responses":[{"response_range":{}}]})", lab, get));
  const batch put{put_op{table::paths, "p", "v"}};
  CHECK_FALSE(results(put, R"({"response_put":{}})"));
  CHECK_FALSE(results(put, R"({"response_txn":{"responses":[]}})"));
  CHECK_FALSE(results(put, R"({"response_txn":{"succeeded":true,"responses":[{"response_range":{}}]}})"));
}

TEST_CASE("a range's rows are of the table and prefix, in order, and no more than were asked for") {
  const range_of_rows what{table::paths, "a", "a1", 2, 0};
  const auto read = [&](const std::string& rows) {
    return decode_range("{" + header + R"(,"more":true,"kvs":[)" + rows + "]}", lab, what);
  };
  const auto a2 = row(table::paths, "a2"), a3 = row(table::paths, "a3");
  const auto found = read(a2 + "," + a3);
  REQUIRE(found);
  CHECK(found->value.rows.size() == 2);
  CHECK(found->value.more);
  CHECK(found->value.at == 9);
  CHECK_FALSE(read(a3 + "," + a2));
  CHECK_FALSE(read(a2 + "," + a2));
  CHECK_FALSE(read(row(table::paths, "a1"))); // not after the last one
  CHECK_FALSE(read(row(table::paths, "b")));
  CHECK_FALSE(read(a2 + "," + a3 + "," + row(table::paths, "a4")));
  CHECK_FALSE(decode_range("{" + header + R"(,"more":true})", lab, what));
}

TEST_CASE("prefixes end where the next begins, whatever their bytes") {
  for (const auto& prefix : {std::string{"a"}, std::string{"\xff"}, std::string{"a\xff\xff"}, std::string{}}) {
    const auto request = range_request(lab, {table::paths, prefix, "", 1, 0});
    const auto end_at = request.find(R"("range_end":")") + 13;
    const auto end = from_base64(request.substr(end_at, request.find('"', end_at) - end_at));
    REQUIRE(end);
    const auto begin = lab.prefix_of(table::paths) + prefix;
    CHECK(begin < *end);
    CHECK(begin + "\xff\xff\xff" < *end);
    CHECK(*end <= lab.prefix_of(table::paths).substr(0, lab.prefix_of(table::paths).size() - 1) + "0");
  }
}

TEST_CASE("changes are read, and those of other keys are none of a watch's") {
  const auto heard = decode_changes(R"({"result":{)" + header + R"(,"watch_id":"5","fragment":true,"events":[{"kv":)" +
                                    row(table::paths, "a") + R"(},{"type":"DELETE","kv":{"key":")" +
                                    coded(table::paths, "b") + R"(","mod_revision":"8"}}]}})");
  REQUIRE(heard);
  auto what = heard->value;
  CHECK(what.id == 5);
  CHECK(what.fragment);
  REQUIRE(what.changes.size() == 2);
  const watched_rows watched{5, table::paths, "", 1};
  CHECK_FALSE(event_of(etcd::heard_changes::change{what.changes[0]}, lab, {5, table::paths, "b", 1}));
  CHECK_FALSE(event_of(etcd::heard_changes::change{what.changes[0]}, lab, {5, table::flows, "", 1}));
  const auto put = event_of(std::move(what.changes[0]), lab, watched);
  REQUIRE(put);
  CHECK(put->what == watch_event::kind::put);
  CHECK(put->entry == entry{table::paths, "a", "v", 7, 0});
  const auto erase = event_of(std::move(what.changes[1]), lab, watched);
  REQUIRE(erase);
  CHECK(erase->what == watch_event::kind::erase);
  CHECK(erase->at == 8);
  CHECK_FALSE(decode_changes(R"({"error":{"grpc_code":14}})"));
  CHECK_FALSE(decode_changes(R"({"result":{)" + header + R"(,"events":[{}]}})"));
}

TEST_CASE("a lease that is gone has no time left") {
  const auto left = [](const std::string& more) {
    return decode_keepalive(R"({"result":{)" + header + R"(,"ID":"-77")" + more + "}}", -77);
  };
  CHECK(left(R"(,"TTL":"5")")->value == 5);
  CHECK(left("")->value == 0);
  CHECK(left(R"(,"TTL":"-1")")->value == 0);
  CHECK_FALSE(decode_keepalive(R"({"result":{)" + header + R"(,"ID":"78"}})", -77));
}
