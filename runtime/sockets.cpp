#include "runtime/sockets.hpp"

#include <cerrno>
#include <memory>
#include <system_error>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::runtime {
namespace {

struct free_addresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using addresses = std::unique_ptr<addrinfo, free_addresses>;

expected<addresses, std::string> numeric_address(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list); code != 0)
    return unexpected{std::string{gai_strerror(code)}};
  return addresses{list};
}

std::string kernel_reason(int code) {
  return std::generic_category().message(code);
}

/// What is small and waits for company would wait for the peer's delayed acknowledgement, 40 ms; outbox.hpp coalesces.
void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

} // namespace

expected<listening_socket, std::string> start_listening(const std::string& host, std::uint16_t port) {
  const auto where = numeric_address(host, port);
  if (!where)
    return unexpected{where.error()};
  const auto& address = **where;
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return unexpected{kernel_reason(errno)};
  const auto fail = [fd] {
    const auto reason = kernel_reason(errno);
    ::close(fd);
    return unexpected{reason};
  };
  // A restarted node must not wait for the time-wait of its former connections.
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, address.ai_addr, address.ai_addrlen) != 0 || ::listen(fd, SOMAXCONN) != 0)
    return fail();
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return fail();
  const auto raw = bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                               : reinterpret_cast<const sockaddr_in&>(bound).sin_port;
  return listening_socket{fd, ntohs(raw)};
}

expected<int, std::string> start_connecting(const std::string& host, std::uint16_t port) {
  const auto where = numeric_address(host, port);
  if (!where)
    return unexpected{where.error()};
  const auto& address = **where;
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return unexpected{kernel_reason(errno)};
  send_at_once(fd);
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
    const auto reason = kernel_reason(errno);
    ::close(fd);
    return unexpected{reason};
  }
  return fd;
}

expected<int, int> accept_waiting(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return unexpected{errno};
  send_at_once(fd);
  return fd;
}

std::string socket_error(int fd) {
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0 || code == 0)
    return {};
  return kernel_reason(code);
}

} // namespace glocal::runtime
