#pragma once
// Asks a node's control API: HTTP over its Unix socket.

#include "base/expected.hpp"

#include <chrono>
#include <filesystem>
#include <string>

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

} // namespace glocal::node
