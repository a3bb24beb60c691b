#pragma once
// What a node answers over HTTP on its Unix socket, and over TCP where the cluster file says so: the one way the
// command line and other programs read it.
//
// GET /api/v1/NAME answers JSON, POST /api/v1/NAME with a JSON object changes something and answers JSON, and there are
// pages of plain text; errors are {"error": text} with a 4xx or 5xx status. The socket belongs to the node's user (mode
// 0600), so who may connect may ask; who may over TCP says api_access.hpp.
// Threading: handlers run on the servers' own threads, several at once; they must be thread-safe.

#include "base/expected.hpp"
#include "node/config.hpp"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace glocal::node {

class event_stream;

/// Thrown by a handler for what the caller did wrong.
struct api_refusal : std::runtime_error {
  /// @param what for programs: `"code"` in the answer; empty: none.
  api_refusal(int http_status, const std::string& why, std::string what = {})
      : std::runtime_error{why}, status{http_status}, code{std::move(what)} {}
  int status;
  std::string code;
};

/// What stands behind the `?` of a request, decoded.
using api_query = std::map<std::string, std::string>;

/// A request whose handler says everything of its answer.
struct api_call {
  api_query query;
  /// Of a POST.
  std::string body{};
  /// Of a stream that is asked for again: the last id its client has seen.
  std::string last_event_id{};
};
struct api_answer {
  int status = 200;
  std::string body{};
  const char* type = "application/json";
};

/// Each makes the answer; an api_refusal becomes its status, another exception a 500, with its text.
struct api_handlers {
  /// By name: "status" answers GET /api/v1/status.
  std::map<std::string, std::function<nlohmann::json()>> get;
  /// The same, written as valid JSON by the handler, which is told the query: for answers too large to be made as
  /// values, and those one wants a part of.
  std::map<std::string, std::function<std::string(const api_query&)>> get_written{};
  /// By name, called with the body: a JSON object of at most `max_post_bytes`.
  std::map<std::string, std::function<nlohmann::json(const nlohmann::json&)>> post;
  /// By name. Bodies of calls may be as large as the server takes them.
  std::map<std::string, std::function<api_answer(const api_call&)>> get_call{}, post_call{};
  /// By name: GET starts a stream of events, which the handler gives to who writes them.
  std::map<std::string, std::function<void(const api_call&, const std::shared_ptr<event_stream>&)>> stream{};
  /// By path: "/metrics" → text in the Prometheus exposition format.
  std::map<std::string, std::function<std::string()>> text;
};

/// The same answers over TCP.
struct tcp_access {
  /// Port 0 lets the kernel choose.
  endpoint listen;
  /// What callers show; empty: `listen` is loopback, and nothing is changed over it.
  std::string token;
};

class http_api {
public:
  static constexpr std::size_t max_post_bytes = 4096;

  http_api(std::filesystem::path socket, const api_handlers& handlers, std::optional<tcp_access> tcp = std::nullopt);
  /// Stops, and removes the socket.
  ~http_api();
  http_api(const http_api&) = delete;
  http_api& operator=(const http_api&) = delete;

  /// Listens from now on. A socket a dead process left is replaced. @error text for the operator.
  [[nodiscard]] expected<void, std::string> start();
  /// The port it listens on; 0 without TCP.
  [[nodiscard]] std::uint16_t tcp_port() const noexcept { return tcp_port_; }

private:
  struct server;
  const std::filesystem::path socket_;
  const std::optional<tcp_access> tcp_;
  std::uint16_t tcp_port_ = 0;
  std::unique_ptr<server> server_;
};

} // namespace glocal::node
