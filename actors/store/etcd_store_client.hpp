#pragma once
// A node's way to a store that is on etcd alone: takes what a store_client takes, and has its name, so that callers use
// it through actor_store and can't tell the difference.
//
// HTTP is on the etcd client's thread; what it brings comes here as messages. Watches of one caller reach it in order.

#include "actors/store/messages.hpp"
#include "base/histogram.hpp"
#include "runtime/observed.hpp"
#include "store/etcd/etcd_store.hpp"

#include <caf/response_promise.hpp>

#include <map>
#include <memory>
#include <utility>

namespace glocal::actors {

class etcd_store_client final : public runtime::observed_actor {
public:
  etcd_store_client(caf::actor_config& config, std::shared_ptr<store::etcd_client> etcd,
                    store::etcd_store_settings settings);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;
  /// Lets go of the watchers.
  void on_exit() override;

private:
  using watcher_watch = std::pair<caf::actor_id, store::watch_id>;

  caf::response_promise execute(store_messages::execute& request);
  caf::response_promise scan(store_messages::scan& request);
  caf::response_promise lease(const store_messages::lease& request);
  void open(const caf::actor& watcher, const store_messages::watch_open& request);
  void close(std::map<watcher_watch, store::watch_id>::iterator at);

  /// Null after the end.
  std::unique_ptr<store::etcd_store> store_;
  /// By watcher and its own number.
  std::map<watcher_watch, store::watch_id> watches_;
  histogram latency_;
};

} // namespace glocal::actors
