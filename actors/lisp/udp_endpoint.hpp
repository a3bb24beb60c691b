#pragma once
// The Map-Server's sockets: UDP 4342 of IPv4 and IPv6. A thread of its own receives many datagrams with one call and
// hands them on as one batch; sending is one call for many, too.
//
// Bounded: at most max_batches are on their way to the receiver; beyond that datagrams wait in the kernel's buffer, and
// are lost there. Answers leave from the address that was asked.
// Threading: open and close by one owner; send by any thread.

#include "actors/lisp/map_server.hpp"
#include "base/expected.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace glocal::lisp {

class udp_endpoint {
public:
  static constexpr std::size_t max_batches = 8;
  static constexpr std::size_t batch_datagrams = 64;

  struct batch {
    std::vector<datagram> datagrams;
    /// Longer than max_datagram_bytes, and not kept.
    std::size_t oversized = 0;
    /// Held until the batch has been handled.
    std::shared_ptr<void> credit;
  };
  /// Called on the endpoint's thread.
  using receiver = std::function<void(batch&&)>;

  /// @param addresses to listen at; none: all of the machine. @error the kernel's reason, with the address.
  [[nodiscard]] static expected<std::unique_ptr<udp_endpoint>, std::string>
  open(const std::vector<ip_address>& addresses, std::uint16_t port, receiver to);
  ~udp_endpoint();
  udp_endpoint(const udp_endpoint&) = delete;
  udp_endpoint& operator=(const udp_endpoint&) = delete;

  /// Sends what the kernel takes at once; the rest is counted.
  void send(const std::vector<datagram>& messages);
  [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_.load(std::memory_order_relaxed); }
  /// Of the first socket: of interest when it was opened with port 0.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
  struct listening {
    int fd = -1;
    ip_family family = ip_family::v4;
    /// Unspecified when it listens at all.
    ip_address address;
  };
  struct credits;
  struct buffers;

  udp_endpoint() = default;
  [[nodiscard]] expected<void, std::string> listen(const ip_address& address, std::uint16_t port);
  void run();
  [[nodiscard]] bool receive(const listening& from, buffers& room);
  [[nodiscard]] const listening* socket_for(const datagram& message) const;

  receiver to_;
  std::vector<listening> sockets_;
  int wake_ = -1;
  std::uint16_t port_ = 0;
  std::shared_ptr<credits> credits_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> unsent_{0};
  std::thread thread_;
};

} // namespace glocal::lisp
