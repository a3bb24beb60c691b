#pragma once
// A store node's one way to the configuration register: asks it for all its shards, and tells the node of changes.
//
// Its register is made inside it, so that what the register calls back runs here.
// Messages: register_read, register_set (messages.hpp).

#include "actors/store/messages.hpp"
#include "runtime/observed.hpp"
#include "store/register.hpp"

#include <functional>
#include <memory>

namespace glocal::actors {

/// Makes a node's register; its callbacks must run inside `owner`, as messages it handles.
using register_factory = std::function<std::unique_ptr<store::config_register>(caf::event_based_actor& owner)>;

class register_actor final : public runtime::observed_actor {
public:
  register_actor(caf::actor_config& config, register_factory make, caf::actor node);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  void on_exit() override;

private:
  register_factory make_;
  caf::actor node_;
  std::unique_ptr<store::config_register> register_;
  /// The last read was answered.
  bool answers_ = false;
  std::uint64_t reads_ = 0, sets_ = 0, conflicts_ = 0, unknown_ = 0, unreachable_ = 0;
};

} // namespace glocal::actors
