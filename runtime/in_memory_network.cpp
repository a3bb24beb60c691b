#include "runtime/in_memory_network.hpp"

#include "runtime/router.hpp"

#include <caf/all.hpp>

#include <mutex>
#include <set>

CAF_ADD_ATOM(glocal, glocal::runtime, linked_atom, "linked")
CAF_ADD_ATOM(glocal, glocal::runtime, unlinked_atom, "unlinked")
CAF_ADD_ATOM(glocal, glocal::runtime, data_atom, "data")

namespace glocal::runtime {
namespace {

class pipe;
using pipe_ptr = std::shared_ptr<pipe>;

struct frame_in_flight {
  pipe_ptr via;
  bytes raw;
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
    std::uint64_t window_bytes = 0;
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

  void close(const std::string& a, const std::string& b, const std::string& reason);

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

/// One direction of one connection.
class pipe : public peer_connection, public std::enable_shared_from_this<pipe> {
public:
  pipe(std::shared_ptr<in_memory_network::state> network, std::string from, std::string to, std::uint64_t number)
      : network_{std::move(network)}, from_{std::move(from)}, to_{std::move(to)}, number_{number} {}

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  /// The other direction; null when that is gone.
  [[nodiscard]] pipe_ptr back() const { return back_.lock(); }
  static void join(const pipe_ptr& a, const pipe_ptr& b) {
    a->back_ = b;
    b->back_ = a;
  }

  bool append(const frame_header& header, byte_view payload) override {
    frame_header whole = header;
    whole.payload_bytes = static_cast<std::uint32_t>(payload.size());
    bytes raw(frame_header_bytes);
    store_header(whole, raw.data());
    raw.insert(raw.end(), payload.begin(), payload.end());
    const std::scoped_lock lock{network_->mutex};
    const auto open = network_->open.find({from_, to_});
    const auto other = network_->router_of(to_);
    if (open == network_->open.end() || open->second.get() != this || !other)
      return false; // lost with the connection
    frame_verdict verdict;
    if (network_->faults && header.type != frame_type::control) {
      const bool answer = header.type == frame_type::reply || header.type == frame_type::failure;
      verdict = network_->faults({from_, to_, header.kind, answer, raw.size()});
    }
    if (verdict.drop)
      return false;
    const auto now = other.home_system().clock().now();
    last_due_ = std::max(last_due_, now + verdict.delay);
    for (int copies = verdict.duplicate ? 2 : 1; copies > 0; --copies) {
      queued_ += raw.size();
      frame_in_flight frame{shared_from_this(), raw};
      if (last_due_ <= now)
        caf::anon_send(other, data_atom_v, std::move(frame));
      else
        caf::delayed_anon_send(other, caf::timespan{last_due_ - now}, data_atom_v, std::move(frame));
    }
    return false;
  }
  bool append(std::vector<char>&& frames) override {
    for_each_frame(std::as_bytes(std::span{frames}),
                   [this](const frame_header& header, byte_view payload) { return !append(header, payload); });
    return false;
  }
  void push() override {}
  [[nodiscard]] std::size_t queued() const override { return queued_; }
  void close(const std::string& reason) override {
    const std::scoped_lock lock{network_->mutex};
    const auto open = network_->open.find({from_, to_});
    if (open != network_->open.end() && open->second.get() == this)
      network_->close(from_, to_, reason);
  }

  [[nodiscard]] const std::string& from() const noexcept { return from_; }
  void taken(std::size_t bytes) noexcept { queued_ -= bytes; }

private:
  const std::shared_ptr<in_memory_network::state> network_;
  const std::string from_, to_;
  const std::uint64_t number_;
  std::weak_ptr<pipe> back_;
  /// Sent and not yet taken by the other router.
  std::atomic<std::size_t> queued_{0};
  /// Nothing is delivered before what was sent before it. Under the network's mutex.
  caf::actor_clock::time_point last_due_{};
};

} // namespace

void in_memory_network::state::close(const std::string& a, const std::string& b, const std::string& reason) {
  const auto found = open.find({a, b});
  if (found == open.end())
    return;
  const auto number = found->second->number();
  open.erase(found);
  open.erase({b, a});
  if (const auto router = router_of(a))
    caf::anon_send(router, unlinked_atom_v, b, number, reason);
  if (const auto router = router_of(b))
    caf::anon_send(router, unlinked_atom_v, a, number, reason);
}

namespace {

/// The network as one node sees it.
class memory_network : public link_network {
public:
  memory_network(std::shared_ptr<in_memory_network::state> network, switchboard& board)
      : network_{std::move(network)}, board_{board}, self_{board.context().self} {}

  void connect(peer_link& link) override {
    const std::scoped_lock changing{mutex_};
    pipe_ptr out;
    std::string problem;
    {
      const std::scoped_lock lock{network_->mutex};
      const auto other = network_->router_of(link.node());
      if (!other)
        problem = "no such node";
      else if (network_->members.at(link.node()).cluster != self_.cluster)
        problem = "node is of another cluster";
      else if (network_->separated(self_.node, link.node()))
        problem = "partitioned";
      else if (const auto existing = network_->open.find({self_.node, link.node()}); existing != network_->open.end())
        out = existing->second;
      else {
        const auto number = ++network_->connections;
        out = std::make_shared<pipe>(network_, self_.node, link.node(), number);
        const auto back = std::make_shared<pipe>(network_, link.node(), self_.node, number);
        pipe::join(out, back);
        network_->open[{self_.node, link.node()}] = out;
        network_->open[{link.node(), self_.node}] = back;
        caf::anon_send(other, linked_atom_v, self_.node, back);
      }
    }
    if (out)
      use(link, out);
    else
      link.lost(problem);
  }

  void note_lost(peer_link& link) override {
    const auto pause = link.retry_pause();
    const auto router = caf::actor_cast<caf::actor>(board_.context().router);
    if (pause && router && retries_.insert(link.node()).second)
      caf::delayed_anon_send(router, *pause, tick_atom_v, link.node());
  }

  void start_sweeping() override {
    if (!sweeping_.exchange(true))
      schedule_sweep();
  }

  // -- for the router -------------------------------------------------------------------------------------------------

  void sweep() {
    sweeping_ = false;
    if (board_.sweep())
      start_sweeping();
  }

  void retry(const std::string& node) {
    {
      const std::scoped_lock changing{mutex_};
      retries_.erase(node);
    }
    board_.link(node).retry();
  }

  void linked(const std::string& node, const pipe_ptr& out) {
    const std::scoped_lock changing{mutex_};
    use(board_.link(node), out);
  }

  void unlinked(const std::string& node, std::uint64_t number, const std::string& reason) {
    const std::scoped_lock changing{mutex_};
    const auto current = current_.find(node);
    if (current == current_.end() || current->second->number() != number)
      return;
    current_.erase(current);
    board_.link(node).lost(reason);
  }

  void leave() {
    const std::scoped_lock lock{network_->mutex};
    for (const auto& link : board_.links())
      network_->close(self_.node, link->node(), self_.node + " went down");
    network_->members.erase(self_.node);
  }

  void receive(const frame_in_flight& frame) {
    frame.via->taken(frame.raw.size());
    const auto back = frame.via->back();
    if (!back)
      return;
    const auto good = board_.link(frame.via->from()).receive(*back, std::make_shared<received_run>(frame.raw));
    if (good)
      return;
    ++board_.context().invalid_frames;
    back->close(good.error());
  }

private:
  void schedule_sweep() {
    if (const auto router = caf::actor_cast<caf::actor>(board_.context().router))
      caf::delayed_anon_send(router, caf::timespan{sweep_interval}, sweep_atom_v);
  }

  /// REQUIRES: `mutex_` is held.
  void use(peer_link& link, const pipe_ptr& out) {
    auto& current = current_[link.node()];
    if (current && current->number() >= out->number())
      return;
    std::uint64_t window = 0;
    {
      // A link that was closed before the word of its opening came.
      const std::scoped_lock lock{network_->mutex};
      const auto open = network_->open.find({self_.node, link.node()});
      const auto other = network_->members.find(link.node());
      if (open == network_->open.end() || open->second != out || other == network_->members.end()) {
        if (!current)
          current_.erase(link.node());
        return;
      }
      window = other->second.window_bytes;
    }
    if (std::exchange(current, out))
      link.lost("replaced by a new connection");
    link.connected(out, window);
  }

  const std::shared_ptr<in_memory_network::state> network_;
  switchboard& board_;
  const transport_identity self_;
  std::atomic<bool> sweeping_{false};
  /// Held while the state of a link changes, so that changes happen in one order.
  std::mutex mutex_;
  std::map<std::string, pipe_ptr> current_;
  /// Nodes that a retry is scheduled for.
  std::set<std::string> retries_;
};

class memory_router : public router {
public:
  memory_router(caf::actor_config& cfg, std::shared_ptr<switchboard> board, memory_network& network)
      : router{cfg, std::move(board)}, network_{network} {}

  caf::behavior make_behavior() override {
    set_exit_handler([this](caf::exit_msg& exit) {
      network_.leave();
      quit(std::move(exit.reason));
    });
    return interface().or_else(
        [this](linked_atom, const std::string& node, const pipe_ptr& out) { network_.linked(node, out); },
        [this](unlinked_atom, const std::string& node, std::uint64_t number, const std::string& reason) {
          network_.unlinked(node, number, reason);
        },
        [this](data_atom, const frame_in_flight& frame) { network_.receive(frame); },
        [this](sweep_atom) { network_.sweep(); }, [this](tick_atom, const std::string& node) { network_.retry(node); });
  }

private:
  memory_network& network_;
};

} // namespace

in_memory_network::in_memory_network() : state_{std::make_shared<state>()} {}
/// Routers that were killed have not left: their connections hold the state that holds them.
in_memory_network::~in_memory_network() {
  state::pipes open;
  const std::scoped_lock lock{state_->mutex};
  state_->members.clear();
  open.swap(state_->open);
}

transport in_memory_network::spawn_router(caf::actor_system& system, const transport_identity& self,
                                          std::shared_ptr<directory> actors, const transport_limits& limits) {
  const auto board = switchboard::make(system, self, actors, limits);
  auto network = std::make_unique<memory_network>(state_, *board);
  auto& routes = *network;
  board->use(std::move(network));
  const auto router = system.spawn<memory_router>(board, std::ref(routes));
  board->report_to(router);
  const std::scoped_lock lock{state_->mutex};
  state_->members[self.node] = {router.address(), self.cluster, limits.window_bytes};
  return {router, self.node, std::move(actors), board};
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
