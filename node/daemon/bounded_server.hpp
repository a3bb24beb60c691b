#pragma once
// An HTTP server for strangers: cpp-httplib's, with bounds on everything one who connects can take.
//
//   connections at once     max_connections; further ones get 503
//   a request               max_head_bytes of headers, max_body_bytes of body, whole within request_time
//   between two requests    idle_time, at most max_requests_per_connection
//   an answer               write_grace, then at least min_write_rate
//
// httplib itself bounds the wait for a single byte, which one byte every four seconds gets around for ever.
//
// Each connection has a thread while it is served, made when it is needed: one that waits for the store keeps nobody
// else waiting. One that becomes a stream of events (hand_over) leaves its thread.
// Threading: start and stop by one thread; handlers run on up to `threads` of its own.

#include "base/expected.hpp"
#include "node/config.hpp"
#include "node/daemon/event_streams.hpp"

#include <httplib.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace glocal::node {

class bounded_server : public httplib::Server {
public:
  struct limits {
    std::size_t threads = 64;
    /// Being served or waiting for a thread.
    std::size_t max_connections = 64;
    std::size_t max_head_bytes = std::size_t{32} << 10, max_body_bytes = std::size_t{1} << 20;
    std::size_t max_requests_per_connection = 100;
    std::chrono::milliseconds request_time{5000}, idle_time{5000}, write_grace{10000};
    std::size_t min_write_bytes_per_s = std::size_t{64} << 10;
  };

  bounded_server() : bounded_server{limits{}} {}
  /// @param streams where connections go that are handed over; null: none is.
  explicit bounded_server(const limits& bounds, event_streams* streams = nullptr);
  /// Ends connections under way, too.
  ~bounded_server() override;

  /// Listens from now on; port 0 lets the kernel choose. @return the port. @error text for the operator.
  [[nodiscard]] expected<std::uint16_t, std::string> start(const endpoint& where);
  /// The same on a Unix socket that only its owner may use. What is at `path` is replaced.
  [[nodiscard]] expected<void, std::string> start(const std::filesystem::path& socket);

  /// By a handler: this request's connection is `stream`'s from now on, whatever the handler answers.
  static void hand_over(std::shared_ptr<event_stream> stream);

private:
  bool process_and_close_socket(socket_t sock) override;
  /// False when the socket was handed over.
  bool serve(socket_t sock);
  void listen_on_a_thread();

  const limits limits_;
  event_streams* const streams_;
  std::thread acceptor_;
  std::mutex mutex_;
  /// Guarded by mutex_: so that the end does not wait for slow clients.
  std::set<socket_t> open_;
  bool ending_ = false;
};

} // namespace glocal::node
