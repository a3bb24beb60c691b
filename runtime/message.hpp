#pragma once
// What actors of different nodes say to each other: an address and a message of one kind.
//
// A message's body is one Cap'n Proto message in the standard stream framing (segment table first), so its size is a
// multiple of eight; it may be empty. Bodies are immutable and shared: sending to an actor of the same node copies
// nothing, and what came from a peer is a slice of what was read from the socket. While any of a slice lives, all that
// was read with it does, and counts as not handled yet (flow_control.hpp): who keeps a body for longer than it takes to
// handle it keeps a copy.
// These types travel between actors of one process only (CAF's own remoting is not used between nodes).

#include "base/bytes.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace glocal::runtime {

/// The space of message kinds: each family owns 256 values and documents them in its own header.
namespace kind_ranges {
inline constexpr std::uint16_t transport = 0x0000, store = 0x0100, edge = 0x0200, mano = 0x0300, inspect = 0x0400,
                               test = 0xff00;
}

/// An actor of some node: the node's name from the cluster file, and the actor's name in that node's directory
/// ("store", "edge/e1/service/web").
struct address {
  std::string node, actor;

  auto operator<=>(const address&) const = default;
};

[[nodiscard]] inline std::string to_string(const address& where) {
  return where.actor + '@' + where.node;
}

/// Largest body a frame carries. A whole scan page or class digest fits; what is bigger is cut by its family.
inline constexpr std::size_t max_body_bytes = std::size_t{1} << 20;

/// Part of immutable bytes that somebody else may have other parts of.
class shared_slice {
public:
  shared_slice() = default;
  /// REQUIRES: `bytes` lives as long as `owner`, and is aligned to eight for Cap'n Proto readers.
  shared_slice(std::shared_ptr<const void> owner, byte_view bytes) noexcept : owner_{std::move(owner)}, bytes_{bytes} {}
  explicit shared_slice(shared_bytes whole) noexcept : bytes_{whole ? byte_view{*whole} : byte_view{}} {
    owner_ = std::move(whole);
  }

  [[nodiscard]] byte_view view() const noexcept { return bytes_; }

private:
  std::shared_ptr<const void> owner_;
  byte_view bytes_;
};

struct wire_message {
  std::uint16_t kind = 0;
  shared_slice body = {};

  [[nodiscard]] byte_view view() const noexcept { return body.view(); }
  /// The body as the codecs take it.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(view().data()), view().size()};
  }
};

/// A message around encoded bytes. Cost: one allocation and, for views, one copy.
[[nodiscard]] inline wire_message make_message(std::uint16_t kind, bytes&& body) {
  return {kind, shared_slice{std::make_shared<const bytes>(std::move(body))}};
}
[[nodiscard]] inline wire_message make_message(std::uint16_t kind, byte_view body) {
  return {kind, shared_slice{std::make_shared<const bytes>(body.begin(), body.end())}};
}
[[nodiscard]] inline wire_message make_message(std::uint16_t kind, std::string_view body = {}) {
  return make_message(kind, std::as_bytes(std::span{body}));
}

} // namespace glocal::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::address)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::wire_message)
