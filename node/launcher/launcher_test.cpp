// What needs no namespaces: plans, and records on disk. tests/cli brings real clusters up and down.

#include "node/launcher/launcher.hpp"
#include "node/launcher/topology.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace glocal::node {
namespace {

namespace fs = std::filesystem;

/// Three routers in a row, an edge at each end.
const std::string row_of_routers = R"(cluster: lab
management: 10.255.0.0/24
underlay:
  routers: [r1, r2, r3]
  links:
    - {between: [r1, r2], subnet: 172.16.9.0/30}
    - {between: [r3, r2], subnet: 172.16.9.4/30}
nodes:
  - name: west
    roles: [edge, store, mano]
    control: 10.255.0.1:7400
    underlay: {router: r1, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments:
      - name: homes
        gateway: [10.1.0.1/24, "fd00:1::1/64"]
        host: {name: alice, addresses: [10.1.0.7/24, "fd00:1::7/64"]}
  - name: east
    roles: [edge]
    control: 10.255.0.2:7400
    underlay: {router: r3, rloc: 172.16.3.2/30, gateway: 172.16.3.1}
)";

cluster_config lab() {
  auto loaded = load_cluster(row_of_routers, "lab.yaml");
  if (!loaded)
    FAIL(to_string(loaded.error()[0]));
  return *loaded;
}

/// All of a plan that runs in one namespace, as text.
std::string plan_for(const std::string& network_namespace) {
  std::string out;
  for (const auto& step : plan_topology(lab()))
    if (step.network_namespace == network_namespace)
      out += shown(step.argv) + "\n" + step.input;
  return out;
}

struct scratch {
  fs::path path;
  scratch() {
    std::string name = "/tmp/launcher_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }
};

} // namespace

TEST_CASE("routers get their addresses and shortest-path routes to every subnet") {
  CHECK_THAT(plan_for("r1"), Catch::Contains("addr add 172.16.1.1/30 dev port0") &&
                                 Catch::Contains("addr add 172.16.9.1/30 dev port1") &&
                                 Catch::Contains("route add 172.16.9.4/30 via 172.16.9.2\n") &&
                                 Catch::Contains("route add 172.16.3.0/30 via 172.16.9.2\n") &&
                                 Catch::Contains("net.ipv4.ip_forward=1"));
  CHECK_THAT(plan_for("r2"), Catch::Contains("route add 172.16.1.0/30 via 172.16.9.1\n") &&
                                 Catch::Contains("route add 172.16.3.0/30 via 172.16.9.5\n"));
  CHECK_THAT(plan_for("r3"), Catch::Contains("route add 172.16.1.0/30 via 172.16.9.6\n") &&
                                 !Catch::Contains("route add 172.16.9.4/30"));
}

TEST_CASE("what the data plane opens has no kernel address, no ARP and no offloads") {
  const auto west = plan_for("west");
  CHECK_THAT(west, Catch::Contains("link set underlay0 arp off up") && Catch::Contains("link set attach0 arp off up"));
  CHECK_THAT(west, !Catch::Contains("dev underlay0") && !Catch::Contains("dev attach0"));
  CHECK_THAT(west,
             Catch::Contains("ethtool -K underlay0 tx off") && Catch::Contains("net.ipv4.conf.underlay0.rp_filter=1"));
  CHECK_THAT(plan_for("r1"), Catch::Contains("ethtool -K port0 tx off"));
  CHECK_THAT(plan_for("alice"), Catch::Contains("ethtool -K eth0 tx off"));
}

TEST_CASE("hosts have their addresses and a default route for each IP version they speak") {
  CHECK_THAT(plan_for("alice"), Catch::Contains("addr add 10.1.0.7/24 dev eth0") &&
                                    Catch::Contains("addr add fd00:1::7/64 dev eth0") &&
                                    Catch::Contains("route add default via 10.1.0.1 dev eth0") &&
                                    Catch::Contains("route add default via fd00:1::1 dev eth0") &&
                                    Catch::Contains("net.ipv6.conf.all.disable_ipv6=0"));
  CHECK_THAT(plan_for("west"), Catch::Contains("net.ipv6.conf.all.disable_ipv6=1"));
}

TEST_CASE("links have the MTU of what they carry") {
  CHECK_THAT(plan_for(""),
             Catch::Contains("name underlay0 mtu 1700 netns west type veth peer name port0 mtu 1700 netns r1") &&
                 Catch::Contains("name attach0 mtu 1500 netns west type veth peer name eth0 mtu 1500 netns alice"));
}

TEST_CASE("a cluster's state is what was written") {
  scratch dir;
  const auto directory = dir.path / "lab";
  fs::create_directory(directory);
  cluster_state state{"lab",
                      "/etc/lab.yaml",
                      cluster_phase::running,
                      {"west", "east"},
                      {{"west", "west"}, {"fw-1", "vnf-fw-1"}},
                      identify(::getpid()),
                      true};
  REQUIRE(write_state(directory, state));
  const auto read = read_state(directory);
  REQUIRE(read);
  CHECK(read->config == state.config);
  CHECK(read->phase == cluster_phase::running);
  CHECK(read->nodes == state.nodes);
  CHECK(read->places == state.places);
  CHECK(read->holder == state.holder);
  CHECK(read->user_namespace);
  CHECK(read->alive());
  CHECK(recorded_clusters(dir.path).size() == 1);
}

TEST_CASE("a recycled pid and a pid of another boot are not the holder") {
  scratch dir;
  const auto directory = dir.path / "lab";
  fs::create_directory(directory);
  cluster_state state{"lab", "/etc/lab.yaml", cluster_phase::running, {}, {}, identify(::getpid()), false};
  state.holder->start_time += 1;
  REQUIRE(write_state(directory, state));
  CHECK_FALSE(read_state(directory)->alive());

  state.holder->start_time -= 1;
  REQUIRE(write_state(directory, state));
  std::ifstream in{directory / "state.json"};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  const auto at = text.find("\"boot_id\": \"") + 12;
  text.replace(at, 8, "00000000");
  std::ofstream{directory / "state.json"} << text;
  REQUIRE(read_state(directory));
  CHECK_FALSE(read_state(directory)->alive());
}

TEST_CASE("a state that is not ours to understand is none") {
  scratch dir;
  const auto directory = dir.path / "lab";
  fs::create_directory(directory);
  for (
      const std::string text :
      {"", "nonsense", "[]", "{}", R"({"format": 2})", R"({"format": 1, "cluster": 7})",
       R"({"format": 1, "cluster": "other", "config": "/x", "phase": "running", "nodes": [], "places": {}, "user_namespace": false})"}) {
    INFO(text);
    std::ofstream{directory / "state.json"} << text;
    CHECK_FALSE(read_state(directory));
  }
}

TEST_CASE("a run directory that is not private is refused") {
  scratch dir;
  CHECK(ensure_private_directory(dir.path / "new"));
  CHECK(ensure_private_directory(dir.path / "new"));
  fs::permissions(dir.path / "new", fs::perms{0755});
  const auto open = ensure_private_directory(dir.path / "new");
  REQUIRE_FALSE(open);
  CHECK_THAT(open.error(), Catch::Contains("chmod 700"));
  fs::create_symlink("/tmp", dir.path / "link");
  CHECK_FALSE(ensure_private_directory(dir.path / "link"));
  CHECK_FALSE(ensure_private_directory(dir.path / "no" / "parent"));
}

TEST_CASE("one process at a time works on a cluster") {
  scratch dir;
  {
    const auto held = cluster_lock::try_take(dir.path);
    REQUIRE(held);
    CHECK_FALSE(cluster_lock::try_take(dir.path));
  }
  CHECK(cluster_lock::try_take(dir.path));
  CHECK_FALSE(cluster_lock::try_take(dir.path / "gone"));
}

} // namespace glocal::node
