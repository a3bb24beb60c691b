#include "runtime/router.hpp"

#include <caf/all.hpp>

namespace glocal::runtime {

router::router(caf::actor_config& cfg, std::shared_ptr<switchboard> board)
    : observed_actor{cfg, "router", "router/" + board->context().self.node}, board_{std::move(board)} {}

caf::behavior router::make_behavior() {
  return interface();
}

void router::on_exit() {
  board_->stop(board_->context().self.node + " is shutting down");
  stop_network();
}

state_entries router::state_summary() const {
  const auto stats = board_->stats();
  state_entries out{{"incarnation", std::to_string(board_->context().self.incarnation)},
                    {"invalid frames", std::to_string(stats.invalid_frames)},
                    {"refusals", std::to_string(stats.refusals)},
                    {"lost casts", std::to_string(stats.lost_casts)}};
  for (const auto& [node, peer] : stats.peers)
    out.emplace_back(node, peer.connected ? "up, " + std::to_string(peer.outstanding) + " outstanding"
                                          : "down: " + peer.last_reason);
  return out;
}

caf::message_handler router::interface() {
  return {
      [this](subscribe_peers_atom) {
        const auto who = caf::actor_cast<caf::actor>(current_sender());
        if (!who)
          return;
        of_peers_.push_back(who.address());
        for (const auto& node : up_)
          send(who, peer_up_atom_v, node);
      },
      [this](subscribe_suspicion_atom) {
        const auto who = caf::actor_cast<caf::actor>(current_sender());
        if (!who)
          return;
        of_suspicion_.push_back(who.address());
        for (const auto& node : suspected_)
          send(who, peer_suspect_atom_v, node);
      },
      [this](stats_atom) { return board_->stats(); },
      [this](peer_up_atom, const std::string& node) {
        up_.insert(node);
        tell(of_peers_, peer_up_atom_v, node);
      },
      [this](peer_down_atom, const std::string& node, const std::string& reason) {
        up_.erase(node);
        suspected_.erase(node);
        tell(of_peers_, peer_down_atom_v, node, reason);
      },
      [this](peer_suspect_atom, const std::string& node) {
        suspected_.insert(node);
        tell(of_suspicion_, peer_suspect_atom_v, node);
      },
      [this](peer_trusted_atom, const std::string& node) {
        suspected_.erase(node);
        tell(of_suspicion_, peer_trusted_atom_v, node);
      },
  };
}

} // namespace glocal::runtime
