#pragma once
// The errors of the runtime as CAF errors. Each exists because a caller acts on it.

#include <caf/error.hpp>

#include <cstdint>
#include <string>

namespace glocal::runtime {

/// Why a request to another actor has no answer. Zero is CAF's "no error".
enum class transport_errc : std::uint8_t {
  /// No connection to the node could be made. The message was not delivered.
  unreachable = 1,
  /// No answer in time. The message may have been delivered.
  timeout,
  /// The connection went down with the request outstanding. The message may have been delivered.
  peer_gone,
  /// The node is there; nobody is registered under that name (any more).
  no_such_actor,
  /// The body exceeds max_body_bytes, or is no whole number of words. Not sent.
  too_large,
  /// The target answered with an error of its own, or the peers refuse each other; the text says which.
  refused,
  /// Too much is queued for or outstanding at that peer. Not sent; retry later.
  overloaded,
  /// A target's word for "this body is not what its kind promises". The router then closes the connection it came by.
  malformed,
};
[[nodiscard]] const char* to_string(transport_errc code);

/// Why a supervisor gave up.
enum class supervision_errc : std::uint8_t { restart_intensity = 1, child_failed };
[[nodiscard]] const char* to_string(supervision_errc code);

// Found by argument-dependent lookup when CAF makes an error of the enum, as in `return transport_errc::refused;`.
[[nodiscard]] caf::error make_error(transport_errc code);
[[nodiscard]] caf::error make_error(transport_errc code, std::string context);
[[nodiscard]] caf::error make_error(supervision_errc code, std::string context);

/// What a failed request means to its caller, whichever layer noticed: CAF's time-out is `timeout`, its "receiver
/// down" is `no_such_actor`, an actor's own error is `refused`.
[[nodiscard]] transport_errc as_transport_error(const caf::error& error);

/// "peer_gone: connection closed by e2"; for logs and for what a user reads.
[[nodiscard]] std::string describe(const caf::error& error);

} // namespace glocal::runtime
