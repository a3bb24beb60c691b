#include "dataplane/classify/rule_text.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace glocal;
using namespace glocal::dataplane;

TEST_CASE("a match reads back as it was written") {
  const auto* text = GENERATE("any", "proto=tcp", "dport=80", "sport=1024-65535", "src=10.1.0.0/16,dst=0.0.0.0/0",
                              "in_port=3,vlan=0,src=2001:db8::/32,dst=::/0,proto=udp,dscp=46,sport=53,dport=0-1023",
                              "proto=tcp,tcp_flags=0x02/0x12", "proto=icmp6,icmp_type=128", "proto=47", "dport=0");
  const auto match = parse_rule_match(text);
  REQUIRE(match);
  CHECK(to_string(*match) == text);
}

TEST_CASE("short forms mean what they say") {
  CHECK(parse_rule_match("src=10.1.0.7")->source == parse_prefix("10.1.0.7/32").value());
  CHECK(to_string(*parse_rule_match("tcp_flags=2/18")) == "tcp_flags=0x02/0x12");
  CHECK(to_string(*parse_rule_match("dport=80-80")) == "dport=80");
  CHECK(to_string(*parse_rule_match("dport=0-65535")) == "any");
}

TEST_CASE("text that is no match says where and why") {
  using code = rule_text_error::code;
  struct row {
    const char* text;
    code what;
    std::size_t offset;
  };
  const std::vector<row> rows{
      {"", code::missing_equals, 0},
      {"proto", code::missing_equals, 0},
      {"proto=tcp,", code::missing_equals, 10},
      {"proto=tcp,,dport=80", code::missing_equals, 10},
      {"proto=tcp,any", code::missing_equals, 10},
      {"=tcp", code::unknown_key, 0},
      {"proto=tcp, dport=80", code::unknown_key, 10},
      {"port=80", code::unknown_key, 0},
      {"dport=80,dport=81", code::repeated_key, 9},
      {"proto=", code::malformed_value, 0},
      {"proto=256", code::malformed_value, 0},
      {"proto=tcpx", code::malformed_value, 0},
      {"dport=65536", code::malformed_value, 0},
      {"dport=-1", code::malformed_value, 0},
      {"dport=80-", code::malformed_value, 0},
      {"dport=80 ", code::malformed_value, 0},
      {"src=10.1.0.7/16", code::malformed_value, 0},
      {"src=10.1.0.0/33", code::malformed_value, 0},
      {"vlan=70000", code::malformed_value, 0},
      {"tcp_flags=2", code::malformed_value, 0},
      {"tcp_flags=0x/0x", code::malformed_value, 0},
      {"icmp_type=x", code::malformed_value, 0},
      {"dport=81-80", code::contradiction, 0},
      {"vlan=4095", code::contradiction, 0},
      {"dscp=64", code::contradiction, 0},
      {"src=10.0.0.0/8,dst=::/0", code::contradiction, 15},
      {"tcp_flags=0x12/0x02", code::contradiction, 0},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto match = parse_rule_match(row.text);
    REQUIRE_FALSE(match);
    CHECK(match.error().what == row.what);
    CHECK(match.error().offset == row.offset);
    CHECK_FALSE(match.error().message.empty());
  }
  CHECK(parse_rule_match("port=80").error().message ==
        "'port' is none of the keys in_port, vlan, src, dst, proto, dscp, sport, dport, tcp_flags, icmp_type");
}

TEST_CASE("the mirrored match is that of the replies") {
  const auto match = *parse_rule_match("in_port=3,vlan=7,src=10.1.0.0/16,dst=203.0.113.0/"
                                       "24,proto=tcp,dscp=46,sport=1024-65535,dport=80,tcp_flags=0x02/0x12");
  CHECK(to_string(match.mirrored()) ==
        "vlan=7,src=203.0.113.0/24,dst=10.1.0.0/16,proto=tcp,dscp=46,sport=80,dport=1024-65535");
  CHECK(to_string(parse_rule_match("icmp_type=8")->mirrored()) == "any");
}
