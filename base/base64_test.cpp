#include "base/base64.hpp"
#include "base/escape.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace glocal;
using namespace std::string_literals;

TEST_CASE("the vectors of RFC 4648, section 10") {
  struct row {
    std::string bytes, text;
  };
  const std::vector<row> rows{{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
  for (const auto& row : rows) {
    CHECK(to_base64(row.bytes) == row.text);
    CHECK(from_base64(row.text) == row.bytes);
    CHECK(from_base64url(to_base64url(row.bytes)) == row.bytes);
  }
  CHECK(to_base64("\xfb\xff"s) == "+/8=");
  CHECK(to_base64url("\xfb\xff"s) == "-_8");
}

TEST_CASE("what is not the one text of some bytes is refused") {
  for (const auto* text :
       {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "-_8=", "Zg==Zg=="})
    CHECK_FALSE(from_base64(text));
  for (const auto* text : {"Z", "Zg==", "Zh", "+/8", "Zm9v="})
    CHECK_FALSE(from_base64url(text));
}

TEST_CASE("any bytes come back") {
  std::mt19937 random{7};
  for (int run = 0; run < 1000; ++run) {
    std::string bytes(random() % 40, '\0');
    for (auto& c : bytes)
      c = static_cast<char>(random());
    CHECK(from_base64(to_base64(bytes)) == bytes);
    CHECK(from_base64url(to_base64url(bytes)) == bytes);
  }
}

TEST_CASE("text is told from other bytes") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"));
  for (const auto& bytes : {"\xff"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "ab\xc3"s})
    CHECK_FALSE(is_utf8(bytes));
}
