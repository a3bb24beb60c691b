#include "dataplane/dpdk/port.hpp"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

namespace glocal::dataplane {
namespace {

/// Frames a ring holds: what 20 TCP connections send at 100 kpps while the lcore waits 20 ms for a core. With 512,
/// Figure 3 on two cores lost a percent of its segments here, and now and then a SYN. Each ring is 4 MiB of kernel
/// memory.
constexpr std::uint16_t ring_frames = 2048;

/// The AF_PACKET socket of this process bound to `interface`; -1 if there is none.
int packet_socket_of(unsigned interface) {
  std::error_code error;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd", error}) {
    const auto descriptor = std::stoi(each.path().filename());
    int domain = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_PACKET)
      continue;
    sockaddr_ll bound{};
    length = sizeof bound;
    if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &length) == 0 &&
        bound.sll_ifindex == static_cast<int>(interface))
      return descriptor;
  }
  return -1;
}

unexpected<port_open_error> failure(port_open_error::code what, std::string message) {
  return unexpected{port_open_error{what, std::move(message)}};
}

} // namespace

expected<std::unique_ptr<port>, port_open_error> port::open(port_id id, const std::string& device,
                                                            rte_mempool& buffers) {
  const auto colon = device.find(':');
  const auto driver = device.substr(0, colon);
  const auto rest = colon == std::string::npos ? std::string{} : device.substr(colon + 1);
  const auto number = std::to_string(id);
  std::string vdev, arguments;
  if (driver == "af_packet") {
    if (if_nametoindex(rest.c_str()) == 0)
      return failure(port_open_error::code::no_such_interface, "there is no interface \"" + rest + "\" here");
    vdev = "net_af_packet" + number;
    arguments = "iface=" + rest + ",framecnt=" + std::to_string(ring_frames);
  } else if (driver == "tap") {
    vdev = "net_tap" + number;
    arguments = "iface=" + rest;
  } else if (driver == "vdev") {
    const auto comma = rest.find(',');
    vdev = rest.substr(0, comma);
    arguments = comma == std::string::npos ? std::string{} : rest.substr(comma + 1);
  } else
    return failure(port_open_error::code::unknown_driver,
                   "device \"" + device + "\" is not af_packet:IFACE, tap:IFACE or vdev:ARGUMENTS");

  std::unique_ptr<port> made{new port{id, vdev, driver == "tap"}};
  if (const int error = rte_eal_hotplug_add("vdev", vdev.c_str(), arguments.c_str()); error != 0)
    return failure(port_open_error::code::driver_refused,
                   "DPDK refused device \"" + device + "\": " + rte_strerror(-error));
  made->is_plugged_ = true;
  if (!made->start(buffers))
    return failure(port_open_error::code::driver_refused,
                   "device \"" + device + "\" can't be started: " + rte_strerror(rte_errno));
  if (driver == "af_packet") {
    made->discard_waiting();
    made->wake_descriptor_ = packet_socket_of(if_nametoindex(rest.c_str()));
  } else if (made->is_tap_)
    made->wake_descriptor_ = rte_eth_dev_rx_intr_ctl_q_get_fd(made->ethdev_, 0);
  return made;
}

bool port::start(rte_mempool& buffers) {
  if (rte_eth_dev_get_port_by_name(vdev_.c_str(), &ethdev_) != 0)
    return false;
  rte_eth_conf configuration{};
  configuration.intr_conf.rxq = is_tap_ ? 1 : 0;
  return rte_eth_dev_configure(ethdev_, 1, 1, &configuration) == 0 &&
         rte_eth_rx_queue_setup(ethdev_, 0, ring_frames, SOCKET_ID_ANY, nullptr, &buffers) == 0 &&
         rte_eth_tx_queue_setup(ethdev_, 0, ring_frames, SOCKET_ID_ANY, nullptr) == 0 &&
         rte_eth_dev_start(ethdev_) == 0;
}

void port::discard_waiting() {
  std::array<rte_mbuf*, 32> stray;
  for (std::size_t left = ring_frames; left > 0;) {
    const auto count = rte_eth_rx_burst(ethdev_, 0, stray.data(), stray.size());
    if (count == 0)
      return;
    rte_pktmbuf_free_bulk(stray.data(), count);
    left -= std::min<std::size_t>(left, count);
  }
}

port::~port() {
  if (!is_plugged_)
    return;
  (void)rte_eth_dev_stop(ethdev_);
  (void)rte_eth_dev_close(ethdev_);
  (void)rte_eal_hotplug_remove("vdev", vdev_.c_str());
}

mac_address port::mac() const noexcept {
  rte_ether_addr address{};
  (void)rte_eth_macaddr_get(ethdev_, &address);
  mac_address out;
  std::copy_n(address.addr_bytes, out.octets.size(), out.octets.begin());
  if (is_tap_)
    out.octets.back() ^= 1;
  return out;
}

bool port::enable_promiscuous() noexcept {
  return rte_eth_promiscuous_enable(ethdev_) == 0;
}

} // namespace glocal::dataplane
