#pragma once
// The configuration register of a cluster that lives in one process: for simulation. Its nodes share one `values`;
// callbacks reach each as messages. It can be made unreachable, or to lose answers, as a real one does.

#include "actors/store/messages.hpp"
#include "actors/store/register_actor.hpp"

#include <caf/actor_cast.hpp>
#include <caf/send.hpp>

#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace glocal::actors {

/// Threading: one thread, as a simulation has.
class process_register final : public store::config_register {
public:
  struct values {
    std::map<store::slot_id, store::register_value> current;
    /// Who wants to hear of changes, and how.
    std::vector<std::pair<caf::actor_addr, watch_callback>> watchers;
    /// Nothing arrives while it is unreachable: reads have no answer, sets an unknown outcome.
    bool unreachable = false;
    /// Sets happen and their answers are lost.
    bool loses_answers = false;
  };

  process_register(caf::event_based_actor& owner, std::shared_ptr<values> shared)
      : owner_{caf::actor_cast<caf::actor_addr>(&owner)}, shared_{std::move(shared)} {}

  void get(store::slot_id slot, read_callback done) override {
    later([shared = shared_, slot, done = std::move(done)] {
      done(shared->unreachable ? std::nullopt : std::optional{shared->current[slot]});
    });
  }
  void compare_and_set(store::slot_id slot, std::uint64_t expected, store::slot_view wanted,
                       set_callback done) override {
    later([shared = shared_, slot, expected, wanted = std::move(wanted), done = std::move(done)] {
      if (shared->unreachable)
        return done({});
      auto& value = shared->current[slot];
      store::set_outcome outcome{store::set_outcome::kind::conflict, value};
      if (value.version == expected) {
        value = {expected + 1, wanted};
        outcome = {store::set_outcome::kind::done, value};
        for (const auto& [addr, tell] : shared->watchers)
          if (const auto watcher = caf::actor_cast<caf::actor>(addr))
            caf::anon_send(watcher, store_messages::run{[tell = tell, slot, value] { tell(slot, value); }});
      }
      done(shared->loses_answers ? store::set_outcome{} : outcome);
    });
  }
  void watch(watch_callback on_change) override { shared_->watchers.emplace_back(owner_, std::move(on_change)); }

  [[nodiscard]] static register_factory factory(std::shared_ptr<values> shared) {
    return [shared = std::move(shared)](caf::event_based_actor& owner) {
      return std::make_unique<process_register>(owner, shared);
    };
  }

private:
  void later(std::function<void()> what) {
    if (const auto owner = caf::actor_cast<caf::actor>(owner_))
      caf::anon_send(owner, store_messages::run{std::move(what)});
  }

  caf::actor_addr owner_;
  std::shared_ptr<values> shared_;
};

} // namespace glocal::actors
