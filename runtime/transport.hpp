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
// and answers a body it can't decode with transport_errc::malformed. Who gets casts by the ten thousand takes them in
// batches (cast_batch.hpp).
//
// Every request ends: with the reply, or with an error as soon as it is known (the peer went, nobody there), at the
// latest at its time-out. A cast has no answer; a lost one is counted. Between two actors messages keep their order
// while the connection lasts. How much may be under way: flow_control.hpp.
//
// Messages leave on the thread of the actor that sends them, and replies on that of the actor that answers: no actor
// stands between, which would cost each message two changes of threads and two messages of CAF. The router only looks
// after connections; its messages:
//   (subscribe_peers_atom): the sender gets (peer_up_atom, std::string node) for each connected peer, now and later,
//   and
//       (peer_down_atom, std::string node, std::string reason); ends with the subscriber
//   (subscribe_suspicion_atom): the sender gets (peer_suspect_atom, std::string node) when a peer is silent for so long
//       that it is probably gone, and (peer_trusted_atom, std::string node) when it is heard of again
//   (add_peer_atom, std::string node, std::string host, std::uint16_t port): where a node listens
//   (stats_atom) → transport_stats

#include "runtime/atoms.hpp"
#include "runtime/directory.hpp"
#include "runtime/errors.hpp"
#include "runtime/message.hpp"

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/duration.hpp>
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

/// Where messages for other nodes leave. Thread-safe; for actors by the functions below.
class outbound {
public:
  virtual ~outbound() = default;

  /// Sends a cast. False when it is lost for certain: peer unreachable, window full, body too large.
  virtual bool cast(const address& to, std::string_view sender, std::uint16_t kind, byte_view body) = 0;
  /// Tells `who` as when_writable does.
  virtual void when_writable(const std::string& node, const caf::actor& who) = 0;
  /// Takes (request_atom, address, wire_message, caf::timespan timeout) on the sender's thread and sees to the answer.
  [[nodiscard]] virtual const caf::actor& requests() const noexcept = 0;
};

/// A node's access to all others: a value that is handed to each actor that talks across nodes.
struct transport {
  /// Looks after the connections.
  caf::actor router;
  /// Name of this node.
  std::string node;
  /// Who is here; messages to this node's own actors go straight to them.
  std::shared_ptr<glocal::runtime::directory> directory;
  std::shared_ptr<outbound> out;
};

/// Sends `message` to `to` and answers as any CAF request: `.then(reply handler, error handler)`.
template <class Self>
[[nodiscard]] auto request(Self* self, const transport& via, const address& to, wire_message message,
                           std::chrono::milliseconds timeout = default_timeout) {
  if (to.node == via.node)
    if (const auto target = via.directory->find(to.actor))
      return self->request(target, timeout, wire_request_atom_v, via.node, std::move(message));
  // No time-out of CAF's: the transport has it, with a better reason, and it would double the cost of a request.
  return self->request(via.out->requests(), caf::infinite, request_atom_v, to, std::move(message),
                       caf::timespan{timeout});
}

/// Sends `message` to `to`; nobody answers. False when it is lost for certain; such are counted.
template <class Self>
bool cast(Self* self, const transport& via, const address& to, wire_message message) {
  if (to.node == via.node)
    if (const auto target = via.directory->find(to.actor)) {
      self->send(target, wire_cast_atom_v, via.node, std::move(message));
      return true;
    }
  return via.out->cast(to, self->name(), message.kind, message.view());
}

/// The actor `self` receives (writable_atom, std::string node) once: when at least half of the window of that peer is
/// free, which may be now; also when there is no connection, as then nothing is gained by waiting.
template <class Self>
void when_writable(Self* self, const transport& via, const std::string& node) {
  via.out->when_writable(node, caf::actor_cast<caf::actor>(self));
}

/// From now on the actor `self` receives peer_up_atom and peer_down_atom.
template <class Self>
void subscribe_peers(Self* self, const transport& via) {
  self->send(via.router, subscribe_peers_atom_v);
}

/// From now on the actor `self` receives peer_suspect_atom and peer_trusted_atom.
template <class Self>
void subscribe_suspicion(Self* self, const transport& via) {
  self->send(via.router, subscribe_suspicion_atom_v);
}

/// Bounds of one router; the defaults are what nodes run with.
struct transport_limits {
  /// What a peer may have under way to this node, not handled yet; the peer's own value bounds what we send it. Beyond
  /// it requests fail as `overloaded` and casts are lost. 12 000 small messages: several milliseconds of a flood, and
  /// with what mailboxes and both sides' buffers add to it well below 16 MB.
  std::size_t window_bytes = std::size_t{4} << 20;
  /// Of replies that wait for the socket; beyond it a request is answered as `overloaded`.
  std::size_t max_queued_bytes = std::size_t{8} << 20;
  /// Requests outstanding at one peer.
  std::size_t max_outstanding = 65536;
  /// Connections that have not said who they are.
  std::size_t max_unidentified = 64;
  std::chrono::milliseconds heartbeat_interval{2000};
  /// A peer that is silent for this long is gone: three heartbeats.
  std::chrono::milliseconds silence_limit{6000};
  /// Suspicion (suspicion.hpp) from which on subscribers are told: wrong once in 10^8 heartbeats.
  double suspect_level = 8;
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
    /// Sent and not yet handled, as flow_control.hpp counts.
    std::uint64_t under_way_bytes = 0;
    /// How likely it is that the peer is gone: suspicion.hpp. 0 for one that is not connected.
    double suspicion = 0;
    /// Casts to it that were lost for certain.
    std::uint64_t lost_casts = 0;
    /// Why the last connection ended; empty when none did.
    std::string last_reason;
    /// What the connection is encrypted by, as `TLSv1.3 TLS_AES_128_GCM_SHA256`; empty when it is not.
    std::string encryption;
    /// By kind of message.
    std::map<std::uint16_t, traffic> kinds;
  };
  std::map<std::string, peer> peers;
  /// Connections closed because of what the other side sent.
  std::uint64_t invalid_frames = 0;
  /// Hellos refused, on either side.
  std::uint64_t refusals = 0;
  /// Casts that were not sent: peer unreachable, its window full.
  std::uint64_t lost_casts = 0;
};

} // namespace glocal::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::transport_stats)
