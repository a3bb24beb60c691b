#include "store/etcd/etcd_codec.hpp"

#include <catch2/catch.hpp>

using namespace glocal::store;
using namespace glocal::store::etcd;

namespace {

const member a{"a", 1}, b{"b", 18'000'000'000'000'000'001u};
const std::string header = R"("header":{"cluster_id":"14841639068965178418","revision":"9"})";
// base64 of /glocal/lab/register/3
const std::string key = "/glocal/lab/register/3", coded_key = "L2dsb2NhbC9sYWIvcmVnaXN0ZXIvMw==";

} // namespace

TEST_CASE("a view in etcd is read as it was written") {
  const slot_view view{7, b, {a, b}};
  CHECK(decode_view(encode_view(view, "w")) == view);
}

TEST_CASE("views that no replica writes are refused") {
  CHECK_FALSE(decode_view(""));
  CHECK_FALSE(decode_view("[]"));
  CHECK_FALSE(decode_view(encode_view({1, a, {b}}, "w")));    // the primary is no member
  CHECK_FALSE(decode_view(encode_view({1, a, {b, a}}, "w"))); // not ascending
  CHECK_FALSE(decode_view(encode_view({1, a, {a, a}}, "w")));
  CHECK_FALSE(decode_view(R"({"epoch":-1,"primary":{"node":"a","incarnation":1},"members":[]})"));
  CHECK_FALSE(decode_view(R"({"epoch":1,"primary":{"node":7,"incarnation":1},"members":[]})"));
}

TEST_CASE("an absent key reads as version 0") {
  const auto read = decode_read("{" + header + "}", key);
  REQUIRE(read);
  CHECK(read->value == register_value{});
  CHECK(read->cluster == 14841639068965178418u);
}

TEST_CASE("answers that are not what was asked for are refused") {
  const auto kv = [](const std::string& name, const std::string& version) {
    return R"({"key":")" + name + R"(","mod_revision":)" + version + R"(,"value":"e30="})";
  };
  const std::string odd[] = {"",
                             "null",
                             "{}",
                             "[[[[",
                             R"({"header":{"cluster_id":"0","revision":"1"}})",
                             R"({"header":{"cluster_id":"-3","revision":"1"}})",
                             R"({"header":{"cluster_id":"99999999999999999999999","revision":"1"}})",
                             "{" + header + R"(,"kvs":7})",
                             "{" + header + R"(,"kvs":[]})",
                             "{" + header + R"(,"kvs":[)" + kv("YQ==", R"("5")") + "]}",     // another key
                             "{" + header + R"(,"kvs":[)" + kv(coded_key, "5") + "]}",       // a number as such
                             "{" + header + R"(,"kvs":[)" + kv(coded_key, R"("5")") + "]}"}; // its value is no view
  for (const auto& text : odd) {
    INFO(text);
    CHECK_FALSE(decode_read(text, key));
    CHECK_FALSE(decode_set(text, key, 3, encode_view({1, a, {a}}, "w")));
  }
}

TEST_CASE("a compare-and-set that failed because it had happened before is done") {
  const auto value = encode_view({1, a, {a}}, "w");
  // What set_request wrote is what etcd would give back.
  const auto request = set_request(key, 3, value);
  const auto from = request.find("\"value\":\"") + 9;
  const auto coded = request.substr(from, request.find('"', from) - from);
  const auto answer = "{" + header + R"(,"responses":[{"response_range":{"kvs":[{"key":")" + coded_key +
                      R"(","mod_revision":"5","value":")" + coded + R"("}]}}]})";
  const auto ours = decode_set(answer, key, 3, value);
  REQUIRE(ours);
  CHECK(ours->value.what == set_outcome::kind::done);
  CHECK(ours->value.now.version == 5);
  const auto others = decode_set(answer, key, 3, encode_view({1, a, {a}}, "another"));
  REQUIRE(others);
  CHECK(others->value.what == set_outcome::kind::conflict);
  CHECK_FALSE(decode_set(answer, key, 5, value)); // the version was there, and yet it failed
}

TEST_CASE("a watch goes on behind what it has heard, and from now when the history is gone") {
  CHECK(decode_watch(R"({"result":{)" + header + "}}", prefix_of("lab"))->value.next == 10);
  CHECK(decode_watch(R"({"result":{)" + header + R"(,"canceled":true,"compact_revision":"8"}})", prefix_of("lab"))
            ->value.next == 0);
  CHECK_FALSE(decode_watch(R"({"error":{"message":"x"}})", prefix_of("lab")));
}
