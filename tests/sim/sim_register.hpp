#pragma once
// The configuration register as nodes reach it: linearizable itself, but calls and answers are delayed, lost, or come
// to nothing while it is down; a call whose caller has been told "unknown" may still land.

#include "store/replica_types.hpp"
#include "tests/sim/network.hpp"

#include <map>

namespace glocal::sim {

class sim_register {
public:
  sim_register(scheduler& time, dice& rolls) : time_{time}, rolls_{rolls} {}

  void get(std::size_t node, std::function<void(std::optional<store::register_value>)> done) {
    auto answered = std::make_shared<bool>(false);
    call(node, [this, answered, done](bool answers) { reply(answers, answered, [this, done] { done(value_); }); });
    time_.after(time_out, [answered, done] {
      if (!std::exchange(*answered, true))
        done(std::nullopt);
    });
  }
  void compare_and_set(std::size_t node, std::uint64_t expected, store::slot_view wanted,
                       std::function<void(store::set_outcome)> done) {
    auto answered = std::make_shared<bool>(false);
    const bool sent = call(node, [this, node, answered, expected, wanted = std::move(wanted), done](bool answers) {
      --under_way_[node];
      store::set_outcome outcome{store::set_outcome::kind::conflict, value_};
      if (value_.version == expected) {
        value_ = {expected + 1, wanted};
        outcome = {store::set_outcome::kind::done, value_};
        if (on_change)
          on_change(value_);
      }
      reply(answers, answered, [done, outcome] { done(outcome); });
    });
    under_way_[node] += sent;
    time_.after(time_out, [answered, done] {
      if (!std::exchange(*answered, true))
        done({});
    });
  }

  [[nodiscard]] const store::register_value& value() const noexcept { return value_; }
  /// Changes of this node may still land.
  [[nodiscard]] bool under_way(std::size_t node) const {
    const auto at = under_way_.find(node);
    return at != under_way_.end() && at->second > 0;
  }
  void heal() {
    down = false;
    lost_replies = late_calls = 0;
    cut.clear();
  }

  bool down = false;
  /// The answer that is about to be given gets lost.
  bool lose_reply = false;
  double lost_replies = 0, late_calls = 0;
  /// Nodes that can't reach it.
  std::set<std::size_t> cut;
  std::function<void(const store::register_value&)> on_change;

private:
  static constexpr duration time_out{300'000};

  bool call(std::size_t node, std::function<void(bool)> land) {
    if (down || cut.contains(node))
      return false;
    const auto late = rolls_.chance(late_calls);
    const auto delay =
        late ? rolls_.between(duration{200'000}, duration{2'000'000}) : rolls_.between(duration{1000}, duration{8000});
    time_.after(delay, [land = std::move(land), answers = !rolls_.chance(lost_replies)] { land(answers); });
    return true;
  }
  void reply(bool answers, const std::shared_ptr<bool>& answered, std::function<void()> done) {
    if (std::exchange(lose_reply, false) || !answers)
      return;
    time_.after(rolls_.between(duration{500}, duration{4000}), [answered, done = std::move(done)] {
      if (!std::exchange(*answered, true))
        done();
    });
  }

  scheduler& time_;
  dice& rolls_;
  store::register_value value_;
  std::map<std::size_t, int> under_way_;
};

} // namespace glocal::sim
