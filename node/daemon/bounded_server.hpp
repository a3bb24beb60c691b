#pragma once
// An HTTP server for strangers: cpp-httplib's, with bounds on everything one who connects can take.
//
//   connections at once     max_connections; further ones get 503
//   a request               max_request_bytes with its headers, whole within request_time
//   between two requests    idle_time, at most max_requests_per_connection
//   an answer               write_grace, then at least min_write_rate
//
// httplib itself bounds the wait for a single byte, which one byte every four seconds gets around for ever.
// Threading: start and stop by one thread; handlers run on up to `threads` of its own.

#include "base/expected.hpp"
#include "node/config.hpp"

#include <httplib.h>

#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace glocal::node {

class bounded_server : public httplib::Server {
public:
  struct limits {
    std::size_t threads = 8;
    /// Being served or waiting for a thread.
    std::size_t max_connections = 24;
    std::size_t max_request_bytes = std::size_t{32} << 10;
    std::size_t max_requests_per_connection = 100;
    std::chrono::milliseconds request_time{5000}, idle_time{5000}, write_grace{10000};
    std::size_t min_write_bytes_per_s = std::size_t{64} << 10;
  };

  bounded_server() : bounded_server{limits{}} {}
  explicit bounded_server(const limits& bounds);
  /// Ends connections under way, too.
  ~bounded_server() override;

  /// Listens from now on; port 0 lets the kernel choose. @return the port. @error text for the operator.
  [[nodiscard]] expected<std::uint16_t, std::string> start(const endpoint& where);

private:
  bool process_and_close_socket(socket_t sock) override;
  void serve(socket_t sock);

  const limits limits_;
  std::thread acceptor_;
  std::mutex mutex_;
  /// Guarded by mutex_: so that the end does not wait for slow clients.
  std::set<socket_t> open_;
  bool ending_ = false;
};

} // namespace glocal::node
