#pragma once
// The configuration register: the one place that says who is a slot's primary and who its members are. Only
// compare-and-set changes it. Implementations: memory_register, etcd/etcd_register. What each of them is held to:
// register_contract_test.hpp.
//
// Threading: one owner; callbacks run in its context, never before the call returned, exactly once, within a bounded
// time, unless the register is destroyed first: then never.
// An unknown outcome is an answer: the call may have happened, may not have, and *may still happen later*. Reading the
// old value after it proves nothing; only another compare-and-set on the same version that gets a definite answer does.

#include "store/replica_types.hpp"

#include <functional>
#include <optional>

namespace glocal::store {

class config_register {
public:
  using read_callback = std::function<void(std::optional<register_value>)>;
  using set_callback = std::function<void(set_outcome)>;
  using watch_callback = std::function<void(slot_id, const register_value&)>;

  virtual ~config_register() = default;

  /// The value of `slot`, linearizable; version 0 and an empty view when it was never set. None: unreachable.
  virtual void get(slot_id slot, read_callback done) = 0;
  /// Sets `wanted` if the version is still `expected` (0: never set). The new version is greater.
  virtual void compare_and_set(slot_id slot, std::uint64_t expected, slot_view wanted, set_callback done) = 0;
  /// Calls `on_change` with changes of any slot, latest wins: intermediate values may be skipped. Best effort, a hint
  /// that saves waiting: replicas read again by themselves. One watcher; it replaces the one before.
  virtual void watch(watch_callback on_change) = 0;
};

} // namespace glocal::store
