#include "base/net.hpp"

#include <catch2/catch.hpp>

using namespace glocal;

TEST_CASE("addresses print as they were read") {
  const auto* text = GENERATE("0.0.0.0", "10.1.0.7", "255.255.255.255", "::", "2001:db8::1", "::ffff:10.0.0.1");
  const auto address = parse_ip(text);
  REQUIRE(address);
  CHECK(to_string(*address) == text);
}

TEST_CASE("malformed addresses are refused") {
  const auto* text = GENERATE("", "10.1", "10.1.0.256", "10.1.0.7 ", "2001:db8:::1", "host", "1.2.3.4.5");
  CHECK_FALSE(parse_ip(text));
}

TEST_CASE("a prefix with host bits set says so") {
  CHECK(parse_prefix("10.1.0.7/24").error() == address_error::host_bits_set);
  CHECK(parse_prefix("10.1.0.0/33").error() == address_error::prefix_too_long);
  CHECK(parse_prefix("10.1.0.0/x").error() == address_error::malformed);
  CHECK(parse_prefix("10.1.0.0/24")->length == 24);
  CHECK(parse_prefix("10.1.0.7")->length == 32);
}

TEST_CASE("a prefix contains its addresses and its more specifics, of its own family only") {
  const auto prefix = *parse_prefix("10.1.0.0/23");
  CHECK(prefix.contains(*parse_ip("10.1.1.255")));
  CHECK_FALSE(prefix.contains(*parse_ip("10.1.2.0")));
  CHECK(prefix.contains(*parse_prefix("10.1.1.0/24")));
  CHECK_FALSE(prefix.contains(*parse_prefix("10.0.0.0/8")));
  CHECK(prefix.overlaps(*parse_prefix("10.0.0.0/8")));
  CHECK(parse_prefix("0.0.0.0/0")->contains(*parse_ip("1.2.3.4")));
  CHECK_FALSE(parse_prefix("0.0.0.0/0")->contains(*parse_ip("::")));
}

TEST_CASE("both directions of a connection have one canonical tuple") {
  const auto forward = *parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(to_string(forward) == "tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK(forward.reversed() != forward);
  CHECK(forward.reversed().reversed() == forward);
  CHECK(forward.canonical() == forward.reversed().canonical());
  CHECK(hash_value(forward) != hash_value(forward, 1));
}

TEST_CASE("tuples of IPv6 and of protocols without ports read back") {
  const auto* text =
      GENERATE("udp [2001:db8::1]:53 > [2001:db8::2]:5353", "icmp 10.0.0.1 > 10.0.0.2", "47 10.0.0.1 > 10.0.0.2");
  const auto tuple = parse_five_tuple(text);
  REQUIRE(tuple);
  CHECK(to_string(*tuple) == text);
}

TEST_CASE("malformed tuples are refused") {
  const auto* text =
      GENERATE("", "tcp", "tcp 10.0.0.1 10.0.0.2", "tcp 10.0.0.1:99999 > 10.0.0.2:80", "tcp 10.0.0.1 > ::1");
  CHECK_FALSE(parse_five_tuple(text));
}

TEST_CASE("MAC addresses read and print") {
  CHECK(to_string(*parse_mac("02:00:00:0a:ff:01")) == "02:00:00:0a:ff:01");
  CHECK_FALSE(parse_mac("02:00:00:0a:ff"));
  CHECK_FALSE(parse_mac("02-00-00-0a-ff-01"));
}
