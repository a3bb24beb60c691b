#include "dataplane/switch/flow_program.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>

using namespace glocal;
using namespace glocal::dataplane;

namespace {

constexpr std::uint32_t tenant = 5, path = 42;
constexpr port_id subscriber_port = 1, server_port = 2;

const ip_address elsewhere = ip_address::v4(0xc0000202);
const five_tuple http = parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80").value();

path_hop local(port_id in_arm, port_id out_arm) {
  return {true, in_arm, out_arm, {}};
}
path_hop remote() {
  return {false, no_port, no_port, elsewhere};
}

std::shared_ptr<const eid_table> eids(bool source_here, bool destination_here) {
  const auto route = [](const char* prefix, bool here, port_id port) {
    return eid_route{tenant, parse_prefix(prefix).value(), here ? port : no_port, here ? ip_address{} : elsewhere};
  };
  return eid_table::make({route("10.1.0.0/16", source_here, subscriber_port),
                          route("203.0.113.0/24", destination_here, server_port)})
      .value();
}

/// "port 1 forward > 0": found at port 1 in forward direction, takes step 0. "42/255": SPI and SI.
std::string to_text(const flow_entry& entry) {
  std::ostringstream out;
  if (entry.where.is_port())
    out << "port " << entry.where.port();
  else
    out << entry.where.spi() << '/' << int{entry.where.si()};
  out << (entry.step.way == direction::forward ? " forward > " : " reverse > ") << int{entry.step.position};
  return out.str();
}

struct row {
  const char* description;
  bool source_here, destination_here;
  std::vector<path_hop> hops;
  std::vector<std::string> entries;
};

} // namespace

TEST_CASE("an edge holds the entries of a flow that it serves, in both directions") {
  const row rows[] = {
      {"subscriber edge, both hops elsewhere",
       true,
       false,
       {remote(), remote()},
       {"port 1 forward > 0", "43/253 reverse > 2"}},
      {"first datacentre",
       false,
       false,
       {local(3, 4), remote()},
       {"42/255 forward > 0", "port 4 forward > 1", "43/254 reverse > 1", "port 3 reverse > 2"}},
      {"second datacentre",
       false,
       false,
       {remote(), local(3, 4)},
       {"42/254 forward > 1", "port 4 forward > 2", "43/255 reverse > 0", "port 3 reverse > 1"}},
      {"Internet edge", false, true, {remote(), remote()}, {"42/253 forward > 2", "port 2 reverse > 0"}},
      {"both hops in one datacentre",
       false,
       false,
       {local(3, 4), local(5, 6)},
       {"42/255 forward > 0", "port 4 forward > 1", "port 6 forward > 2", "43/255 reverse > 0", "port 5 reverse > 1",
        "port 3 reverse > 2"}},
      {"function at the subscriber's edge",
       true,
       false,
       {local(3, 4), remote()},
       {"port 1 forward > 0", "port 4 forward > 1", "43/254 reverse > 1", "port 3 reverse > 2"}},
      {"everything on one edge",
       true,
       true,
       {local(3, 4)},
       {"port 1 forward > 0", "port 4 forward > 1", "port 2 reverse > 0", "port 3 reverse > 1"}},
      {"there and back again: here, elsewhere, here",
       false,
       false,
       {local(3, 4), remote(), local(5, 6)},
       {"42/255 forward > 0", "port 4 forward > 1", "42/253 forward > 2", "port 6 forward > 3", "43/255 reverse > 0",
        "port 5 reverse > 1", "43/253 reverse > 2", "port 3 reverse > 3"}},
      {"empty chain", true, false, {}, {"port 1 forward > 0", "43/255 reverse > 0"}},
      {"an edge that has nothing to do with it", false, false, {remote()}, {}},
  };
  for (const auto& [description, source_here, destination_here, hops, wanted] : rows) {
    INFO(description);
    const auto made = flow_program::make(tenant, http, {path, hops}, *eids(source_here, destination_here));
    std::vector<std::string> entries;
    std::ranges::transform(made.entries(), std::back_inserter(entries), to_text);
    CHECK(entries == wanted);
    for (const auto& entry : made.entries())
      CHECK(entry.where.tenant() == tenant);
  }
}

TEST_CASE("the longest chain fits") {
  path_program longest{path, {}};
  for (port_id hop = 0; hop < max_path_hops; ++hop)
    longest.hops.push_back(
        hop % 2 == 0 ? remote() : local(static_cast<port_id>(10 + 2 * hop), static_cast<port_id>(11 + 2 * hop)));
  REQUIRE(is_valid(longest));
  const auto made = flow_program::make(tenant, http, longest, *eids(true, true));
  CHECK(made.entries().size() <= max_flow_entries);
}

TEST_CASE("paths that an lcore could not hold are refused") {
  CHECK(is_valid({42, {local(1, 2), remote()}}));
  CHECK_FALSE(is_valid({43, {}}));
  CHECK_FALSE(is_valid({max_spi + 1, {}}));
  CHECK_FALSE(is_valid({42, std::vector(max_path_hops + 1, remote())}));
  CHECK_FALSE(is_valid({42, {local(1, max_ports)}}));
  CHECK_FALSE(is_valid({42, {local(1, 1)}}));
  CHECK_FALSE(is_valid({42, {local(1, 2), local(2, 3)}}));
  CHECK_FALSE(is_valid({42, {path_hop{}}}));
}
