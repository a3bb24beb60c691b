#include "actors/model/codec.hpp"

#include "actors/model/codec_samples_test.hpp"
#include "actors/model/keys.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::model;

namespace {

template <class T>
void check_round_trip(const T& value) {
  const auto bytes = encode(value);
  const auto read = decode<T>(bytes);
  REQUIRE(read);
  CHECK(*read == value);
  // Whatever is cut off, the rest is refused or decodes to some value: never a crash (AddressSanitizer watches).
  for (std::size_t size = 0; size < bytes.size(); ++size)
    (void)decode<T>(std::string_view{bytes}.substr(0, size));
}

} // namespace

TEST_CASE("every value of the global state reads back as it was written") {
  std::apply([](const auto&... value) { (check_round_trip(value), ...); }, samples::all());
}

TEST_CASE("a value with something behind it is refused") {
  CHECK_FALSE(decode<terminate_request>(encode(terminate_request{"fw-1"}) + std::string(8, '\0')));
}

TEST_CASE("bytes that are not a value are refused") {
  CHECK_FALSE(decode<service>(""));
  CHECK_FALSE(decode<service>("garbage"));
  CHECK_FALSE(decode<service>(std::string(64, '\xff')));
}

TEST_CASE("both directions of a connection have one flow key, per tenant") {
  const auto tuple = *parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(keys::flow(1, tuple) == keys::flow(1, tuple.reversed()));
  CHECK(keys::flow(1, tuple) != keys::flow(2, tuple));
  CHECK(keys::flow(1, tuple).size() == 42);
}

TEST_CASE("path keys are six hexadecimal digits") {
  CHECK(keys::path(0xabc) == "000abc");
  CHECK(keys::parse_path("000abc") == path_id{0xabc});
  CHECK_FALSE(keys::parse_path("abc"));
  CHECK_FALSE(keys::parse_path("00zabc"));
}
