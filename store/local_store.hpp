#pragma once
// The store in one process: all slots over one engine, without actors. For tests and tools.
//
// Threading: one thread. Calls queue their callbacks; run_until_idle() runs them. Time passes only by advance().

#include "store/engine.hpp"
#include "store/lease_book.hpp"
#include "store/slot_state.hpp"
#include "store/store.hpp"
#include "store/watch_merge.hpp"

#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace glocal::store {

class local_store final : public store {
public:
  /// Loads every slot. @error the engine's.
  [[nodiscard]] static expected<std::unique_ptr<local_store>, engine_failure>
  open(std::unique_ptr<engine> disk, slot_id slot_count, const slot_options& options = {});

  void execute(batch operations, batch_callback done) override;
  void scan(table from, std::string prefix, std::size_t limit, std::string continuation, page_callback done) override;
  [[nodiscard]] watch_id watch(table of, std::string prefix, watch_callback on_event) override;
  void unwatch(watch_id id) override;
  void grant_lease(lease_id id, std::chrono::milliseconds ttl, done_callback done) override;
  void renew_lease(lease_id id, done_callback done) override;
  void revoke_lease(lease_id id, done_callback done) override;

  /// Runs queued callbacks, and those they queue, until there are none.
  void run_until_idle();
  /// Lets time pass: leases run out.
  void advance(std::chrono::milliseconds by);
  [[nodiscard]] store_counters counters() const;

private:
  struct running_batch;
  struct open_watch;

  explicit local_store(std::unique_ptr<engine> disk) : disk_{std::move(disk)} {}
  void feed(slot_id slot, slot_event event);
  void carry_out(slot_id slot, persist_action& action);
  void carry_out(slot_id slot, reply_action& action);
  void carry_out(slot_id slot, scan_reply_action& action);
  void carry_out(slot_id slot, refuse_action& action);
  void carry_out(slot_id slot, publish_action& action);
  void carry_out(slot_id slot, lease_attached_action& action);
  void carry_out(slot_id slot, lease_detached_action& action);
  void later(std::function<void()> call) { calls_.push_back(std::move(call)); }

  std::unique_ptr<engine> disk_;
  std::vector<slot_state> slots_;
  lease_book leases_;
  timestamp now_{};
  std::uint64_t next_id_ = 1;
  std::map<request_id, std::shared_ptr<running_batch>> batches_;
  /// What the scan event that runs was answered; none when it was refused.
  std::optional<scan_reply_action> scanned_;
  std::map<watch_id, std::shared_ptr<open_watch>> watches_;
  std::deque<std::function<void()>> calls_;
};

} // namespace glocal::store
