#pragma once
// The rules that keep acknowledged writes safe, each found by a failing simulated run. A branch that exists because of
// a rule asks holds() for it by name: the name at the branch is the reason for the branch.
//
// In the product holds() is the constant true. The simulation compiles the store a second time with
// GLOCAL_BREAKABLE_RULES, breaks one rule at a time and must notice (tests/sim/mutants_test.cpp).

#include <cstdint>

namespace glocal::store {

enum class rule : std::uint8_t {
  none,
  /// 1. A write commits when every member has it durable.
  every_member_commits,
  /// 1. A backup acknowledges only the prefix checked against the primary's log (epoch, index).
  checked_prefix,
  /// 1. ... and only what a loss of power leaves.
  durable_before_ack,
  /// 1. ... and takes none of it back: a snapshot that ends within its log is not installed over it.
  snapshot_keeps_log,
  /// 2. New writes are refused below min_isr members; what a smaller view commits is not acknowledged either.
  min_isr,
  /// 3. Only a registered member takes over.
  member_takes_over,
  /// 3. A takeover goes to the next epoch.
  next_epoch,
  /// 3. A new primary serves when its no-op has committed, not before.
  noop_first,
  /// 4. A restarted primary takes a new epoch.
  restart_is_new_epoch,
  /// 4. A wiped disk is a new incarnation and joins as a learner.
  wiped_is_new,
  /// 5. A joiner counts for commit before the register says so.
  joiner_counts_first,
  /// 5. A joiner is let in only after the new primary's no-op has committed.
  joiner_after_noop,
  /// 5. While a register call's outcome is unknown, old and new members must acknowledge.
  unknown_is_union,
  /// 6. A linearizable read is confirmed by every member; no clock is trusted.
  confirmed_read,
  /// 6. "absent" is said by the primary only.
  absent_by_primary,
  /// 7. A timeout means unknown.
  timeout_is_unknown,
  /// 8. An expiry names the version of the lease it ends.
  expiry_names_version,
  /// 8. A new primary gives every lease its full time again: what it knows of renewals is no older than that.
  full_time_after_takeover,
  /// 8. An owner treats its lease as lost at expiry minus the clock error.
  owner_gives_up_early,
  /// 9. The failure detector is never needed for safety: a silent member counts until the register says otherwise.
  detector_decides_nothing,
  /// 10. Existing views keep serving while the register is down.
  register_outage_serves,
  /// 11. A member that should not hold the slot any more goes when all that should are in sync, not before.
  leaves_last,
  /// 11. A primary that passes its place on stays a member.
  passes_on_and_stays,
};

#ifdef GLOCAL_BREAKABLE_RULES
/// The rule that is broken now; set between runs only.
inline thread_local rule broken_rule = rule::none;
[[nodiscard]] inline bool holds(rule which) noexcept {
  return which != broken_rule;
}
#else
[[nodiscard]] constexpr bool holds(rule) noexcept {
  return true;
}
#endif

} // namespace glocal::store
