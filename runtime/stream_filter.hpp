#pragma once
// What may stand between a connection's frames and its socket: encryption. The seam of tcp_connection for it.
// Threading: the connection serialises the calls, which come from the I/O thread and from senders' threads.

#include "base/bytes.hpp"
#include "base/expected.hpp"

#include <functional>
#include <memory>
#include <string>

namespace glocal::runtime {

class stream_filter {
public:
  virtual ~stream_filter() = default;

  /// Takes what the socket gave. @return what it means, valid until the next call. @error ends the connection, with
  /// this reason.
  [[nodiscard]] virtual expected<byte_view, std::string> open(byte_view wire) = 0;
  /// Appends what the socket is to be given for `plain` to `wire`. REQUIRES: ready(). @error ends the connection.
  [[nodiscard]] virtual expected<void, std::string> seal(byte_view plain, bytes& wire) = 0;
  /// Appends what the filter itself has to say (its handshake) to `wire`. Called after each `open`, and at the start.
  virtual void say(bytes& wire) = 0;
  /// False during the filter's handshake: frames wait.
  [[nodiscard]] virtual bool ready() const = 0;
  /// Why a peer that calls itself `node` is not who it proved to be; empty when there is no objection.
  [[nodiscard]] virtual std::string objection(const std::string& node) const = 0;
  /// For people: what it speaks. REQUIRES: ready().
  [[nodiscard]] virtual std::string description() const = 0;
};

/// Makes the filter of one connection. @param dialled we opened the connection. @param node whom we dialled, or empty.
using stream_filter_factory = std::function<std::unique_ptr<stream_filter>(bool dialled, const std::string& node)>;

} // namespace glocal::runtime
