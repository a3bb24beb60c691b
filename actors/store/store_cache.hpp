#pragma once
// A node's cache in front of its way to the store: it takes what a store_client takes, answers reads it has
// (store/read_cache.hpp) and passes on the rest. Callers use it through actor_store, which can't tell the difference.
//
// The first read of a table opens its watch. When the watch's streams are silent for the client's silence_limit, the
// table is suspect and its reads go to the store until the watch is live again. So what a read gives is at most
// silence_limit, a tick of the client's (1 s) and what a store node may be behind its primary (0.9 s, then it ends its
// streams) old: 5 s in all; some milliseconds in fact. Callers read their own writes, and those of all others here.
//
// Batches without a table that may be cached, scans, leases and watches pass without being looked at.

#include "actors/store/actor_store.hpp"
#include "actors/store/messages.hpp"
#include "runtime/observed.hpp"
#include "store/read_cache.hpp"

#include <caf/response_promise.hpp>

#include <memory>
#include <set>
#include <vector>

namespace glocal::actors {

class store_cache final : public runtime::observed_actor {
public:
  /// @param client this node's store_client, or what takes the same.
  store_cache(caf::actor_config& config, const store::cache_options& options, caf::actor client);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of the client.
  void on_exit() override;

private:
  /// A batch that is at the store in part or as a whole.
  struct passed_batch {
    store::batch operations;
    /// Of each operation that is passed on: its place in the caller's batch, and its read.
    std::vector<std::size_t> places;
    std::vector<store::read_cache::read_id> reads;
    std::vector<store::op_result> results;
  };

  caf::response_promise execute(store_messages::execute& request);
  caf::response_promise pass(passed_batch passed, std::chrono::milliseconds within);
  void settle(passed_batch& passed, const store::batch_reply& reply);
  caf::response_promise lease(const store_messages::lease& request);
  void open_watch(store::table of);

  caf::actor client_;
  store::read_cache cache_;
  /// Null after the end. Its watches are this actor's own.
  std::unique_ptr<actor_store> watches_;
  std::set<store::table> watched_;
};

} // namespace glocal::actors
