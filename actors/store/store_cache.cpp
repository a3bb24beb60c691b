#include "actors/store/store_cache.hpp"

#include "actors/store/names.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::get_op;
using store::op_result;

namespace {

/// The client answers in time; CAF's own time-out is for the case that it is gone or stuck.
constexpr std::chrono::milliseconds grace{500};

} // namespace

store_cache::store_cache(caf::actor_config& config, const store::cache_options& options, caf::actor client)
    : runtime::observed_actor{config, "store cache", std::string{store_cache_name}}, client_{std::move(client)},
      cache_{options}, watches_{std::make_unique<actor_store>(*this, client_)} {}

caf::behavior store_cache::make_behavior() {
  return caf::message_handler{
      [this](messages::execute& request) { return execute(request); },
      [this](messages::scan& request) { return delegate(client_, std::move(request)); },
      [this](const messages::lease& request) { return lease(request); },
      [this](messages::watch_open& request) { return delegate(client_, std::move(request)); },
      [this](const messages::watch_close& request) { return delegate(client_, request); },
  }
      .or_else(watches_->handler());
}

caf::response_promise store_cache::execute(messages::execute& request) {
  auto& operations = request.operations;
  const auto is_cached = [](const store::operation& op) { return store::may_be_cached(table_of(op)); };
  if (std::ranges::none_of(operations, is_cached) || store::check(operations)) {
    auto promise = make_response_promise();
    promise.delegate(client_, std::move(request));
    return promise;
  }
  passed_batch passed;
  const bool only_reads =
      std::ranges::all_of(operations, [](const auto& op) { return std::holds_alternative<get_op>(op); });
  passed.results.resize(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    auto& op = operations[i];
    if (is_cached(op))
      open_watch(table_of(op));
    // Where something is written, the reads beside it are to see that.
    if (const auto* known = only_reads && is_cached(op) ? cache_.find(table_of(op), key_of(op)) : nullptr) {
      passed.results[i] = {store::op_code::ok, *known};
      continue;
    }
    passed.places.push_back(i);
    passed.operations.push_back(std::move(op));
  }
  return pass(std::move(passed), request.within);
}

caf::response_promise store_cache::pass(passed_batch passed, std::chrono::milliseconds within) {
  auto promise = make_response_promise();
  if (passed.operations.empty()) {
    promise.deliver(messages::executed{std::move(passed.results)});
    return promise;
  }
  passed.reads.resize(passed.operations.size());
  for (std::size_t i = 0; i < passed.operations.size(); ++i) {
    const auto& op = passed.operations[i];
    if (!store::may_be_cached(table_of(op)))
      continue;
    if (std::holds_alternative<get_op>(op))
      passed.reads[i] = cache_.begin_read(table_of(op), key_of(op));
    else
      cache_.begin_write(op);
  }
  messages::execute order{passed.operations, within};
  const auto shared = std::make_shared<passed_batch>(std::move(passed));
  request(client_, within + grace, std::move(order))
      .then(
          [this, promise, shared](messages::executed& answer) mutable {
            settle(*shared, answer.reply);
            if (!answer.reply)
              return promise.deliver(std::move(answer));
            for (std::size_t i = 0; i < shared->places.size(); ++i)
              shared->results[shared->places[i]] = std::move((*answer.reply)[i]);
            promise.deliver(messages::executed{std::move(shared->results)});
          },
          [this, promise, shared](const caf::error& fault) mutable {
            settle(*shared, unexpected{store::store_error::timeout});
            promise.deliver(fault);
          });
  return promise;
}

void store_cache::settle(passed_batch& passed, const store::batch_reply& reply) {
  for (std::size_t i = 0; i < passed.operations.size(); ++i) {
    const auto& op = passed.operations[i];
    if (!store::may_be_cached(table_of(op)))
      continue;
    const auto* result = reply && i < reply->size() ? &(*reply)[i] : nullptr;
    if (std::holds_alternative<get_op>(op))
      cache_.end_read(passed.reads[i], result);
    else
      cache_.end_write(op, result);
  }
}

caf::response_promise store_cache::lease(const messages::lease& asked) {
  auto promise = make_response_promise();
  if (asked.action != store::lease_action::revoke) {
    promise.delegate(client_, asked);
    return promise;
  }
  request(client_, asked.within + grace, asked)
      .then(
          [this, promise](const messages::leased& answer) mutable {
            cache_.forget_all();
            promise.deliver(answer);
          },
          [this, promise](const caf::error& fault) mutable {
            cache_.forget_all();
            promise.deliver(fault);
          });
  return promise;
}

void store_cache::open_watch(store::table of) {
  if (watched_.insert(of).second)
    (void)watches_->watch(of, "", [this, of](const store::watch_event& event) { cache_.follow(of, event); });
}

void store_cache::on_exit() {
  watches_.reset();
  client_ = {};
}

runtime::state_entries store_cache::state_summary() const {
  store::read_cache::counters all;
  runtime::state_entries tables;
  for (const auto of : watched_) {
    const auto& count = cache_.count(of);
    all.hits += count.hits;
    all.misses += count.misses;
    all.suspect += count.suspect;
    const std::string name{store::name(of)};
    tables.emplace_back(name + "_hits", std::to_string(count.hits));
    tables.emplace_back(name + "_misses", std::to_string(count.misses));
    tables.emplace_back(name + "_suspect", std::to_string(count.suspect));
    tables.emplace_back(name + "_live", cache_.is_live(of) ? "true" : "false");
  }
  const auto reads = all.hits + all.misses + all.suspect;
  runtime::state_entries out{{"hit_percent", reads == 0 ? "-" : std::to_string(100 * all.hits / reads)},
                             {"hits", std::to_string(all.hits)},
                             {"misses", std::to_string(all.misses)},
                             {"suspect", std::to_string(all.suspect)},
                             {"entries", std::to_string(cache_.size())},
                             {"bytes", std::to_string(cache_.bytes())},
                             {"evictions", std::to_string(cache_.evictions())}};
  out.insert(out.end(), tables.begin(), tables.end());
  return out;
}

} // namespace glocal::actors
