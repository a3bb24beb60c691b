#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::model;

namespace {

service web() {
  service out{"web", 7, 100, {}, {"firewall", "tcp-optimiser"}, policy::round_robin, fallback::pass};
  dataplane::rule_match match;
  match.in_port = 3;
  match.vlan = 12;
  match.source = *parse_prefix("10.1.0.0/24");
  match.destination = *parse_prefix("2001:db8::/32");
  match.protocol = ip_protocol::tcp;
  match.dscp = 46;
  match.source_ports = {1024, 65535};
  match.destination_ports = {80, 80};
  match.tcp_flags_value = 2;
  match.tcp_flags_mask = 0x12;
  match.icmp_type = 8;
  out.matches = {match, dataplane::rule_match{}};
  return out;
}

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
  const auto rloc = *parse_ip("172.16.1.2");
  const auto tuple = *parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80");
  const vnf_class firewall{"firewall", "netns", true, {"nft add table inet fw", "true"}};
  const vnf_instance fw1{"fw-1", "firewall", "dc1", *parse_ip("2001:db8::2")};
  check_round_trip(firewall);
  check_round_trip(fw1);
  check_round_trip(web());
  check_round_trip(service_path{0xabcdee, "web", {"fw-1", "opt-2"}});
  check_round_trip(flow_record{"web", "sub-edge", 0xabcdee, tuple, 7});
  check_round_trip(instance_status{"fw-1", "firewall", 3, 9, true, 100, 12345, 678910, 1.5});
  check_round_trip(class_digest{"firewall", {{"fw-1", "dc1", rloc, 10, 2.5}, {"fw-2", "dc1", rloc, 11, 0}}});
  check_round_trip(eid_mapping{7, *parse_prefix("10.1.0.0/24"), "sub-edge", rloc});
  check_round_trip(instantiate_request{fw1, firewall});
  check_round_trip(terminate_request{"fw-1"});
  check_round_trip(lifecycle_reply{fw1, {}});
  check_round_trip(lifecycle_reply{std::nullopt, "nft: syntax error"});
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
