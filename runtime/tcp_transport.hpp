#pragma once
// The transport between processes: one TCP connection per pair of nodes, frames as in frame.hpp.
//
// One thread with epoll reads all connections of the node and writes what their senders did not write themselves. It
// connects on demand, says hello, keeps connections alive with heartbeats and comes back after a loss while somebody is
// interested.
// When both sides connect at once, the connection made by the node with the lower name stays.
// Threading: the functions here may be called from any thread that is no actor.

#include "base/expected.hpp"
#include "runtime/stream_filter.hpp"
#include "runtime/transport.hpp"

#include <caf/actor_system.hpp>

#include <memory>
#include <string>
#include <vector>

namespace glocal::runtime {

struct tcp_peer {
  std::string node;
  /// Numeric IPv4 or IPv6 address: resolving names would block the I/O thread.
  std::string host;
  std::uint16_t port = 0;
};

struct tcp_transport_options {
  transport_identity self;
  /// Where peers connect to; port 0 lets the kernel choose. Numeric.
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;
  std::vector<tcp_peer> peers = {};
  transport_limits limits = {};
  std::shared_ptr<glocal::runtime::directory> directory = nullptr;
  /// Encryption of each connection; none without it.
  stream_filter_factory make_filter = nullptr;
};

struct tcp_transport {
  runtime::transport transport;
  /// The port it listens on.
  std::uint16_t port = 0;
};

/// Starts the router of this node; it is in service when this returns. It ends by an exit message (stop_and_wait) and
/// then fails all that is outstanding.
/// @error text for the operator: the address and why it can't be listened on.
/// REQUIRES: `options.directory` is set.
[[nodiscard]] expected<tcp_transport, std::string> spawn_tcp_transport(caf::actor_system& system,
                                                                       const tcp_transport_options& options);

} // namespace glocal::runtime
