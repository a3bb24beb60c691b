#pragma once
// Asks a node's control API: HTTP over its Unix socket.

#include "base/expected.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace glocal::node {

struct ask_error {
  enum class kind {
    /// No node listens there, or it did not answer in time.
    unreachable,
    /// It answered with another status than 200.
    refused,
  } what;
  /// HTTP status of a refusal.
  int status = 0;
  /// For people.
  std::string message;
};

/// `GET target`: the body. Blocks for at most about twice `timeout`.
[[nodiscard]] expected<std::string, ask_error> ask_node(const std::filesystem::path& socket, const std::string& target,
                                                        std::chrono::milliseconds timeout);

/// `POST target` with a JSON body: the answer's body. Blocks for at most about twice `timeout`.
[[nodiscard]] expected<std::string, ask_error> tell_node(const std::filesystem::path& socket, const std::string& target,
                                                         const std::string& body, std::chrono::milliseconds timeout);

/// An answer of whatever status.
struct node_answer {
  int status = 0;
  std::string body;
};
/// What became of a call that has no answer.
enum class call_failure {
  /// It did not reach the node.
  not_sent,
  /// It may have been carried out.
  unknown,
};
/// `GET target`, or `POST target` with `body`. Blocks for at most about twice `timeout`.
[[nodiscard]] expected<node_answer, call_failure> call_node(const std::filesystem::path& socket,
                                                            const std::string& target,
                                                            const std::optional<std::string>& body,
                                                            std::chrono::milliseconds timeout);

/// `GET target` whose answer is a stream that ends with its connection; gives what comes to `take`. Ends when the node
/// does, when `take` returns false, when nothing came for `silence`, or when `go_on`, which is asked every 100 ms, says
/// so. @return the answer's status; its body, when that is not 200.
[[nodiscard]] expected<node_answer, call_failure>
stream_node(const std::filesystem::path& socket, const std::string& target, std::chrono::milliseconds silence,
            const std::function<bool(std::string_view)>& take, const std::function<bool()>& go_on);

} // namespace glocal::node
