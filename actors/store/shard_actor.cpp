#include "actors/store/shard_actor.hpp"

#include <utility>

namespace glocal::actors {

namespace messages = store_messages;

shard_actor::shard_actor(caf::actor_config& config, store::slot_id slot, store::slot_state state, caf::actor node,
                         caf::actor disk)
    : runtime::observed_actor{config, "store shard", "store/shard/" + std::to_string(slot)}, slot_{slot},
      state_{std::move(state)}, node_{std::move(node)}, disk_{std::move(disk)} {}

caf::behavior shard_actor::make_behavior() {
  return {
      [this](messages::shard_input& input) { step(std::move(input.event)); },
      [this](const messages::persisted& done) { step(store::durable_event{done.index}); },
      [this](const messages::persist_failed& failed) {
        note_error(failed.why);
        step(store::disk_failed_event{});
      },
  };
}

void shard_actor::step(store::slot_event event) {
  messages::shard_output output{slot_, {}, 0, false};
  for (auto& action : state_.step(std::move(event))) {
    if (auto* write = std::get_if<store::persist_action>(&action))
      send(disk_, messages::persist{std::move(write->write), write->sync});
    else
      output.actions.push_back(std::move(action));
  }
  output.keys = state_.entry_count();
  output.failed = state_.failed();
  if (!output.actions.empty() || output.failed)
    send(node_, std::move(output));
}

void shard_actor::on_exit() {
  node_ = disk_ = {};
}

runtime::state_entries shard_actor::state_summary() const {
  return {{"slot", std::to_string(slot_)},
          {"revision", std::to_string(state_.index())},
          {"keys", std::to_string(state_.entry_count())},
          {"leases", std::to_string(state_.leases().size())},
          {"subscriptions", std::to_string(state_.subscription_count())},
          {"copies", "1"}};
}

} // namespace glocal::actors
