#pragma once
// The global state on etcd alone: no slots of our own, one history of revisions for all tables, etcd's leases.
//
// - What came while an earlier request was under way goes as the next transaction: of one lane, of which there are few;
//   a key has its lane, so that what is done to it happens in its caller's order.
// - All watches share one stream; each begins with a snapshot. Store nodes write heartbeats into etcd, which every
//   stream hears: one that is silent for `silence_limit`, as a member cut off from the others is, makes the watches
//   suspect and is opened at the next endpoint. What etcd has compacted meanwhile is told as a resync.
// - An answer that was lost is asked for again, as store_client does: a conditional write that finds its own value
//   succeeded, and one that finds another's, where entries are changed, does not know. Tables that are volatile are not
//   asked again.
// - Etcd's leases live whole seconds, two at least, and keep the time they were first granted.
// Answers of another etcd cluster than the first one heard of are refused.
// Slot and positions in watch_events: one slot, 0.
// Threading: store's; HTTP and decoding are on the client's thread. REQUIRES of the owner: tick() about once a second.

#include "store/etcd/etcd_client.hpp"
#include "store/store.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace glocal::store {

struct etcd_store_settings {
  /// Keeps clusters apart that share an etcd.
  std::string cluster;
  /// Writes heartbeats under this name; empty: none.
  std::string heartbeat_as{};
  /// Of calls that name none.
  std::chrono::milliseconds deadline{2000};
  std::chrono::milliseconds silence_limit{3000};
  std::size_t max_open_operations = 65'536;
};

class etcd_store final : public store {
public:
  /// Has a function run in the owner's context, later, in the order of the calls; called on any thread.
  using executor = std::function<void(std::function<void()>)>;
  using events_callback = std::function<void(std::vector<watch_event>)>;
  struct counters {
    std::uint64_t calls = 0, operations = 0, transactions = 0, failures = 0;
    std::uint64_t watch_events = 0, suspects = 0, resyncs = 0;
  };

  etcd_store(std::shared_ptr<etcd_client> client, etcd_store_settings settings, executor in_owner);
  ~etcd_store() override;

  void execute(batch operations, batch_callback done) override {
    execute(std::move(operations), settings_.deadline, std::move(done));
  }
  void scan(table from, std::string prefix, std::size_t limit, std::string continuation, page_callback done) override {
    scan(from, std::move(prefix), limit, std::move(continuation), settings_.deadline, std::move(done));
  }
  [[nodiscard]] watch_id watch(table of, std::string prefix, watch_callback on_event) override;
  void unwatch(watch_id id) override;
  void grant_lease(lease_id id, std::chrono::milliseconds ttl, done_callback done) override {
    grant_lease(id, ttl, settings_.deadline, std::move(done));
  }
  void renew_lease(lease_id id, done_callback done) override { renew_lease(id, settings_.deadline, std::move(done)); }
  void revoke_lease(lease_id id, done_callback done) override { revoke_lease(id, settings_.deadline, std::move(done)); }

  // The same within a time of the caller's.
  void execute(batch operations, std::chrono::milliseconds within, batch_callback done);
  void scan(table from, std::string prefix, std::size_t limit, std::string continuation,
            std::chrono::milliseconds within, page_callback done);
  void grant_lease(lease_id id, std::chrono::milliseconds ttl, std::chrono::milliseconds within, done_callback done);
  void renew_lease(lease_id id, std::chrono::milliseconds within, done_callback done);
  void revoke_lease(lease_id id, std::chrono::milliseconds within, done_callback done);
  /// @param from what the watcher has seen before; 0: nothing, it is given what there is. Changes of that revision are
  /// told again. When etcd no longer has what followed, it is told `compacted`, and no more.
  [[nodiscard]] watch_id watch(table of, std::string prefix, revision from, events_callback on_events);

  void tick(timestamp now);

  [[nodiscard]] counters count() const noexcept { return counters_; }
  [[nodiscard]] std::size_t open_operations() const noexcept { return open_operations_; }
  [[nodiscard]] std::size_t watches() const noexcept { return watches_.size(); }
  [[nodiscard]] std::size_t watches_not_live() const;
  /// Whether the last request was answered.
  [[nodiscard]] bool answers() const noexcept { return answers_; }

private:
  struct shared;
  struct call;
  struct item {
    std::shared_ptr<call> owner;
    std::size_t place = 0;
    operation op;
  };
  struct lane {
    std::deque<item> queue;
    bool busy = false;
  };
  struct flight;
  struct running_scan;
  struct open_watch;

  void post(std::function<void()> what);
  void pump(std::size_t lane);
  [[nodiscard]] std::shared_ptr<flight> take_flight(std::size_t lane);
  void land(const std::shared_ptr<flight>& landed);
  /// What waits and has waited too long.
  void fail_late(std::size_t lane);
  void finish(const item& one, op_result result);
  void fail(const item& one, store_error why);
  void settle(call& done);
  void scan_on(const std::shared_ptr<running_scan>& scan);
  struct lease_answer;
  /// A request about one lease.
  void ask_lease(const char* path, std::string body, std::chrono::milliseconds within,
                 std::function<void(lease_answer)> then);

  struct snapshot_page;
  void take_snapshot(watch_id id);
  void on_page(watch_id id, const std::shared_ptr<snapshot_page>& page);
  /// Adds it to the stream.
  void join(open_watch& watch);
  void hear(watch_id id, std::vector<watch_event> events);
  void hear_created(watch_id id, revision at);
  void hear_heartbeat(revision at);
  void hear_canceled(watch_id id);
  void become_live(open_watch& watch);
  void deliver(const open_watch& watch, std::vector<watch_event> events);

  const etcd_store_settings settings_;
  const std::shared_ptr<shared> shared_;
  std::vector<lane> lanes_;
  std::size_t open_operations_ = 0;
  std::map<watch_id, std::shared_ptr<open_watch>> watches_;
  watch_id next_watch_;
  timestamp now_{}, heard_{};
  std::uint64_t ticks_ = 0;
  bool answers_ = true;
  counters counters_;
};

} // namespace glocal::store
