#include "runtime/switchboard.hpp"

#include "runtime/observed.hpp"

#include <caf/all.hpp>

namespace glocal::runtime {

/// What actors send their requests to. No actor with a mailbox: enqueue() runs on the requester's thread.
class switchboard::request_port : public caf::monitorable_actor {
public:
  request_port(caf::actor_config& cfg, std::weak_ptr<switchboard> board)
      : monitorable_actor{cfg}, board_{std::move(board)} {}

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    // Qualified: actors have a member of that name.
    if (!element || !element->content().match_elements<request_atom, runtime::address, wire_message, caf::timespan>())
      return;
    auto& content = element->content();
    if (const auto board = board_.lock())
      board->ask(element->sender, element->mid, content.get_as<runtime::address>(1),
                 content.get_mutable_as<wire_message>(2), content.get_as<caf::timespan>(3));
    else
      respond(element->sender, element->mid, make_error(transport_errc::unreachable, "the node is shutting down"));
  }

private:
  const std::weak_ptr<switchboard> board_;
};

std::shared_ptr<switchboard> switchboard::make(caf::actor_system& system, const transport_identity& self,
                                               std::shared_ptr<directory> actors, const transport_limits& limits) {
  const std::shared_ptr<switchboard> out{new switchboard{system, self, std::move(actors), limits}};
  out->context_.owner = out;
  caf::actor_config config;
  out->requests_ = caf::actor_cast<caf::actor>(caf::make_actor<request_port, caf::strong_actor_ptr>(
      system.next_actor_id(), system.node(), &system, config, std::weak_ptr{out}));
  return out;
}

switchboard::~switchboard() = default;

void switchboard::use(std::unique_ptr<link_network> network) {
  network_ = std::move(network);
  context_.network = network_.get();
}

bool switchboard::cast(const address& to, std::string_view sender, std::uint16_t kind, byte_view body) {
  if (to.node != context_.self.node)
    return link(to.node).cast(to.actor, sender, kind, body);
  if (const auto target = context_.actors->find(to.actor)) {
    caf::anon_send(target, wire_cast_atom_v, to.node, make_message(kind, body));
    return true;
  }
  context_.actors->letters().count({.from = std::string{sender}, .to = to.actor, .kind = kind});
  return false;
}

void switchboard::when_writable(const std::string& node, const caf::actor& who) {
  link(node).when_writable(who);
}

void switchboard::ask(const caf::strong_actor_ptr& requester, caf::message_id id, const address& to,
                      wire_message& message, caf::timespan timeout) {
  if (to.node != context_.self.node) {
    // Its name: this is its own thread.
    const auto* sender = dynamic_cast<const caf::monitorable_actor*>(requester ? requester->get() : nullptr);
    return link(to.node).ask(requester, id, to.actor, sender != nullptr ? sender->name() : "", message, timeout);
  }
  if (const auto target = context_.actors->find(to.actor)) {
    caf::actor_cast<caf::abstract_actor*>(target)->enqueue(
        caf::make_mailbox_element(requester, id, {}, wire_request_atom_v, to.node, std::move(message)), nullptr);
    return;
  }
  context_.actors->letters().count({.from = name_of(requester), .to = to.actor, .kind = message.kind});
  respond(requester, id, make_error(transport_errc::no_such_actor, to_string(to)));
}

peer_link& switchboard::link(const std::string& node) {
  {
    const std::shared_lock lock{mutex_};
    if (const auto found = links_.find(node); found != links_.end())
      return *found->second;
  }
  const std::unique_lock lock{mutex_};
  auto& entry = links_[node];
  if (!entry) {
    entry = std::make_shared<peer_link>(context_, node);
    if (stopped_)
      entry->stop(context_.self.node + " is shutting down");
  }
  return *entry;
}

std::vector<std::shared_ptr<peer_link>> switchboard::links() const {
  const std::shared_lock lock{mutex_};
  std::vector<std::shared_ptr<peer_link>> out;
  out.reserve(links_.size());
  for (const auto& [node, link] : links_)
    out.push_back(link);
  return out;
}

transport_stats switchboard::stats() const {
  transport_stats out;
  out.invalid_frames = context_.invalid_frames;
  out.refusals = context_.refusals;
  for (const auto& link : links()) {
    const auto& entry = out.peers[link->node()] = link->stats();
    out.lost_casts += entry.lost_casts;
  }
  return out;
}

bool switchboard::sweep() {
  bool more = false;
  const auto now = context_.now();
  for (const auto& link : links())
    more = link->sweep(now) || more;
  return more;
}

void switchboard::stop(const std::string& reason) {
  {
    const std::unique_lock lock{mutex_};
    stopped_ = true;
  }
  for (const auto& link : links())
    link->stop(reason);
}

} // namespace glocal::runtime
