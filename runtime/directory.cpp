#include "runtime/directory.hpp"

#include <caf/abstract_actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>

#include <map>
#include <mutex>
#include <shared_mutex>

namespace glocal::runtime {

struct directory::state {
  mutable std::shared_mutex mutex;
  std::map<std::string, caf::actor, std::less<>> entries;

  void remove(const std::string& name, const caf::actor_addr& who) {
    // Released after the lock: the last reference may run the actor's end, which comes back here.
    caf::actor gone;
    const std::unique_lock lock{mutex};
    if (const auto found = entries.find(name); found != entries.end() && found->second.address() == who) {
      gone = std::move(found->second);
      entries.erase(found);
    }
  }
};

directory::directory() : state_{std::make_shared<state>()} {}
directory::~directory() = default;

void directory::add(const std::string& name, const caf::actor& who) {
  {
    caf::actor former;
    const std::unique_lock lock{state_->mutex};
    former = std::exchange(state_->entries[name], who);
  }
  caf::actor_cast<caf::abstract_actor*>(who)->attach_functor(
      [weak = std::weak_ptr{state_}, name, address = who.address()] {
        if (const auto state = weak.lock())
          state->remove(name, address);
      });
}

void directory::remove(const std::string& name, const caf::actor& who) {
  state_->remove(name, who.address());
}

caf::actor directory::find(std::string_view name) const {
  const std::shared_lock lock{state_->mutex};
  const auto found = state_->entries.find(name);
  return found == state_->entries.end() ? caf::actor{} : found->second;
}

std::vector<std::pair<std::string, caf::actor>> directory::entries() const {
  const std::shared_lock lock{state_->mutex};
  return {state_->entries.begin(), state_->entries.end()};
}

void directory::clear() {
  decltype(state_->entries) gone;
  const std::unique_lock lock{state_->mutex};
  gone.swap(state_->entries);
}

} // namespace glocal::runtime
