// A rule that nothing notices when it is broken is either not needed or not tested. Each one is broken here, in a copy
// of the store compiled for that, and the simulation must find out.

#include "store/rules.hpp"
#include "tests/sim/world.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

using namespace glocal;
using store::rule;

namespace {

struct row {
  rule broken;
  const char* what;
  /// Where it hurts soonest.
  const char* scenario;
  /// The search begins at a seed that found it when this was written, and must find it within so many.
  std::uint64_t from, within;
};

const row rows[] = {
    {rule::every_member_commits, "1: commits with a majority", "mixed", 16, 300},
    {rule::checked_prefix, "1: a backup acknowledges what it has not checked", "mixed", 34, 300},
    {rule::durable_before_ack, "1: a backup acknowledges before it is durable", "mixed", 1, 300},
    {rule::snapshot_keeps_log, "1: a snapshot takes back what was acknowledged", "full_disk", 2293, 300},
    {rule::min_isr, "2: a lone member acknowledges", "mixed", 1, 300},
    {rule::member_takes_over, "3: a learner takes over", "mixed", 1, 300},
    {rule::next_epoch, "3: a takeover keeps the epoch", "mixed", 1, 300},
    {rule::noop_first, "3: a new primary serves before its no-op has committed", "mixed", 76, 300},
    {rule::restart_is_new_epoch, "4: a restarted primary goes on in its epoch", "crash", 37, 300},
    {rule::wiped_is_new, "4: a wiped disk is taken for the member it was", "wiped_disk", 1, 300},
    {rule::joiner_counts_first, "5: a joiner counts only when the register has answered", "joiners", 2, 500},
    {rule::joiner_after_noop, "5: a joiner is let in before the no-op has committed", "joiners", 1091, 500},
    {rule::unknown_is_union, "5: an unknown outcome is taken for a failure", "joiners", 2, 500},
    {rule::confirmed_read, "6: a primary reads without asking", "mixed", 174, 300},
    {rule::absent_by_primary, "6: a backup says that a flow is not there", "mixed", 1, 300},
    {rule::timeout_is_unknown, "7: a client takes a timeout for a failure", "mixed", 2, 300},
    {rule::expiry_names_version, "8: an expiry ends a lease that was renewed meanwhile", "mixed", 366, 1000},
    {rule::full_time_after_takeover, "8: a new primary ends leases at once", "mixed", 3, 300},
    {rule::owner_gives_up_early, "8: an owner trusts its clock", "mixed", 31, 1000},
    {rule::detector_decides_nothing, "9: a silent member no longer counts", "mixed", 8, 300},
    {rule::register_outage_serves, "10: a primary stops while the register is down", "outage", 1, 10},
    {rule::leaves_last, "11: a member goes before who comes for it is in sync", "placement", 1, 100},
    {rule::passes_on_and_stays, "11: who passes the primary on is no member any more", "placement", 1, 100},
};

} // namespace

TEST_CASE("with all rules the copy that can be broken holds") {
  store::broken_rule = rule::none;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto result = sim::run({seed});
    for (const auto& violation : result.violations)
      UNSCOPED_INFO("seed " << seed << ": " << violation);
    CHECK(result.violations.empty());
  }
}

TEST_CASE("every rule that is broken is found out") {
  const auto with = [](rule broken, std::uint64_t seed, const char* scenario) {
    store::broken_rule = broken;
    auto result = sim::run({seed, scenario});
    store::broken_rule = rule::none;
    return result.violations;
  };
  for (const auto& each : rows) {
    std::uint64_t found = 0;
    std::string how;
    for (auto seed = each.from; seed < each.from + each.within && found == 0; ++seed) {
      const auto broken = with(each.broken, seed, each.scenario);
      if (broken.empty())
        continue;
      // It says something about the rule only where the store that keeps it is clean.
      const auto whole = with(rule::none, seed, each.scenario);
      INFO("glocal-sim --seeds " << seed << " --scenario " << each.scenario
                                 << " with all rules: " << (whole.empty() ? "clean" : whole.front()));
      CHECK(whole.empty());
      if (whole.empty()) {
        found = seed;
        how = broken.front();
      }
    }
    INFO(each.what << " survived " << each.within << " seeds of " << each.scenario << " from " << each.from);
    CHECK(found != 0);
    std::printf("%s: seed %llu of %s: %s\n", each.what, static_cast<unsigned long long>(found), each.scenario,
                how.substr(0, how.find('\n')).c_str());
  }
}
