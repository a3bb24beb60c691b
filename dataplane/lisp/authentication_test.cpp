#include "dataplane/lisp/authentication.hpp"

#include "dataplane/lisp/testing/captured_messages.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

namespace glocal::lisp {
namespace {

using dataplane::testing::from_hex;
using dataplane::testing::to_hex;
using namespace testing;

map_register registration() {
  map_register out;
  out.nonce = 0x0102030405060708;
  out.want_notify = true;
  out.records.resize(1);
  out.records[0].eid = make_eid(*parse_prefix("192.168.1.0/24"));
  return out;
}

constexpr auth_method all_methods[] = {{algorithm::hmac_sha1_96, 0, false},
                                       {algorithm::hmac_sha1_96, 0, true},
                                       {algorithm::hmac_sha256_128, 4, false},
                                       {algorithm::hmac_sha256_128_hkdf, 5, false}};

} // namespace

TEST_CASE("what Open Overlay Router signed is verified with its key, and with no other") {
  int seen = 0;
  for (const auto& [where, message] : captured_messages()) {
    const auto decoded = decode(message).value();
    const bool is_signed = std::holds_alternative<map_register>(decoded) || std::holds_alternative<map_notify>(decoded);
    INFO(where);
    if (!is_signed) {
      CHECK(verify(message, captured_secret) == auth_verdict::not_applicable);
      continue;
    }
    ++seen;
    CHECK(verify(message, captured_secret) == auth_verdict::good);
    CHECK(verify(message, "Password") == auth_verdict::bad);
    CHECK(verify(message, "") == auth_verdict::bad);
    // The same message signed here is the same bytes.
    CHECK(to_hex(encode_signed(decoded, captured_secret, method_for(oor_profile())).value()) == to_hex(message));
  }
  CHECK(seen == 26);
}

TEST_CASE("each algorithm makes the authentication data another implementation makes") {
  // By Python's hmac module over the message with its data zeroed; HKDF after RFC 5869 with the salt of RFC 9301.
  const char* expected[] = {"e50cc9649ceada7e4082d692", "660e8d2ad7a0e67c1b385e4cd9dc49a4037bd62f",
                            "236bbee58cb3a758b1866b7e90bcfcbe", "2a4ef3a080626a59290be299d3029e5f"};
  for (std::size_t i = 0; i < std::size(all_methods); ++i) {
    const auto message = encode_signed(registration(), "secret", all_methods[i]).value();
    const auto auth = std::get<map_register>(decode(message).value()).auth;
    CHECK(auth.key_id == all_methods[i].key_id);
    CHECK(to_hex(auth.data) == expected[i]);
  }
}

TEST_CASE("any changed bit, and another key, are noticed under every algorithm") {
  for (const auto& method : all_methods) {
    const auto message = encode_signed(registration(), "secret", method).value();
    CHECK(verify(message, "secret") == auth_verdict::good);
    CHECK(verify(message, "secret2") == auth_verdict::bad);
    for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
      auto changed = message;
      changed[bit / 8] ^= std::byte{1} << bit % 8;
      INFO("algorithm " << int{method.algorithm_id} << ", bit " << bit);
      CHECK(verify(changed, "secret") != auth_verdict::good);
    }
  }
}

TEST_CASE("the derived key of one kind of message is of no use for another") {
  const auto hkdf = auth_method{algorithm::hmac_sha256_128_hkdf, 0, false};
  auto message = encode_signed(registration(), "secret", hkdf).value();
  map_notify notify;
  notify.nonce = registration().nonce;
  notify.records = registration().records;
  const auto signed_notify = encode_signed(notify, "secret", hkdf).value();
  CHECK(verify(signed_notify, "secret") == auth_verdict::good);
  CHECK(to_hex(byte_view{message}.subspan(16, 16)) != to_hex(byte_view{signed_notify}.subspan(16, 16)));
}

TEST_CASE("what is not authenticated, or as nobody knows how, is told apart") {
  const std::string nonce = "0102030405060708";
  const struct {
    const char* what;
    std::string message;
    auth_verdict verdict;
  } rows[] = {
      {"nothing", "", auth_verdict::not_applicable},
      {"cut in its header", "30000101" + nonce + "0001 00", auth_verdict::not_applicable},
      {"cut in its data", "30000101" + nonce + "0001 0014 00", auth_verdict::not_applicable},
      {"a Map-Request", "10000001" + nonce + "0001 0000", auth_verdict::not_applicable},
      {"none", "30000100" + nonce + "0000 0000", auth_verdict::absent},
      {"none with data", "30000100" + nonce + "0000 0001 00", auth_verdict::absent},
      {"algorithm 4", "30000100" + nonce + "0004 0001 00", auth_verdict::unknown_algorithm},
      {"no data", "30000100" + nonce + "0001 0000", auth_verdict::bad_length},
      {"one byte of data", "30000100" + nonce + "0001 0001 00", auth_verdict::bad_length},
      {"SHA-1 data under SHA-256", "30000100" + nonce + "0002 000c 000000000000000000000000", auth_verdict::bad_length},
      {"HKDF on a message without a salt", "70000000" + nonce + "0003 0010 00000000000000000000000000000000",
       auth_verdict::unknown_algorithm},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(verify(from_hex(row.message), "secret") == row.verdict);
  }
  CHECK_FALSE(encode_signed(map_reply{}, "secret", all_methods[0]));
  CHECK_FALSE(encode_signed(registration(), "secret", {algorithm::none, 0, false}));
}

} // namespace glocal::lisp
