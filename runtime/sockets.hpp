#pragma once
// Sockets that never block. Internal to runtime/.

#include "base/expected.hpp"

#include <cstdint>
#include <string>

namespace glocal::runtime {

struct listening_socket {
  int fd = -1;
  std::uint16_t port = 0;
};

/// Listens on a numeric address; port 0 lets the kernel choose. @error the kernel's reason.
[[nodiscard]] expected<listening_socket, std::string> start_listening(const std::string& host, std::uint16_t port);

/// A socket whose connection to a numeric address is under way; never blocks. It becomes writable when connected and
/// reports an error when it can't. @error the kernel's reason, when it is known at once.
[[nodiscard]] expected<int, std::string> start_connecting(const std::string& host, std::uint16_t port);

/// The next connection that waits at a listening socket. @error errno; EAGAIN when none waits.
[[nodiscard]] expected<int, int> accept_waiting(int listener);

/// Why the socket is broken, as the kernel says; empty when it does not.
[[nodiscard]] std::string socket_error(int fd);

} // namespace glocal::runtime
