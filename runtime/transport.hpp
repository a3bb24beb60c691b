#pragma once
// Messages to actors of any node. Actors code against this page; tcp_transport.hpp and in_memory_network.hpp make the
// `transport` value they are given.
//
//   runtime::request(this, transport_, {"s1", "store"}, std::move(message), 500ms)
//       .then([=, this](runtime::wire_message& reply) { … },
//             [=, this](caf::error& error) { switch (runtime::as_transport_error(error)) … });
//
// An actor that is registered in its node's directory receives
//   (wire_request_atom, std::string from_node, wire_message) → caf::result<wire_message>
//   (wire_cast_atom, std::string from_node, wire_message)
// and answers a body it can't decode with transport_errc::malformed.
//
// Every request ends: with the reply, or with an error as soon as it is known (the peer went, nobody there), at the
// latest at its time-out. A cast has no answer; a lost one is counted. Between two actors messages keep their order
// while the connection lasts.
//
// The router is an actor; these are its messages, for those who want no helper:
//   (request_atom, address, wire_message, caf::timespan timeout) → wire_message; without the time-out: default_timeout
//   (cast_atom, address, wire_message)
//   (subscribe_peers_atom): the sender gets (peer_up_atom, std::string node) for each connected peer, now and later,
//   and
//       (peer_down_atom, std::string node, std::string reason); ends with the subscriber
//   (add_peer_atom, std::string node, std::string host, std::uint16_t port): where a node listens
//   (stats_atom) → transport_stats

#include "runtime/atoms.hpp"
#include "runtime/directory.hpp"
#include "runtime/errors.hpp"
#include "runtime/message.hpp"

#include <caf/actor.hpp>
#include <caf/send.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace glocal::runtime {

inline constexpr std::chrono::milliseconds default_timeout{5000};

/// A node's access to all others: a value that is handed to each actor that talks across nodes.
struct transport {
  caf::actor router;
  /// Name of this node.
  std::string node;
  /// Who is here; messages to this node's own actors go straight to them.
  std::shared_ptr<glocal::runtime::directory> directory;
};

/// Sends `message` to `to` and answers as any CAF request: `.then(reply handler, error handler)`.
template <class Self>
[[nodiscard]] auto request(Self* self, const transport& via, const address& to, wire_message message,
                           std::chrono::milliseconds timeout = default_timeout) {
  if (to.node == via.node)
    if (const auto target = via.directory->find(to.actor))
      return self->request(target, timeout, wire_request_atom_v, via.node, std::move(message));
  // The router knows better why there is no answer; CAF's own time-out is for the case that the router itself fails.
  constexpr std::chrono::milliseconds grace{500};
  return self->request(via.router, timeout + grace, request_atom_v, to, std::move(message), caf::timespan{timeout});
}

/// Sends `message` to `to`; nobody answers.
template <class Self>
void cast(Self* self, const transport& via, const address& to, wire_message message) {
  if (to.node == via.node)
    if (const auto target = via.directory->find(to.actor)) {
      self->send(target, wire_cast_atom_v, via.node, std::move(message));
      return;
    }
  self->send(via.router, cast_atom_v, to, std::move(message));
}

/// From now on the actor `self` receives peer_up_atom and peer_down_atom.
template <class Self>
void subscribe_peers(Self* self, const transport& via) {
  self->send(via.router, subscribe_peers_atom_v);
}

/// Bounds of one router; the defaults are what nodes run with.
struct transport_limits {
  /// Queued for one peer and not yet taken by the kernel; beyond it requests fail as `overloaded`, casts are dropped.
  std::size_t max_queued_bytes = std::size_t{8} << 20;
  /// Requests outstanding at one peer.
  std::size_t max_outstanding = 65536;
  /// Connections that have not said who they are.
  std::size_t max_unidentified = 64;
  std::chrono::milliseconds heartbeat_interval{2000};
  /// A peer that is silent for this long is gone: three heartbeats.
  std::chrono::milliseconds silence_limit{6000};
  /// From connect to the peer's hello.
  std::chrono::milliseconds connect_timeout{2000};
  /// Pause between attempts: doubles up to the maximum, each with up to half of it taken off at random.
  std::chrono::milliseconds backoff_min{100}, backoff_max{2000};
  /// A lost peer that nobody talked to for this long is not dialled again.
  std::chrono::milliseconds interest{60000};
};

/// Who this node is to its peers.
struct transport_identity {
  std::string node;
  /// Nodes of different clusters refuse each other.
  std::string cluster;
  /// Grows with each start of the node; a peer replaces the connection of an older one.
  std::uint64_t incarnation = 0;
};

struct transport_stats {
  struct traffic {
    std::uint64_t messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  };
  struct peer {
    bool connected = false;
    std::uint64_t connects = 0, queued_bytes = 0, outstanding = 0;
    /// Why the last connection ended; empty when none did.
    std::string last_reason;
    /// By kind of message.
    std::map<std::uint16_t, traffic> kinds;
  };
  std::map<std::string, peer> peers;
  /// Connections closed because of what the other side sent.
  std::uint64_t invalid_frames = 0;
  /// Hellos refused, on either side.
  std::uint64_t refusals = 0;
  /// Casts that were not sent: peer unreachable or overloaded.
  std::uint64_t lost_casts = 0;
};

} // namespace glocal::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::transport_stats)
