#pragma once
// The configuration register without another system: one node keeps it in an engine of its own, the others ask it by
// frames. There is no fail-over of the register itself: while its node is away, slots keep serving as they are, and
// none changes its primary or its members.

#include "actors/store/register_actor.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"
#include "store/engine.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace glocal::actors {

/// Register it under register_server_name. Spawn it detached where the engine's disk is one: each change is synced.
class embedded_register_server final : public runtime::observed_actor {
public:
  embedded_register_server(caf::actor_config& config, runtime::transport transport,
                           std::shared_ptr<store::engine> engine, store::slot_id slot_count);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  caf::result<runtime::wire_message> answer(const runtime::wire_message& message);

  const runtime::transport transport_;
  std::shared_ptr<store::engine> engine_;
  store::slot_id slot_count_;
  std::map<store::slot_id, store::register_value> values_;
  /// That have asked: they are told of changes.
  std::set<std::string> nodes_;
  std::uint64_t changes_ = 0;
  std::string broken_;
};

/// A node's way to it.
[[nodiscard]] register_factory embedded_register(runtime::transport via, std::string server_node);

} // namespace glocal::actors
