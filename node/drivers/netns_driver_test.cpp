// Needs namespaces: re-executes itself in new user, mount and network namespaces, as root or as an ordinary user.
#include "node/drivers/netns_driver.hpp"
#include "node/process.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

namespace glocal::node {
namespace {

/// Before main, as Catch2's is shared; glibc hands constructors the arguments.
[[gnu::constructor]] void enter_own_namespaces(int argc, char** argv) {
  constexpr const char* inside = "GLOCAL_TEST_INSIDE_NAMESPACE";
  if (std::getenv(inside) != nullptr)
    return;
  ::setenv(inside, "1", 1);
  const std::string self = std::filesystem::canonical("/proc/self/exe");
  // A tmpfs on /run, as `ip netns` keeps its names there; sysfs of the new network namespace.
  const char* line = "mount -t tmpfs run /run && mount -t sysfs sysfs /sys && exec \"$0\" \"$@\"";
  std::vector<const char*> command{"unshare", "--user",    "--map-root-user", "--net", "--mount",
                                   "--pid",   "--fork",    "--mount-proc",    "sh",    "-c",
                                   line,      self.c_str()};
  command.insert(command.end(), argv + 1, argv + argc);
  command.push_back(nullptr);
  ::execvp(command[0], const_cast<char**>(command.data()));
  std::perror(command[0]);
  std::_Exit(127);
}

std::string shell(const std::string& line) {
  const auto done = run_checked({.argv = {"sh", "-c", line}});
  if (!done)
    FAIL(done.error().message);
  return *done;
}

bool succeeds(const std::string& line) {
  const auto done = run({.argv = {"sh", "-c", line}});
  return done && done->ok();
}

/// A directory that goes with the test.
struct scratch {
  std::filesystem::path path;
  scratch() {
    std::string name = "/tmp/netns_driver_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { std::filesystem::remove_all(path); }
};

instance_spec firewall(std::uint32_t index = 0) {
  instance_spec out;
  out.name = "fw-" + std::to_string(index);
  out.in_interface = out.name + "-in";
  out.out_interface = out.name + "-out";
  out.index = index;
  return out;
}

void expect_nothing_left() {
  CHECK(shell("ip netns list").empty());
  CHECK_FALSE(succeeds("ip -o link show | grep veth"));
  CHECK_FALSE(succeeds("ip link show fw-0-in"));
}

} // namespace

TEST_CASE("arms have distinct subnets and MACs for every instance") {
  const auto first = arm_addresses(0, false), second = arm_addresses(0, true),
             last = arm_addresses((1u << 19) - 1, true);
  CHECK(to_string(first.edge_address) == "100.64.0.1");
  CHECK(to_string(first.vnf_address) == "100.64.0.2");
  CHECK(to_string(second.edge_address) == "100.64.0.5");
  CHECK(to_string(last.vnf_address) == "100.127.255.254");
  CHECK(to_string(first.edge_mac) == "02:67:6c:00:00:00");
  CHECK(to_string(first.vnf_mac) == "02:67:6c:00:00:01");
  CHECK(to_string(last.vnf_mac) == "02:67:6c:1f:ff:ff");
}

TEST_CASE("an instance has two arms, offloads off, and is alive until it is stopped") {
  scratch dir;
  netns_driver driver{dir.path / "records"};
  const auto started = driver.start(firewall());
  if (!started)
    FAIL(started.error().message);
  CHECK(started->network_namespace == "vnf-fw-0");
  CHECK(started->in.interface == "fw-0-in");
  CHECK(driver.alive("fw-0"));
  CHECK(shell("cat /sys/class/net/fw-0-in/address") == to_string(started->in.edge_mac) + "\n");
  CHECK(shell("ip -o -4 addr show dev fw-0-in").empty());
  CHECK(shell("ip -o -6 addr show dev fw-0-in").empty());
  for (const std::string end : {"ethtool -k fw-0-in", "nsenter --net=/run/netns/vnf-fw-0 ethtool -k out"})
    for (const std::string offload :
         {"tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload", "tx-checksumming"})
      CHECK(succeeds(end + " | grep -q '^" + offload + ": off'"));
  shell("ip -n vnf-fw-0 link set out down");
  CHECK_FALSE(driver.alive("fw-0"));
  REQUIRE(driver.stop("fw-0"));
  CHECK_FALSE(driver.alive("fw-0"));
  expect_nothing_left();
  CHECK(std::filesystem::is_empty(dir.path / "records"));
  CHECK(driver.stop("fw-0"));
}

TEST_CASE("what enters one arm leaves by the other, both ways, whatever its addresses") {
  scratch dir;
  netns_driver driver{dir.path};
  auto spec = firewall(3);
  spec.setup = {"nft add table inet t", "nft add chain inet t f '{ type filter hook forward priority 0; }'",
                "nft add rule inet t f iifname in oifname out counter",
                "nft add rule inet t f iifname out oifname in counter"};
  const auto vnf = driver.start(spec);
  if (!vnf)
    FAIL(vnf.error().message);
  // A sender in the edge's place: the VNF's MAC as next hop, addresses of nowhere.
  const auto send = [&](const vnf_arm& arm, const std::string& source, const std::string& destination) {
    shell("python3 - <<'END'\n"
          "import socket, struct\n"
          "def mac(text): return bytes.fromhex(text.replace(':', ''))\n"
          "def total(b): s = sum(struct.unpack('!%dH' % (len(b) // 2), b)); s = (s & 0xffff) + (s >> 16); return ~((s "
          "& 0xffff) + (s >> 16)) & 0xffff\n"
          "udp = struct.pack('!HHHH', 1, 2, 8, 0)\n"
          "ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28, 0, 0, 64, 17, 0, socket.inet_aton('" +
          source + "'), socket.inet_aton('" + destination +
          "'))\n"
          "ip = ip[:10] + struct.pack('!H', total(ip)) + ip[12:]\n"
          "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
          "s.bind(('" +
          arm.interface +
          "', 0))\n"
          "for i in range(5): s.send(mac('" +
          to_string(arm.vnf_mac) + "') + mac('" + to_string(arm.edge_mac) +
          "') + b'\\x08\\0' + ip + udp + bytes(18))\n"
          "END\n");
  };
  send(vnf->in, "10.1.0.7", "203.0.113.9");
  send(vnf->out, "203.0.113.9", "10.1.0.7");
  CHECK_THAT(shell("ip netns exec vnf-fw-3 nft list ruleset"), Catch::Contains("oifname \"out\" counter packets 5") &&
                                                                   Catch::Contains("oifname \"in\" counter packets 5"));
  REQUIRE(driver.stop("fw-3"));
  expect_nothing_left();
}

TEST_CASE("a failing setup command is reported with what it said, and nothing is left") {
  scratch dir;
  netns_driver driver{dir.path};
  auto spec = firewall();
  spec.setup = {"true", "sleep 300 & echo 'no such rule' >&2; exit 4"};
  const auto started = driver.start(spec);
  REQUIRE_FALSE(started);
  CHECK(started.error().what == driver_error::kind::setup);
  CHECK_THAT(started.error().message, Catch::EndsWith("status 4: no such rule"));
  expect_nothing_left();
  CHECK(std::filesystem::is_empty(dir.path));
}

TEST_CASE("a setup command over its time fails the start") {
  scratch dir;
  netns_driver driver{dir.path};
  auto spec = firewall();
  spec.setup = {"sleep 300"};
  spec.setup_timeout = std::chrono::milliseconds{100};
  const auto started = driver.start(spec);
  REQUIRE_FALSE(started);
  CHECK_THAT(started.error().message, Catch::Contains("not done after 100 ms"));
  expect_nothing_left();
}

TEST_CASE("a start reclaims what a crash left under its own record") {
  scratch dir;
  auto spec = firewall();
  spec.setup = {"sleep 300 >/dev/null 2>&1 &"};
  REQUIRE(netns_driver{dir.path}.start(spec));
  netns_driver after_crash{dir.path};
  REQUIRE(after_crash.start(spec));
  CHECK(after_crash.alive("fw-0"));
  REQUIRE(after_crash.stop_all());
  expect_nothing_left();
}

TEST_CASE("what others made is neither taken over nor removed") {
  scratch dir;
  netns_driver driver{dir.path};
  SECTION("a namespace of the same name") {
    shell("ip netns add vnf-fw-0");
    const auto started = driver.start(firewall());
    REQUIRE_FALSE(started);
    CHECK_THAT(started.error().message, Catch::Contains("not ours"));
    CHECK(shell("ip netns list") == "vnf-fw-0\n");
    shell("ip netns del vnf-fw-0");
  }
  SECTION("an interface of the same name") {
    shell("ip link add fw-0-in type veth peer name other");
    REQUIRE_FALSE(driver.start(firewall()));
    CHECK(succeeds("ip link show fw-0-in"));
    shell("ip link del fw-0-in");
  }
  SECTION("a namespace that took the place of ours") {
    REQUIRE(driver.start(firewall()));
    shell("ip netns del vnf-fw-0; ip netns add vnf-fw-0");
    CHECK_FALSE(driver.alive("fw-0"));
    REQUIRE(driver.stop("fw-0"));
    CHECK(shell("ip netns list") == "vnf-fw-0\n");
    shell("ip netns del vnf-fw-0");
  }
  expect_nothing_left();
}

} // namespace glocal::node
