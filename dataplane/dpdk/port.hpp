#pragma once
// One DPDK ethdev with one rx and one tx queue, made at run time and gone with its object.
//
// Device words: `af_packet:IFACE` takes frames from an existing interface, `tap:IFACE` makes a new one, `vdev:ARGS` is
// any other virtual device in the words of DPDK's --vdev, as `vdev:net_null0` or `vdev:net_pcap0,rx_pcap=a.pcap`.
//
// Sleeping until a frame comes: net_tap gives its descriptor as the rx interrupt. net_af_packet has none, but its rx
// ring belongs to an AF_PACKET socket of this process, which epoll can wait on: readable exactly while a frame is in
// the ring. It is found as the process's packet socket that is bound to the interface. Other devices have to be polled.
//
// Threading: open and close on any one thread at a time (they take milliseconds); receive and send on the lcore only.

#include "base/expected.hpp"
#include "base/net.hpp"
#include "dataplane/wire/port_id.hpp"

#include <memory>
#include <string>

struct rte_mempool;

namespace glocal::dataplane {

/// Bytes of frame a packet buffer and a slot of net_af_packet's rings hold; longer ones arrive cut off and are dropped
/// as truncated_ip.
inline constexpr std::uint16_t max_port_mtu = 1900;

struct port_open_error {
  enum class code : std::uint8_t { unknown_driver, no_such_interface, driver_refused };

  code what = code::driver_refused;
  /// What to tell the operator.
  std::string message;
};

class port {
public:
  /// @param buffers where received frames go; outlives the port.
  [[nodiscard]] static expected<std::unique_ptr<port>, port_open_error> open(port_id id, const std::string& device,
                                                                             rte_mempool& buffers);
  port(const port&) = delete;
  port& operator=(const port&) = delete;
  /// Stops, closes and unplugs. REQUIRES: no lcore uses it any more.
  ~port();

  [[nodiscard]] port_id id() const noexcept { return id_; }
  /// DPDK's number for it.
  [[nodiscard]] std::uint16_t ethdev() const noexcept { return ethdev_; }
  /// The address for the edge to speak under: the device's own. A tap's belongs to the kernel's end of the link, so the
  /// edge takes the one next to it.
  [[nodiscard]] mac_address mac() const noexcept;
  /// Frames to other MAC addresses than mac() too.
  [[nodiscard]] bool enable_promiscuous() noexcept;
  /// Readable while frames wait; -1 when the port has to be polled.
  [[nodiscard]] int wake_descriptor() const noexcept { return wake_descriptor_; }

private:
  port(port_id id, std::string vdev, bool is_tap) : id_{id}, vdev_{std::move(vdev)}, is_tap_{is_tap} {}
  /// A packet socket hears every interface of its namespace until it is bound: what waits by now is not this port's.
  void discard_waiting();
  [[nodiscard]] bool start(rte_mempool& buffers);

  port_id id_;
  std::string vdev_;
  bool is_tap_;
  std::uint16_t ethdev_ = 0;
  bool is_plugged_ = false;
  int wake_descriptor_ = -1;
};

} // namespace glocal::dataplane
