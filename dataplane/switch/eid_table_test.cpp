#include "dataplane/switch/eid_table.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;

namespace {

eid_route local(std::uint32_t tenant, const char* prefix, port_id port) {
  return {tenant, parse_prefix(prefix).value(), port, {}};
}
eid_route remote(std::uint32_t tenant, const char* prefix, const char* rloc) {
  return {tenant, parse_prefix(prefix).value(), no_port, parse_ip(rloc).value()};
}

} // namespace

TEST_CASE("the longest prefix of the tenant and family wins") {
  const auto table =
      eid_table::make({remote(0, "0.0.0.0/0", "192.0.2.1"), remote(0, "10.0.0.0/8", "192.0.2.2"),
                       local(0, "10.1.0.0/16", 3), local(0, "10.1.2.3/32", 4), local(7, "10.1.2.0/24", 5),
                       remote(0, "::/0", "2001:db8::1"), local(0, "2001:db8:1::/48", 6)})
          .value();
  struct row {
    std::uint32_t tenant;
    const char* address;
    const char* wanted;
  };
  for (const auto& [tenant, address, wanted] : {
           row{0, "10.1.2.3", "10.1.2.3/32"},
           row{0, "10.1.2.4", "10.1.0.0/16"},
           row{0, "10.9.9.9", "10.0.0.0/8"},
           row{0, "203.0.113.1", "0.0.0.0/0"},
           row{0, "2001:db8:1::5", "2001:db8:1::/48"},
           row{0, "2001:db8:2::5", "::/0"},
           row{7, "10.1.2.3", "10.1.2.0/24"},
           row{7, "10.1.3.3", nullptr},
           row{8, "10.1.2.3", nullptr},
       }) {
    INFO(tenant << ' ' << address);
    const auto* route = table->lookup(tenant, parse_ip(address).value());
    if (wanted == nullptr)
      CHECK(route == nullptr);
    else {
      REQUIRE(route != nullptr);
      CHECK(to_string(route->prefix) == wanted);
    }
  }
}

TEST_CASE("a table that could not be obeyed is refused") {
  CHECK(eid_table::make({local(0, "10.0.0.0/8", 1), remote(0, "10.0.0.0/8", "192.0.2.1")}).error() ==
        eid_table_error::duplicate_prefix);
  CHECK(eid_table::make({local(0, "10.0.0.0/8", max_ports)}).error() == eid_table_error::bad_port);
  CHECK(eid_table::make({remote(0, "10.0.0.0/8", "0.0.0.0")}).error() == eid_table_error::bad_rloc);
  CHECK(eid_table::make({remote(0, "10.0.0.0/8", "224.0.0.1")}).error() == eid_table_error::bad_rloc);
}

TEST_CASE("an empty table matches nothing") {
  CHECK(eid_table::make({}).value()->lookup(0, parse_ip("10.0.0.1").value()) == nullptr);
}
