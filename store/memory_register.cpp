#include "store/memory_register.hpp"

#include <utility>

namespace glocal::store {

void memory_register::get(slot_id slot, read_callback done) {
  calls_.emplace_back(
      [this, slot, done = std::move(done)] { done(unreachable ? std::nullopt : std::optional{values_[slot]}); });
}

void memory_register::compare_and_set(slot_id slot, std::uint64_t expected, slot_view wanted, set_callback done) {
  calls_.emplace_back([this, slot, expected, wanted = std::move(wanted), done = std::move(done)] {
    if (unreachable)
      return done({});
    auto& value = values_[slot];
    set_outcome outcome{set_outcome::kind::conflict, value};
    if (value.version == expected) {
      value = {expected + 1, wanted};
      outcome = {set_outcome::kind::done, value};
      if (on_change_)
        on_change_(slot, value);
    }
    done(loses_answers ? set_outcome{} : outcome);
  });
}

void memory_register::run() {
  while (!calls_.empty()) {
    const auto call = std::move(calls_.front());
    calls_.pop_front();
    call();
  }
}

} // namespace glocal::store
