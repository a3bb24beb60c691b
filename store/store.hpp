#pragma once
// The one interface to the global state. Implementations: local_store (in-process), actors/store/actor_store (the
// federation of store nodes).
//
// Threading: an instance has one owner; every call is made by it and every callback runs in its context (for an actor:
// inside that actor), never before the call returned. A callback is called exactly once, within a bounded time, unless
// the store is destroyed first: then never.
// A timeout means unknown: conditional operations are retried safely, because a retry is given the winner.

#include "base/expected.hpp"
#include "store/types.hpp"

#include <functional>
#include <utility>

namespace glocal::store {

class store {
public:
  using batch_callback = std::function<void(expected<std::vector<op_result>, store_error>)>;
  using result_callback = std::function<void(expected<op_result, store_error>)>;
  using page_callback = std::function<void(expected<scan_page, store_error>)>;
  using done_callback = std::function<void(expected<void, store_error>)>;
  using watch_callback = std::function<void(const watch_event&)>;

  virtual ~store() = default;

  /// Runs `operations` and answers with one result each, in their order. All tables but the volatile ones are durable
  /// when it answers. When it fails, some operations may have happened. Cost: one round trip to each node concerned.
  virtual void execute(batch operations, batch_callback done) = 0;

  /// Entries of `from` whose key starts with `prefix`, at most `limit` (0 or too many: limits::scan_page_entries).
  /// Each entry is committed; pages are not one snapshot: what changes meanwhile may be seen or not.
  /// @param continuation of the page before; empty for the first.
  virtual void scan(table from, std::string prefix, std::size_t limit, std::string continuation,
                    page_callback done) = 0;

  /// Calls `on_event` with the entries there are, then `live`, then every committed change: ordered and gap-free per
  /// key; delivered at least once, never undone by an older one. Runs until unwatch.
  [[nodiscard]] virtual watch_id watch(table of, std::string prefix, watch_callback on_event) = 0;
  /// No callback of `id` runs after this.
  virtual void unwatch(watch_id id) = 0;

  /// Makes lease `id`, or gives it `ttl` again. Entries hang on it by naming it when they are written.
  virtual void grant_lease(lease_id id, std::chrono::milliseconds ttl, done_callback done) = 0;
  /// @error no_such_lease: it ran out somewhere, so entries may be gone: grant it again and write them again.
  virtual void renew_lease(lease_id id, done_callback done) = 0;
  /// Erases all that hangs on it, now.
  virtual void revoke_lease(lease_id id, done_callback done) = 0;

  // One operation each, over execute().
  void get(table in, std::string key, result_callback done) { one(get_op{in, std::move(key)}, std::move(done)); }
  void put(table in, std::string key, std::string value, lease_id lease, result_callback done) {
    one(put_op{in, std::move(key), std::move(value), lease}, std::move(done));
  }
  void put_if_absent(table in, std::string key, std::string value, lease_id lease, result_callback done) {
    one(put_if_absent_op{in, std::move(key), std::move(value), lease}, std::move(done));
  }
  void compare_and_set(table in, std::string key, std::string value, revision expected_version, lease_id lease,
                       result_callback done) {
    one(compare_and_set_op{in, std::move(key), std::move(value), expected_version, lease}, std::move(done));
  }
  void erase(table in, std::string key, result_callback done) {
    one(erase_op{in, std::move(key), {}}, std::move(done));
  }

private:
  void one(operation op, result_callback done);
};

} // namespace glocal::store
