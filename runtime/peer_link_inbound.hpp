#pragma once
// The receiving side of one connection of a peer_link. Internal to peer_link*.cpp.

#include "runtime/peer_link.hpp"

namespace glocal::runtime {

/// What belongs to the receiving side of one connection.
struct peer_link::inbound {
  std::shared_ptr<peer_connection> via;
  std::shared_ptr<receive_window> window;
  // Of the receiving thread.
  std::vector<std::string> names;
  /// The answers of this node's actors to requests of this connection.
  caf::strong_actor_ptr proxy;
  /// Requests of the peer that this node's actors work on. Under the link's mutex.
  std::size_t serving = 0;

  /// Null when the slot has no name.
  [[nodiscard]] const std::string* name_at(std::uint16_t slot) const noexcept {
    return slot < names.size() && !names[slot].empty() ? &names[slot] : nullptr;
  }
  /// As dead letters name it.
  [[nodiscard]] std::string sender_of(const frame_header& header, const std::string& node) const {
    const auto* name = name_at(header.sender);
    return (name != nullptr ? *name : "") + '@' + node;
  }
};

} // namespace glocal::runtime
