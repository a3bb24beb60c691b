#include "actors/store/etcd_store_client.hpp"

#include "actors/store/names.hpp"
#include "runtime/atoms.hpp"

#include <caf/actor_cast.hpp>
#include <caf/send.hpp>

#include <chrono>

namespace glocal::actors {

namespace messages = store_messages;

namespace {

constexpr std::chrono::seconds tick_period{1};

store::etcd_store::executor run_in(caf::event_based_actor& owner) {
  // Weak: the client's calls outlive an actor that is restarted.
  return [to = caf::actor_cast<caf::actor_addr>(&owner)](std::function<void()> what) {
    if (const auto actor = caf::actor_cast<caf::actor>(to))
      caf::anon_send(actor, messages::run{std::move(what)});
  };
}

} // namespace

etcd_store_client::etcd_store_client(caf::actor_config& config, std::shared_ptr<store::etcd_client> etcd,
                                     store::etcd_store_settings settings)
    : runtime::observed_actor{config, "store client", std::string{store_client_name}},
      store_{std::make_unique<store::etcd_store>(std::move(etcd), std::move(settings), run_in(*this))} {}

caf::behavior etcd_store_client::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    for (auto at = watches_.lower_bound({down.source.id(), 0});
         at != watches_.end() && at->first.first == down.source.id();)
      close(at++);
  });
  send(this, runtime::tick_atom_v);
  return {
      [this](messages::execute& request) { return execute(request); },
      [this](messages::scan& request) { return scan(request); },
      [this](const messages::lease& request) { return lease(request); },
      [this](const messages::watch_open& request) { open(caf::actor_cast<caf::actor>(current_sender()), request); },
      [this](const messages::watch_close& request) {
        if (const auto at = watches_.find({request.watcher, request.id}); at != watches_.end())
          close(at);
      },
      [this](runtime::tick_atom) {
        store_->tick(clock().now());
        delayed_send(this, tick_period, runtime::tick_atom_v);
      },
      [](const messages::run& later) { later.what(); },
  };
}

caf::response_promise etcd_store_client::execute(messages::execute& request) {
  auto promise = make_response_promise();
  const auto begun = clock().now();
  store_->execute(std::move(request.operations), request.within, [this, promise, begun](auto results) mutable {
    latency_.record(static_cast<std::uint64_t>((clock().now() - begun).count()));
    promise.deliver(messages::executed{std::move(results)});
  });
  return promise;
}

caf::response_promise etcd_store_client::scan(messages::scan& request) {
  auto promise = make_response_promise();
  store_->scan(request.from, std::move(request.prefix), request.limit, std::move(request.continuation), request.within,
               [promise](auto page) mutable { promise.deliver(messages::scanned{std::move(page)}); });
  return promise;
}

caf::response_promise etcd_store_client::lease(const messages::lease& request) {
  auto promise = make_response_promise();
  auto done = [promise](auto result) mutable { promise.deliver(messages::leased{std::move(result)}); };
  switch (request.action) {
  case store::lease_action::grant: store_->grant_lease(request.id, request.ttl, request.within, done); break;
  case store::lease_action::renew: store_->renew_lease(request.id, request.within, done); break;
  case store::lease_action::revoke: store_->revoke_lease(request.id, request.within, done); break;
  }
  return promise;
}

void etcd_store_client::open(const caf::actor& watcher, const messages::watch_open& request) {
  const watcher_watch name{watcher->id(), request.id};
  if (watches_.contains(name))
    return;
  monitor(watcher);
  const auto from = request.from.empty() ? store::revision{0} : request.from.front().at;
  watches_[name] = store_->watch(request.of, request.prefix, from,
                                 [this, watcher, id = request.id](std::vector<store::watch_event> events) {
                                   send(watcher, messages::watch_delivery{id, std::move(events)});
                                 });
}

void etcd_store_client::close(std::map<watcher_watch, store::watch_id>::iterator at) {
  store_->unwatch(at->second);
  watches_.erase(at);
}

void etcd_store_client::on_exit() {
  watches_.clear();
  store_.reset();
}

runtime::state_entries etcd_store_client::state_summary() const {
  const auto microseconds = [this](double q) { return std::to_string(latency_.quantile(q) / 1000); };
  if (!store_)
    return {};
  const auto& count = store_->count();
  return {{"backend", "etcd"},
          {"answers", store_->answers() ? "true" : "false"},
          {"calls", std::to_string(count.calls)},
          {"operations", std::to_string(count.operations)},
          {"open_operations", std::to_string(store_->open_operations())},
          {"frames", std::to_string(count.transactions)},
          {"failures", std::to_string(count.failures)},
          {"latency_p50_us", microseconds(0.5)},
          {"latency_p99_us", microseconds(0.99)},
          {"watches", std::to_string(store_->watches())},
          {"watches_not_live", std::to_string(store_->watches_not_live())},
          {"watch_events", std::to_string(count.watch_events)},
          {"suspects", std::to_string(count.suspects)},
          {"resyncs", std::to_string(count.resyncs)}};
}

} // namespace glocal::actors
