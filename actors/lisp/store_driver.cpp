#include "actors/lisp/store_driver.hpp"

#include <utility>

namespace glocal::lisp {

void store_driver::watch() {
  watches_.push_back(store_.watch(store::table::mappings, "", [this](const store::watch_event& event) {
    step([&](effects& out) { server_.mappings_changed(event, now_(), out); });
  }));
  watches_.push_back(store_.watch(store::table::subscriptions, "", [this](const store::watch_event& event) {
    step([&](effects& out) { server_.subscriptions_changed(event, now_(), out); });
  }));
}

void store_driver::unwatch() {
  for (const auto id : std::exchange(watches_, {}))
    store_.unwatch(id);
}

void store_driver::carry_out(effects&& what) {
  if (!what.datagrams.empty())
    send_(std::move(what.datagrams));
  for (auto& order : what.writes)
    write(std::move(order));
  for (const auto& order : what.renewals)
    store_.renew_lease(order.lease, [this, token = order.token](const expected<void, store::store_error>& result) {
      step([&](effects& out) { server_.renewed(token, result, now_(), out); });
    });
}

void store_driver::write(store_write&& order) {
  if (order.lease == 0)
    return execute(std::move(order));
  const auto lease = order.lease;
  const auto ttl = order.ttl;
  store_.grant_lease(
      lease, ttl, [this, order = std::move(order)](const expected<void, store::store_error>& granted) mutable {
        if (granted)
          return execute(std::move(order));
        step([&](effects& out) { server_.written(order.token, unexpected{granted.error()}, now_(), out); });
      });
}

void store_driver::execute(store_write&& order) {
  store_.execute(std::move(order.operations), [this, token = order.token](const map_server::write_result& result) {
    step([&](effects& out) { server_.written(token, result, now_(), out); });
  });
}

} // namespace glocal::lisp
