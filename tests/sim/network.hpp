#pragma once
// The simulated network between nodes: delay, reordering, loss, duplication, and any set of cut directions.

#include "tests/sim/dice.hpp"
#include "tests/sim/scheduler.hpp"

#include <functional>
#include <set>
#include <utility>

namespace glocal::sim {

class network {
public:
  network(scheduler& time, dice& rolls) : time_{time}, rolls_{rolls} {}

  /// Runs `arrive` once, never, or (when `may_repeat`) more than once, later. Ends are numbers of nodes and clients.
  void send(std::size_t from, std::size_t to, bool may_repeat, const std::function<void()>& arrive) {
    const auto once = [&] {
      if (rolls_.chance(loss))
        return;
      // What is cut on arrival is lost too: a partition takes what is on its way.
      time_.after(delay(), [this, from, to, arrive] {
        if (!cut_.contains({from, to}))
          arrive();
      });
    };
    if (cut_.contains({from, to}))
      return;
    once();
    if (may_repeat && rolls_.chance(repeat))
      once();
  }

  void cut(std::size_t from, std::size_t to) { cut_.insert({from, to}); }
  void mend(std::size_t from, std::size_t to) { cut_.erase({from, to}); }
  void heal() {
    cut_.clear();
    loss = repeat = 0;
    slowest = usual;
  }

  static constexpr duration usual{1500};
  double loss = 0, repeat = 0;
  duration slowest = usual;

private:
  duration delay() {
    // Mostly near the fast end, so that the slow ones are overtaken.
    return rolls_.chance(0.8) ? rolls_.between(duration{100}, duration{400}) : rolls_.between(duration{400}, slowest);
  }

  scheduler& time_;
  dice& rolls_;
  std::set<std::pair<std::size_t, std::size_t>> cut_;
};

} // namespace glocal::sim
