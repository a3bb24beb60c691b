#pragma once
// What all routers share: outstanding requests, delivery to this node's actors, subscriptions, reconnecting, counters.
// Internal to runtime/: tcp_transport.cpp and in_memory_network.cpp derive from it, each in its one file.
//
// Invariants: each accepted request is answered exactly once, at the latest by the sweep after its deadline; a reply is
// taken only from the peer that was asked.
// Threading: an actor.

#include "runtime/envelope_codec.hpp"
#include "runtime/frame.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"

#include <caf/all.hpp>

#include <functional>
#include <random>
#include <unordered_map>

namespace glocal::runtime {

/// How late a time-out may be noticed. The sweep runs only while requests are outstanding.
inline constexpr std::chrono::milliseconds sweep_interval{50};

/// One other node, from the first time it was heard of. Never erased, so references to it stay valid.
struct router_peer {
  using time_point = caf::actor_clock::time_point;

  struct outstanding_request {
    caf::response_promise promise;
    time_point deadline;
  };

  explicit router_peer(std::string name) : node{std::move(name)} {}

  const std::string node;
  bool up = false;
  /// Counts connections, so that replies computed for an old one are not sent on the next.
  std::uint64_t epoch = 0;
  std::uint64_t next_correlation = 1;
  std::unordered_map<std::uint64_t, outstanding_request> outstanding;
  /// Requests of the peer that this node's actors work on.
  std::size_t serving = 0;
  std::chrono::milliseconds backoff{0};
  time_point next_attempt{}, last_used{};
  bool retry_scheduled = false;
  transport_stats::peer stats;
};

/// @tparam Base what CAF hosts the router on. @tparam Peer derived from router_peer.
template <class Base, class Peer>
class router : public observed<Base> {
public:
  router(caf::actor_config& cfg, transport_identity self, std::shared_ptr<directory> actors,
         const transport_limits& limits)
      : observed<Base>{cfg, "router", "router/" + self.node}, self_{std::move(self)},
        directory_{std::move(actors)}, limits_{limits}, random_{hash_text(self_.node, self_.incarnation)} {}

  /// However the router ends, nobody waits for it.
  void on_exit() override {
    for (auto& [node, peer] : peers_)
      fail_outstanding(peer, peer.up ? transport_errc::peer_gone : transport_errc::unreachable,
                       self_.node + " is shutting down");
  }

  [[nodiscard]] state_entries state_summary() const override {
    state_entries out{{"incarnation", std::to_string(self_.incarnation)},
                      {"invalid frames", std::to_string(stats_.invalid_frames)},
                      {"refusals", std::to_string(stats_.refusals)},
                      {"lost casts", std::to_string(stats_.lost_casts)}};
    for (const auto& [node, peer] : peers_)
      out.emplace_back(node, peer.up ? "up, " + std::to_string(peer.outstanding.size()) + " outstanding"
                                     : "down: " + peer.stats.last_reason);
    return out;
  }

protected:
  using time_point = router_peer::time_point;

  // -- what a kind of network provides
  // ----------------------------------------------------------------------------------

  /// Starts connecting; `connected` or `lost` follows, now or later. REQUIRES: !peer.up.
  virtual void connect(Peer& peer) = 0;
  /// Where frames to the peer are appended; while it is not up they wait there.
  virtual std::vector<char>& outgoing(Peer& peer) = 0;
  /// A frame of `bytes` was appended.
  virtual void appended(Peer& peer, std::size_t bytes) = 0;
  /// Bytes appended and not yet taken by the network.
  [[nodiscard]] virtual std::size_t queued(const Peer& peer) const = 0;
  /// Forgets what waits for a peer that can't be reached.
  virtual void discard(Peer& peer) = 0;
  [[nodiscard]] virtual bool connecting(const Peer& peer) const = 0;
  /// The peer sent what no correct node sends: ends its connection.
  virtual void disconnect_for(Peer& peer, const std::string& reason) = 0;

  // -- for those networks
  // -----------------------------------------------------------------------------------------------

  [[nodiscard]] Peer& peer_named(const std::string& node) { return peers_.try_emplace(node, node).first->second; }
  [[nodiscard]] time_point now() const { return this->clock().now(); }

  void connected(Peer& peer) {
    peer.up = true;
    ++peer.epoch;
    peer.serving = 0;
    peer.backoff = {};
    ++peer.stats.connects;
    spdlog::info("{}: connected to {}", this->actor_name(), peer.node);
    tell_subscribers(peer_up_atom_v, peer.node);
  }

  /// The connection ended, or could not be made. Everything outstanding fails now; while somebody is interested, the
  /// next attempt follows after a pause.
  void lost(Peer& peer, const std::string& reason) {
    const bool was_up = std::exchange(peer.up, false);
    ++peer.epoch;
    if (was_up || peer.stats.last_reason != reason)
      spdlog::warn("{}: {} {}: {}", this->actor_name(), was_up ? "lost" : "can't reach", peer.node, reason);
    peer.stats.last_reason = reason;
    discard(peer);
    fail_outstanding(peer, was_up ? transport_errc::peer_gone : transport_errc::unreachable, reason);
    if (was_up)
      tell_subscribers(peer_down_atom_v, peer.node, reason);
    schedule_retry(peer);
  }

  /// Handles one frame of an established connection; false when it ended the connection.
  [[nodiscard]] bool on_frame(Peer& peer, const frame_header& header, byte_view payload) {
    auto& traffic = peer.stats.kinds[header.kind];
    ++traffic.messages_in;
    traffic.bytes_in += frame_header_bytes + payload.size();
    switch (header.type) {
    case frame_type::request:
    case frame_type::cast: return on_message(peer, header, payload);
    case frame_type::reply: return on_reply(peer, header, payload);
    case frame_type::failure: return on_failure(peer, header, payload);
    case frame_type::control: return true; // a heartbeat, or what a later version adds
    }
    return true;
  }

  void send_control(Peer& peer, std::uint16_t kind, byte_view payload = {}) {
    send_frame(peer, {.kind = kind, .type = frame_type::control}, payload, {});
  }

  void invalid(Peer& peer, const std::string& reason) {
    ++stats_.invalid_frames;
    this->note_error(peer.node + ": " + reason);
    disconnect_for(peer, reason);
  }

  /// Handlers of what actors say to routers; derived classes add theirs with or_else.
  [[nodiscard]] caf::message_handler actor_interface() {
    return {
        [this](request_atom, const address& to, wire_message& message, caf::timespan timeout) {
          return on_request(to, message, timeout);
        },
        [this](request_atom, const address& to, wire_message& message) {
          return on_request(to, message, caf::timespan{default_timeout});
        },
        [this](cast_atom, const address& to, wire_message& message) { on_cast(to, message); },
        [this](subscribe_peers_atom) {
          const auto who = caf::actor_cast<caf::actor>(this->current_sender());
          if (!who)
            return;
          subscribers_.push_back(who.address());
          for (const auto& [node, peer] : peers_)
            if (peer.up)
              this->send(who, peer_up_atom_v, node);
        },
        [this](stats_atom) { return snapshot_stats(); },
        [this](sweep_atom) { sweep(); },
        [this](tick_atom, const std::string& node) {
          auto& peer = peer_named(node);
          peer.retry_scheduled = false;
          if (!peer.up && !connecting(peer))
            attempt(peer);
        },
    };
  }

  const transport_identity self_;
  const std::shared_ptr<directory> directory_;
  const transport_limits limits_;
  // An ordered map, so that what depends on its order is the same in each run of a seed.
  std::map<std::string, Peer> peers_;
  transport_stats stats_;

private:
  // -- from this node's actors
  // --------------------------------------------------------------------------------------------

  caf::response_promise on_request(const address& to, wire_message& message, caf::timespan timeout) {
    auto promise = this->make_response_promise();
    if (to.node == self_.node) {
      if (const auto target = directory_->find(to.actor))
        promise.template delegate<caf::message_priority::normal>(target, wire_request_atom_v, self_.node,
                                                                 std::move(message));
      else {
        directory_->letters().count({.from = name_of(promise.source()), .to = to.actor, .kind = message.kind});
        promise.deliver(make_error(transport_errc::no_such_actor, to_string(to)));
      }
      return promise;
    }
    auto& peer = peer_named(to.node);
    if (auto refusal = refuses(peer, to, message)) {
      promise.deliver(std::move(refusal));
      return promise;
    }
    if (peer.outstanding.size() >= limits_.max_outstanding) {
      promise.deliver(make_error(transport_errc::overloaded, "too many requests outstanding at " + peer.node));
      return promise;
    }
    const auto correlation = peer.next_correlation++;
    peer.outstanding.emplace(correlation, router_peer::outstanding_request{promise, now() + timeout});
    send_frame(peer, {.kind = message.kind, .type = frame_type::request, .correlation = correlation},
               encode_envelope(to.actor), message.view());
    if (!sweeping_) {
      sweeping_ = true;
      this->delayed_send(this, sweep_interval, sweep_atom_v);
    }
    return promise;
  }

  void on_cast(const address& to, wire_message& message) {
    if (to.node == self_.node) {
      if (const auto target = directory_->find(to.actor))
        this->send(target, wire_cast_atom_v, self_.node, std::move(message));
      else
        directory_->letters().count({.from = name_of(this->current_sender()), .to = to.actor, .kind = message.kind});
      return;
    }
    auto& peer = peer_named(to.node);
    if (const auto refusal = refuses(peer, to, message)) {
      ++stats_.lost_casts;
      this->note_error("cast to " + to_string(to) + " lost: " + describe(refusal));
      return;
    }
    send_frame(peer, {.kind = message.kind, .type = frame_type::cast}, encode_envelope(to.actor), message.view());
  }

  /// Why the message can't be sent now, if so; starts connecting when that is what is missing.
  caf::error refuses(Peer& peer, const address& to, const wire_message& message) {
    const auto size = message.view().size();
    if (size > max_body_bytes || size % 8 != 0)
      return make_error(transport_errc::too_large, "body of " + std::to_string(size) + " bytes");
    if (to.actor.size() > max_name_bytes)
      return make_error(transport_errc::too_large, "name of " + std::to_string(to.actor.size()) + " bytes");
    peer.last_used = now();
    if (!peer.up && !connecting(peer)) {
      // Between two attempts callers learn at once that it is no use, instead of waiting for their time-outs.
      if (now() < peer.next_attempt)
        return make_error(transport_errc::unreachable, peer.node + ": " + peer.stats.last_reason);
      attempt(peer);
      if (!peer.up && !connecting(peer))
        return make_error(transport_errc::unreachable, peer.node + ": " + peer.stats.last_reason);
    }
    if (queued(peer) > limits_.max_queued_bytes)
      return make_error(transport_errc::overloaded, std::to_string(queued(peer)) + " bytes wait for " + peer.node);
    return {};
  }

  // -- from peers
  // ---------------------------------------------------------------------------------------------------------

  bool on_message(Peer& peer, const frame_header& header, byte_view payload) {
    const auto envelope = split_envelope(payload);
    if (!envelope) {
      invalid(peer, "envelope is not valid Cap'n Proto");
      return false;
    }
    auto message = make_message(header.kind, envelope->body);
    if (message.view().size() > max_body_bytes || !well_formed(message.view())) {
      invalid(peer, "body of a message to " + envelope->target + " is not valid Cap'n Proto");
      return false;
    }
    const auto target = directory_->find(envelope->target);
    if (!target)
      directory_->letters().count({.from = '@' + peer.node, .to = envelope->target, .kind = header.kind});
    if (header.type == frame_type::cast) {
      if (target)
        this->send(target, wire_cast_atom_v, peer.node, std::move(message));
      return true;
    }
    if (!target) {
      send_failure(peer, header, {transport_errc::no_such_actor, envelope->target + '@' + self_.node});
      return true;
    }
    if (peer.serving >= limits_.max_outstanding) {
      send_failure(peer, header, {transport_errc::overloaded, self_.node + " works on too many requests"});
      return true;
    }
    ++peer.serving;
    // No time-out here: the requester has one, and `serving` bounds what an actor that never answers can hold.
    this->request(target, caf::infinite, wire_request_atom_v, peer.node, std::move(message))
        .then(
            [this, &peer, header, epoch = peer.epoch](const wire_message& reply) {
              if (peer.epoch != epoch)
                return;
              --peer.serving;
              const auto size = reply.view().size();
              if (size > max_body_bytes || size % 8 != 0)
                send_failure(peer, header, {transport_errc::too_large, "reply of " + std::to_string(size) + " bytes"});
              else
                send_frame(peer, {.kind = reply.kind, .type = frame_type::reply, .correlation = header.correlation},
                           reply.view(), {});
            },
            [this, &peer, header, epoch = peer.epoch](const caf::error& error) {
              if (peer.epoch != epoch)
                return;
              --peer.serving;
              const auto code = as_transport_error(error);
              send_failure(peer, header, {code, describe(error)});
              if (code == transport_errc::malformed)
                invalid(peer, "body of kind " + std::to_string(header.kind) + " is not what its kind promises");
            });
    return true;
  }

  bool on_reply(Peer& peer, const frame_header& header, byte_view payload) {
    auto message = make_message(header.kind, payload);
    if (message.view().size() > max_body_bytes || !well_formed(message.view())) {
      invalid(peer, "body of a reply is not valid Cap'n Proto");
      return false;
    }
    if (auto promise = take(peer, header.correlation); promise.pending())
      promise.deliver(std::move(message));
    return true;
  }

  bool on_failure(Peer& peer, const frame_header& header, byte_view payload) {
    auto value = decode_failure(payload);
    if (!value) {
      invalid(peer, "failure is not valid Cap'n Proto");
      return false;
    }
    if (auto promise = take(peer, header.correlation); promise.pending()) {
      if (value->code == transport_errc::no_such_actor)
        directory_->letters().count(
            {.from = name_of(promise.source()), .to = value->text, .kind = header.kind, .returned = true});
      promise.deliver(make_error(value->code, std::move(value->text)));
    }
    return true;
  }

  /// The promise of an outstanding request; one without a receiver when its time was over already.
  caf::response_promise take(Peer& peer, std::uint64_t correlation) {
    const auto found = peer.outstanding.find(correlation);
    if (found == peer.outstanding.end())
      return {};
    auto promise = std::move(found->second.promise);
    peer.outstanding.erase(found);
    return promise;
  }

  // -- to peers
  // -----------------------------------------------------------------------------------------------------------

  void send_failure(Peer& peer, const frame_header& request, const failure& value) {
    send_frame(peer, {.kind = request.kind, .type = frame_type::failure, .correlation = request.correlation},
               encode(value), {});
  }

  void send_frame(Peer& peer, const frame_header& header, byte_view first, byte_view second) {
    auto& traffic = peer.stats.kinds[header.kind];
    const auto size = frame_header_bytes + first.size() + second.size();
    ++traffic.messages_out;
    traffic.bytes_out += size;
    append_frame(outgoing(peer), header, first, second);
    appended(peer, size);
  }

  // -- time
  // ---------------------------------------------------------------------------------------------------------------

  void sweep() {
    sweeping_ = false;
    const auto time = now();
    for (auto& [node, peer] : peers_) {
      for (auto it = peer.outstanding.begin(); it != peer.outstanding.end();) {
        if (it->second.deadline > time) {
          ++it;
          continue;
        }
        it->second.promise.deliver(make_error(transport_errc::timeout, "no answer from " + node));
        it = peer.outstanding.erase(it);
      }
      sweeping_ = sweeping_ || !peer.outstanding.empty();
    }
    if (sweeping_)
      this->delayed_send(this, sweep_interval, sweep_atom_v);
  }

  void fail_outstanding(Peer& peer, transport_errc code, const std::string& reason) {
    for (auto& [correlation, request] : std::exchange(peer.outstanding, {}))
      request.promise.deliver(make_error(code, peer.node + ": " + reason));
  }

  void attempt(Peer& peer) {
    peer.backoff = std::clamp(2 * peer.backoff, limits_.backoff_min, limits_.backoff_max);
    // Up to half of it off at random, so that nodes that lost the same peer don't come back in step.
    const auto pause = peer.backoff - peer.backoff * (random_() % 512) / 1024;
    peer.next_attempt = now() + pause;
    connect(peer);
  }

  void schedule_retry(Peer& peer) {
    if (peer.retry_scheduled || now() - peer.last_used > limits_.interest)
      return;
    peer.retry_scheduled = true;
    const auto pause = std::max<caf::timespan>(peer.next_attempt - now(), limits_.backoff_min);
    this->delayed_send(this, pause, tick_atom_v, peer.node);
  }

  // -- telling others
  // -----------------------------------------------------------------------------------------------------

  template <class... Ts>
  void tell_subscribers(const Ts&... values) {
    std::erase_if(subscribers_, [&](const caf::actor_addr& address) {
      const auto who = caf::actor_cast<caf::actor>(address);
      if (who)
        this->send(who, values...);
      return !who;
    });
  }

  [[nodiscard]] transport_stats snapshot_stats() {
    auto out = stats_;
    for (const auto& [node, peer] : peers_) {
      auto& entry = out.peers[node] = peer.stats;
      entry.connected = peer.up;
      entry.outstanding = peer.outstanding.size();
      entry.queued_bytes = queued(peer);
    }
    return out;
  }

  std::vector<caf::actor_addr> subscribers_;
  bool sweeping_ = false;
  std::minstd_rand random_;
};

} // namespace glocal::runtime
