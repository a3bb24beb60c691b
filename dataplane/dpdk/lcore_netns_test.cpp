// The lcore on real kernel interfaces, in namespaces of its own: needs no root where user namespaces are allowed.

#include "dataplane/dpdk/lcore.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// Before main and before any thread: a user, network and mount namespace of our own, with root in it. Dies with us.
[[gnu::constructor]] void enter_own_namespaces() {
  const auto user = getuid(), group = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0) {
    std::perror("this test needs user namespaces: unshare");
    std::exit(1);
  }
  std::ofstream{"/proc/self/setgroups"} << "deny";
  std::ofstream{"/proc/self/uid_map"} << "0 " << user << " 1";
  std::ofstream{"/proc/self/gid_map"} << "0 " << group << " 1";
  // DPDK looks for its runtime directory below /run.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) {
    std::perror("mount");
    std::exit(1);
  }
}

void shell(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

eal& environment() {
  static const auto started = eal::start({.name = "dpdk-netns-test"});
  REQUIRE(started.has_value());
  return **started;
}

port_config gateway(port_id id, const std::string& device) {
  port_config config;
  config.id = id;
  config.name = "test" + std::to_string(id);
  config.device = device;
  config.addresses = {parse_interface_address("10.1.0.1/24").value(),
                      parse_interface_address("2001:db8::1/64").value()};
  return config;
}

/// A raw socket on an interface: sends whole frames, and waits for one of a kind.
class wire_end {
public:
  explicit wire_end(const char* interface) : socket_{socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))} {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
    REQUIRE(bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~wire_end() { close(socket_); }
  wire_end(const wire_end&) = delete;
  wire_end& operator=(const wire_end&) = delete;

  void send(const bytes& frame) {
    REQUIRE(::send(socket_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
  }
  /// The first frame that `is_wanted` accepts; empty after two seconds without one.
  template <class Predicate>
  bytes receive(Predicate is_wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{2};
    bytes frame(4096);
    for (auto left = end - std::chrono::steady_clock::now(); left.count() > 0;
         left = end - std::chrono::steady_clock::now()) {
      pollfd waiting{socket_, POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count())) <= 0)
        continue;
      frame.resize(4096);
      const auto size = recv(socket_, frame.data(), frame.size(), 0);
      frame.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
      parsed_packet parsed;
      if (!parse(frame, parsed) && is_wanted(parsed))
        return frame;
    }
    return {};
  }

private:
  int socket_;
};

bool is_echo_reply(const parsed_packet& parsed) {
  return parsed.is_icmp() &&
         (parsed.icmp_type == icmp_type::echo_reply || parsed.icmp_type == icmp_type::v6_echo_reply);
}

/// Round trip of one echo request to the gateway through the kernel's own stack (so its ARP too); negative: no answer.
double ping_us(const char* address) {
  const int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  REQUIRE(raw >= 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  inet_pton(AF_INET, address, &to.sin_addr);
  bytes message(8, std::byte{0});
  message[0] = std::byte{8};
  message[1 + 1] = std::byte{0xf7}, message[2 + 1] = std::byte{0xff}; // checksum of type 8 and all else zero
  const auto start = std::chrono::steady_clock::now();
  sendto(raw, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  double result = -1;
  pollfd waiting{raw, POLLIN, 0};
  while (result < 0 && ::poll(&waiting, 1, 2000) > 0) {
    std::array<unsigned char, 256> answer{};
    if (recv(raw, answer.data(), answer.size(), 0) >= 28 && answer[20] == 0)
      result = std::chrono::duration<double, std::micro>{std::chrono::steady_clock::now() - start}.count();
  }
  close(raw);
  return result;
}

/// One ping that needs ARP, then fifty; all are answered.
void ping_often(const char* link) {
  const auto first = ping_us("10.1.0.1");
  CHECK(first > 0);
  std::vector<double> later;
  later.reserve(50);
  for (int i = 0; i < 50; ++i)
    later.push_back(ping_us("10.1.0.1"));
  std::ranges::sort(later);
  CHECK(later.front() > 0);
  std::cout << "ping over " << link << ": first with ARP " << first << " us, then median " << later[later.size() / 2]
            << " us, max " << later.back() << " us\n";
}

/// A veth pair of which `lcore` gets one end and the kernel, with an address, the other.
void make_veth(const std::string& ours, const std::string& kernels) {
  shell("ip link add " + ours + " type veth peer name " + kernels);
  for (const auto& each : {ours, kernels}) {
    shell("sysctl -qw net.ipv6.conf." + each + ".disable_ipv6=1");
    shell("ip link set " + each + " up");
  }
  shell("ip addr add 10.1.0.7/24 dev " + kernels);
}

/// Submits until the port is closed and taken anew.
void submit_eventually(southbound& border, const command& order) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  auto result = border.submit(command{order});
  while (!result && result.error() == submit_error::busy && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
    result = border.submit(command{order});
  }
  REQUIRE(result.has_value());
}

std::unique_ptr<lcore> start_lcore() {
  static int count = 0;
  lcore_config config;
  config.name = "test-lcore" + std::to_string(count++);
  config.tables.flows = 1024;
  auto started = lcore::start(environment(), config, [] {});
  REQUIRE(started.has_value());
  return std::move(*started);
}

} // namespace

TEST_CASE("an af_packet port answers ARP and ping, again after it was unplugged, and its interface stays") {
  make_veth("edge0", "host0");
  const auto edge = start_lcore();
  for (int round = 0; round < 3; ++round) {
    submit_eventually(*edge, add_port{gateway(3, "af_packet:edge0")});
    shell("ip neigh flush dev host0");
    ping_often("veth");
    CHECK(edge->statistics().ports[3].rx_packets.value() >= 51);
    CHECK(edge->statistics().ports[3].tx_packets.value() >= 51);
    REQUIRE(edge->submit(remove_port{3}).has_value());
  }
  shell("ip link show edge0 > /dev/null && ip link del edge0");
}

TEST_CASE("a multicast neighbour solicitation reaches an af_packet port") {
  make_veth("edge1", "host1");
  const auto edge = start_lcore();
  auto config = gateway(0, "af_packet:edge1");
  config.mac = edge_mac; // not the device's: the port has to go promiscuous
  submit_eventually(*edge, add_port{config});
  wire_end host{"host1"};
  host.send(arp_request(host_mac, "10.1.0.9", "10.1.0.1"));
  CHECK_FALSE(host.receive([](const parsed_packet& parsed) { return parsed.kind == packet_kind::arp; }).empty());
  host.send(packet_builder{}.macs(host_mac, edge_mac).ip("2001:db8::9", "2001:db8::1").echo_request(7).build());
  CHECK_FALSE(host.receive(is_echo_reply).empty());
  shell("ip link del edge1");
}

TEST_CASE("an idle lcore blocks") {
  make_veth("edge2", "host2");
  const auto edge = start_lcore();
  submit_eventually(*edge, add_port{gateway(0, "af_packet:edge2")});
  CHECK(ping_us("10.1.0.1") > 0);
  const auto cpu_us = [] {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return 1e6 * static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  };
  const auto before = cpu_us();
  const auto rounds = edge->activity().rounds.value();
  ::poll(nullptr, 0, 2000);
  std::cout << "idle process: " << (cpu_us() - before) / 2e6 * 100 << " % of a core, "
            << edge->activity().rounds.value() - rounds << " rounds in 2 s\n";
  CHECK(edge->activity().rounds.value() - rounds < 1000);
  // It goes on blocking after its interface went down and after it vanished.
  shell("ip link set edge2 down; ip link set edge2 up");
  CHECK(ping_us("10.1.0.1") > 0);
  shell("ip link del edge2");
  const auto gone = edge->activity().rounds.value();
  ::poll(nullptr, 0, 200);
  CHECK(edge->activity().rounds.value() - gone < 1000);
}

TEST_CASE("a tap port answers ping and takes its interface with it") {
  const auto edge = start_lcore();
  submit_eventually(*edge, add_port{gateway(1, "tap:tap1")});
  shell("ip addr add 10.1.0.7/24 dev tap1 && ip link set tap1 up");
  ping_often("tap");
  REQUIRE(edge->submit(remove_port{1}).has_value());
  submit_eventually(*edge, add_port{gateway(1, "tap:tap2")});
  shell("! ip link show tap1 2> /dev/null");
}

TEST_CASE("a device that can't be opened is an error, and the lcore goes on") {
  make_veth("edge3", "host3");
  const auto edge = start_lcore();
  CHECK(edge->submit(add_port{gateway(0, "af_packet:absent")}).error() == submit_error::no_device);
  CHECK(edge->submit(add_port{gateway(0, "pigeon:edge3")}).error() == submit_error::no_device);
  auto huge = gateway(0, "af_packet:edge3");
  huge.mtu = 9000;
  CHECK(edge->submit(add_port{huge}).error() == submit_error::invalid);
  submit_eventually(*edge, add_port{gateway(0, "af_packet:edge3")});
  CHECK(ping_us("10.1.0.1") > 0);
  shell("ip link del edge3");
}
