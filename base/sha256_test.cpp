#include "base/sha256.hpp"

#include <catch2/catch.hpp>

TEST_CASE("SHA-256 of the examples of FIPS 180, whole and in pieces") {
  CHECK(glocal::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(glocal::sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  glocal::sha256 sum;
  for (const char c : std::string{"abc"})
    sum.add({&c, 1});
  CHECK(sum.hex() == glocal::sha256_hex("abc"));
}
