#pragma once
// What a node answers over HTTP on its Unix socket: the one way the command line and other programs read it.
//
// GET /api/v1/NAME answers JSON; errors are {"error": text} with a 4xx or 5xx status. The socket belongs to the node's
// user (mode 0600), so who may connect may ask.
// Threading: handlers run on the server's own threads, at most two at once; they must be thread-safe.

#include "base/expected.hpp"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace glocal::node {

class http_api {
public:
  /// Makes the answer; an exception becomes a 500 with its text.
  using handler = std::function<nlohmann::json()>;

  /// @param handlers by name: "status" answers GET /api/v1/status.
  http_api(std::filesystem::path socket, std::map<std::string, handler> handlers);
  /// Stops, and removes the socket.
  ~http_api();
  http_api(const http_api&) = delete;
  http_api& operator=(const http_api&) = delete;

  /// Listens from now on. A socket a dead process left is replaced. @error text for the operator.
  [[nodiscard]] expected<void, std::string> start();

private:
  struct server;
  const std::filesystem::path socket_;
  std::unique_ptr<server> server_;
};

} // namespace glocal::node
