#include "actors/store/register_actor.hpp"

#include <utility>

namespace glocal::actors {

namespace messages = store_messages;

register_actor::register_actor(caf::actor_config& config, register_factory make, caf::actor node)
    : runtime::observed_actor{config, "store register", "store/register"}, make_{std::move(make)}, node_{std::move(
                                                                                                       node)} {}

caf::behavior register_actor::make_behavior() {
  register_ = make_(*this);
  register_->watch([this](store::slot_id slot, const store::register_value& value) {
    send(node_, messages::register_changed{slot, value});
  });
  return {
      [this](const messages::register_read& request) {
        ++reads_;
        register_->get(request.slot, [this, slot = request.slot, shard = caf::actor_cast<caf::actor>(current_sender())](
                                         std::optional<store::register_value> value) {
          unreachable_ += !value;
          answers_ = value.has_value();
          send(shard, messages::register_answer{slot, std::move(value)});
        });
      },
      [this](messages::register_set& request) {
        ++sets_;
        register_->compare_and_set(
            request.slot, request.expected, std::move(request.wanted),
            [this, shard = caf::actor_cast<caf::actor>(current_sender())](store::set_outcome outcome) {
              conflicts_ += outcome.what == store::set_outcome::kind::conflict;
              unknown_ += outcome.what == store::set_outcome::kind::unknown;
              send(shard, messages::register_outcome{std::move(outcome)});
            });
      },
      [](const messages::run& later) { later.what(); },
  };
}

void register_actor::on_exit() {
  register_.reset();
  node_ = {};
}

runtime::state_entries register_actor::state_summary() const {
  return {{"answers", answers_ ? "true" : "false"}, {"reads", std::to_string(reads_)},
          {"sets", std::to_string(sets_)},          {"conflicts", std::to_string(conflicts_)},
          {"unknown", std::to_string(unknown_)},    {"unreachable", std::to_string(unreachable_)}};
}

} // namespace glocal::actors
