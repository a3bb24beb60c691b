// The judge of the simulation is judged: histories known to be good and bad.

#include "tests/sim/history.hpp"

#include <catch2/catch.hpp>

using namespace glocal::sim;
using kind = operation::kind;

namespace {

operation op(kind what, int invoked, int returned, value_id writes, bool done, value_id found = 0,
             value_id expects = 0) {
  return {what, writes, expects, duration{invoked}, duration{returned}, true, done, found, 0};
}
operation unknown(kind what, int invoked, value_id writes, value_id expects = 0) {
  return {what, writes, expects, duration{invoked}, {}, false, false, 0, 0};
}
operation get(int invoked, int returned, value_id found) {
  return op(kind::get, invoked, returned, 0, true, found);
}
operation put(int invoked, int returned, value_id writes) {
  return op(kind::put, invoked, returned, writes, true);
}

struct row {
  const char* what;
  verdict expected;
  std::vector<operation> history;
};

} // namespace

TEST_CASE("histories are judged as one copy of the key would") {
  const auto good = verdict::linearizable, bad = verdict::violation;
  const std::vector<row> rows = {
      {"nothing happened", good, {}},
      {"a read sees the write before it", good, {put(0, 1, 7), get(2, 3, 7)}},
      {"a read misses a finished write", bad, {put(0, 1, 7), get(2, 3, 0)}},
      {"a read sees a write that nobody made", bad, {get(0, 1, 9)}},
      {"a concurrent read may see old or new", good, {put(0, 10, 7), get(1, 2, 7), get(3, 4, 7)}},
      {"but not new, then old", bad, {put(0, 10, 7), get(1, 2, 7), get(3, 4, 0)}},
      {"an unknown write may never happen", good, {unknown(kind::put, 0, 7), get(1, 2, 0), get(3, 4, 0)}},
      {"or happen late", good, {unknown(kind::put, 0, 7), get(1, 2, 0), put(3, 4, 8), get(5, 6, 7)}},
      {"but once", bad, {unknown(kind::put, 0, 7), get(1, 2, 7), put(3, 4, 8), get(5, 6, 8), get(7, 8, 7)}},
      {"and not before it was asked for", bad, {get(0, 1, 7), unknown(kind::put, 2, 7)}},
      {"one of two put_if_absent wins",
       good,
       {op(kind::put_if_absent, 0, 5, 1, true), op(kind::put_if_absent, 0, 5, 2, false, 1)}},
      {"not both", bad, {op(kind::put_if_absent, 0, 5, 1, true), op(kind::put_if_absent, 0, 5, 2, true)}},
      {"unless an erase comes between",
       good,
       {op(kind::put_if_absent, 0, 1, 1, true), op(kind::erase, 2, 3, 0, true),
        op(kind::put_if_absent, 4, 5, 2, true)}},
      {"a loser is told the winner",
       bad,
       {op(kind::put_if_absent, 0, 1, 1, true), op(kind::put_if_absent, 2, 3, 2, false, 3)}},
      {"compare_and_set follows its condition",
       good,
       {put(0, 1, 1), op(kind::compare_and_set, 2, 3, 2, true, 0, 1), op(kind::compare_and_set, 4, 5, 3, false, 2, 1)}},
      {"compare_and_set on a value that is gone fails",
       bad,
       {put(0, 1, 1), put(2, 3, 2), op(kind::compare_and_set, 4, 5, 3, true, 0, 1)}},
      {"an erase of nothing finds nothing", bad, {op(kind::erase, 0, 1, 0, true)}},
      {"an erase that found nothing although something was there",
       bad,
       {put(0, 1, 1), op(kind::erase, 2, 3, 0, false)}},
      {"a lost acknowledged write", bad, {put(0, 1, 1), put(2, 3, 2), get(4, 5, 1)}},
  };
  for (const auto& each : rows) {
    INFO(each.what << '\n' << describe(each.history));
    CHECK(check_linearizable(each.history) == each.expected);
  }
}

TEST_CASE("random histories of one real copy are accepted, and one wrong answer in them is found") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    dice rolls{seed};
    std::vector<operation> history;
    value_id state = 0, last_value = 0;
    for (int i = 0; i < 60; ++i) {
      operation next;
      const duration at{i * 10};
      next.what = static_cast<kind>(rolls.below(5));
      next.invoked = at - rolls.between(duration{0}, duration{40});
      next.returned = at + rolls.between(duration{0}, duration{40});
      next.known = rolls.chance(0.9);
      const bool happens = next.known || rolls.chance(0.5);
      if (next.what != kind::get && next.what != kind::erase)
        next.writes = ++last_value;
      next.expects = rolls.chance(0.7) ? state : last_value;
      const bool does = next.what == kind::put || (next.what == kind::put_if_absent && state == 0) ||
                        (next.what == kind::compare_and_set && state == next.expects) ||
                        (next.what == kind::erase && state != 0);
      next.done = does;
      next.found = state;
      if (happens && does)
        state = next.writes;
      history.push_back(next);
    }
    INFO("seed " << seed << '\n' << describe(history));
    CHECK(check_linearizable(history) == verdict::linearizable);
    auto wrong = history;
    operation lie;
    lie.known = true;
    lie.invoked = duration{10'000};
    lie.returned = duration{10'001};
    lie.found = last_value + 1;
    wrong.push_back(lie);
    CHECK(check_linearizable(wrong) == verdict::violation);
  }
}

TEST_CASE("a search that would not end says so") {
  std::vector<operation> history;
  for (value_id i = 1; i <= 40; ++i)
    history.push_back(unknown(kind::put, 0, i));
  for (int i = 0; i < 12; ++i)
    history.push_back(get(1, 1000, static_cast<value_id>(40 - i)));
  history.push_back(get(2000, 2001, 99));
  CHECK(check_linearizable(history, 1000) == verdict::undecided);
}
