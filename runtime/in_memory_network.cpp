#include "runtime/in_memory_network.hpp"

#include "runtime/router.hpp"

#include <mutex>
#include <set>

CAF_ADD_ATOM(glocal, glocal::runtime, linked_atom, "linked")
CAF_ADD_ATOM(glocal, glocal::runtime, unlinked_atom, "unlinked")
CAF_ADD_ATOM(glocal, glocal::runtime, data_atom, "data")

namespace glocal::runtime {
namespace {

/// One direction of one connection.
struct pipe {
  std::uint64_t connection = 0;
  /// Sent and not yet taken by the other router.
  std::atomic<std::size_t> queued{0};
  /// Nothing is delivered before what was sent before it. Sender only.
  caf::actor_clock::time_point last_due{};
};
using pipe_ptr = std::shared_ptr<pipe>;

struct frame_in_flight {
  pipe_ptr via;
  std::vector<char> raw;
};

} // namespace
} // namespace glocal::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::pipe_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::frame_in_flight)

namespace glocal::runtime {

// What the routers share. All members under `mutex`; messages about links are sent under it too, so that their order is
// the order of what happened.
struct in_memory_network::state {
  struct member {
    caf::actor_addr router;
    std::string cluster;
  };
  /// Both directions of a connection, keyed by (from, to).
  using pipes = std::map<std::pair<std::string, std::string>, pipe_ptr>;

  std::mutex mutex;
  std::map<std::string, member> members;
  pipes open;
  std::uint64_t connections = 0;
  fault_plan faults;
  std::vector<std::vector<std::string>> groups;

  caf::actor router_of(const std::string& node) const {
    const auto found = members.find(node);
    return found == members.end() ? caf::actor{} : caf::actor_cast<caf::actor>(found->second.router);
  }

  const std::vector<std::string>* group_of(const std::string& node) const {
    for (const auto& group : groups)
      if (std::find(group.begin(), group.end(), node) != group.end())
        return &group;
    return nullptr;
  }

  bool separated(const std::string& a, const std::string& b) const {
    const auto* group_a = group_of(a);
    const auto* group_b = group_of(b);
    return group_a != nullptr && group_b != nullptr && group_a != group_b;
  }

  void close(const std::string& a, const std::string& b, const std::string& reason) {
    const auto found = open.find({a, b});
    if (found == open.end())
      return;
    const auto connection = found->second->connection;
    open.erase(found);
    open.erase({b, a});
    if (const auto router = router_of(a))
      caf::anon_send(router, unlinked_atom_v, b, connection, reason);
    if (const auto router = router_of(b))
      caf::anon_send(router, unlinked_atom_v, a, connection, reason);
  }

  void close_separated() {
    std::vector<std::pair<std::string, std::string>> cut;
    for (const auto& [ends, pipe] : open)
      if (ends.first < ends.second && separated(ends.first, ends.second))
        cut.push_back(ends);
    for (const auto& [a, b] : cut)
      close(a, b, "partitioned");
  }
};

namespace {

struct memory_peer : router_peer {
  using router_peer::router_peer;
  pipe_ptr out;
  std::vector<char> frame;
};

class memory_router : public router<caf::event_based_actor, memory_peer> {
public:
  memory_router(caf::actor_config& cfg, std::shared_ptr<in_memory_network::state> network, transport_identity self,
                std::shared_ptr<directory> actors, const transport_limits& limits)
      : router{cfg, std::move(self), std::move(actors), limits}, network_{std::move(network)} {}

  caf::behavior make_behavior() override {
    set_exit_handler([this](caf::exit_msg& exit) {
      {
        const std::scoped_lock lock{network_->mutex};
        for (const auto& [node, peer] : peers_)
          network_->close(self_.node, node, self_.node + " went down");
        network_->members.erase(self_.node);
      }
      quit(std::move(exit.reason));
    });
    return actor_interface().or_else(
        [this](linked_atom, const std::string& node, const pipe_ptr& out) { use(peer_named(node), out); },
        [this](unlinked_atom, const std::string& node, std::uint64_t connection, const std::string& reason) {
          auto& peer = peer_named(node);
          if (peer.up && peer.out->connection == connection)
            lost(peer, reason);
        },
        [this](data_atom, const std::string& node, const frame_in_flight& frame) { receive(peer_named(node), frame); });
  }

protected:
  void connect(memory_peer& peer) override {
    pipe_ptr out;
    std::string problem;
    {
      const std::scoped_lock lock{network_->mutex};
      const auto other = network_->router_of(peer.node);
      if (!other)
        problem = "no such node";
      else if (network_->members.at(peer.node).cluster != self_.cluster)
        problem = "node is of another cluster";
      else if (network_->separated(self_.node, peer.node))
        problem = "partitioned";
      else if (const auto existing = network_->open.find({self_.node, peer.node}); existing != network_->open.end())
        out = existing->second;
      else {
        out = std::make_shared<pipe>();
        auto back = std::make_shared<pipe>();
        out->connection = back->connection = ++network_->connections;
        network_->open[{self_.node, peer.node}] = out;
        network_->open[{peer.node, self_.node}] = back;
        send(other, linked_atom_v, self_.node, back);
      }
    }
    if (out)
      use(peer, out);
    else
      lost(peer, problem);
  }

  std::vector<char>& outgoing(memory_peer& peer) override { return peer.frame; }

  void appended(memory_peer& peer, std::size_t) override {
    frame_in_flight frame{peer.out, std::exchange(peer.frame, {})};
    caf::actor other;
    frame_verdict verdict;
    {
      const std::scoped_lock lock{network_->mutex};
      const auto header = load_header(reinterpret_cast<const std::byte*>(frame.raw.data()), max_payload_bytes);
      const bool answer = header->type == frame_type::reply || header->type == frame_type::failure;
      if (network_->faults)
        verdict = network_->faults({self_.node, peer.node, header->kind, answer, frame.raw.size()});
      other = network_->router_of(peer.node);
    }
    if (verdict.drop || !other)
      return;
    auto& out = *frame.via;
    out.queued += frame.raw.size();
    const auto time = now();
    out.last_due = std::max(out.last_due, time + verdict.delay);
    if (out.last_due <= time)
      send(other, data_atom_v, self_.node, std::move(frame));
    else
      delayed_send(other, caf::timespan{out.last_due - time}, data_atom_v, self_.node, std::move(frame));
  }

  [[nodiscard]] std::size_t queued(const memory_peer& peer) const override {
    return peer.out ? peer.out->queued.load() : 0;
  }
  void discard(memory_peer& peer) override { peer.out.reset(); }
  [[nodiscard]] bool connecting(const memory_peer&) const override { return false; }

  void disconnect_for(memory_peer& peer, const std::string& reason) override {
    {
      const std::scoped_lock lock{network_->mutex};
      network_->close(self_.node, peer.node, reason);
    }
    if (peer.up)
      lost(peer, reason);
  }

private:
  void use(memory_peer& peer, const pipe_ptr& out) {
    if (peer.up && peer.out->connection >= out->connection)
      return;
    {
      // A link that was closed before the word of its opening came.
      const std::scoped_lock lock{network_->mutex};
      const auto current = network_->open.find({self_.node, peer.node});
      if (current == network_->open.end() || current->second != out)
        return;
    }
    if (peer.up)
      lost(peer, "replaced by a new connection");
    peer.out = out;
    connected(peer);
  }

  void receive(memory_peer& peer, const frame_in_flight& frame) {
    frame.via->queued -= frame.raw.size();
    if (!peer.up || peer.out->connection != frame.via->connection)
      return; // of a connection that is gone
    const auto outcome =
        frame_decoder{}.feed(std::as_bytes(std::span{frame.raw}), [&](const frame_header& header, byte_view payload) {
          return on_frame(peer, header, payload);
        });
    if (!outcome)
      invalid(peer, to_string(outcome.error()));
  }

  const std::shared_ptr<in_memory_network::state> network_;
};

} // namespace

in_memory_network::in_memory_network() : state_{std::make_shared<state>()} {}
in_memory_network::~in_memory_network() = default;

transport in_memory_network::spawn_router(caf::actor_system& system, const transport_identity& self,
                                          std::shared_ptr<directory> actors, const transport_limits& limits) {
  const auto router = system.spawn<memory_router>(state_, self, actors, limits);
  const std::scoped_lock lock{state_->mutex};
  state_->members[self.node] = {router.address(), self.cluster};
  return {router, self.node, std::move(actors)};
}

void in_memory_network::set_faults(fault_plan plan) {
  const std::scoped_lock lock{state_->mutex};
  state_->faults = std::move(plan);
}

void in_memory_network::disconnect(const std::string& a, const std::string& b) {
  const std::scoped_lock lock{state_->mutex};
  state_->close(a, b, "disconnected");
}

void in_memory_network::partition(const std::vector<std::vector<std::string>>& groups) {
  const std::scoped_lock lock{state_->mutex};
  state_->groups = groups;
  state_->close_separated();
}

void in_memory_network::heal() {
  const std::scoped_lock lock{state_->mutex};
  state_->groups.clear();
}

} // namespace glocal::runtime
