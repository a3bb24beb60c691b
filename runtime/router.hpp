#pragma once
// The actor that looks after a node's connections: tells subscribers of peers and answers for the transport's numbers.
// Internal to runtime/. No message between nodes passes it. Threading: an actor.

#include "runtime/observed.hpp"
#include "runtime/switchboard.hpp"

#include <caf/event_based_actor.hpp>

#include <set>

namespace glocal::runtime {

class router : public observed_actor {
public:
  router(caf::actor_config& cfg, std::shared_ptr<switchboard> board);

  caf::behavior make_behavior() override;
  /// However the router ends, nobody waits for an answer any more.
  void on_exit() override;
  [[nodiscard]] state_entries state_summary() const override;

protected:
  /// What actors and links say to it; a kind of network adds its own with or_else.
  [[nodiscard]] caf::message_handler interface();
  /// Ends the connections. Called once.
  virtual void stop_network() {}

  const std::shared_ptr<switchboard> board_;

private:
  using subscribers = std::vector<caf::actor_addr>;

  template <class... Ts>
  void tell(subscribers& all, const Ts&... values) {
    std::erase_if(all, [&](const caf::actor_addr& address) {
      const auto who = caf::actor_cast<caf::actor>(address);
      if (who)
        this->send(who, values...);
      return !who;
    });
  }

  subscribers of_peers_, of_suspicion_;
  std::set<std::string> up_, suspected_;
};

} // namespace glocal::runtime
