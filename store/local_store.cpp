#include "store/local_store.hpp"

#include "store/slots.hpp"

#include <numeric>

namespace glocal::store {

/// A batch that is split over slots and waits for all of them.
struct local_store::running_batch {
  std::vector<op_result> results;
  /// Per slot asked: where its results belong.
  std::map<slot_id, std::vector<std::size_t>> places;
  std::optional<store_error> fault;
  batch_callback done;
};

struct local_store::open_watch {
  watch_merge merge;
  watch_callback on_event;
};

expected<std::unique_ptr<local_store>, engine_failure>
local_store::open(std::unique_ptr<engine> disk, slot_id slot_count, const slot_options& options) {
  std::unique_ptr<local_store> out{new local_store{std::move(disk)}};
  for (slot_id slot = 0; slot < slot_count; ++slot) {
    auto image = out->disk_->load(slot);
    if (!image)
      return unexpected{image.error()};
    out->slots_.emplace_back(slot, options, std::move(*image), out->now_);
    for (const auto& lease : out->slots_.back().leases())
      out->leases_.attached(slot, lease);
  }
  return out;
}

void local_store::execute(batch operations, batch_callback done) {
  if (const auto fault = check(operations))
    return later([done = std::move(done), fault] { done(unexpected{*fault}); });
  auto running = std::make_shared<running_batch>();
  running->results.resize(operations.size());
  running->done = std::move(done);
  std::map<slot_id, batch_event> parts;
  const auto request = next_id_++;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    auto& op = operations[i];
    const auto slot = slot_of(table_of(op), key_of(op), static_cast<slot_id>(slots_.size()));
    auto& part = parts[slot];
    part.request = request;
    if (const auto lease = leases_.find(lease_of(op)))
      part.leases.push_back(*lease);
    part.operations.push_back(std::move(op));
    running->places[slot].push_back(i);
  }
  batches_[request] = running;
  for (auto& [slot, part] : parts)
    feed(slot, std::move(part));
  batches_.erase(request);
  later([running] {
    if (running->fault)
      running->done(unexpected{*running->fault});
    else
      running->done(std::move(running->results));
  });
}

void local_store::scan(table from, std::string prefix, std::size_t limit, std::string continuation,
                       page_callback done) {
  if (limit == 0 || limit > limits::scan_page_entries)
    limit = limits::scan_page_entries;
  auto position = decode_position(continuation);
  if (!position || position->slot >= slots_.size())
    return later([done = std::move(done)] { done(unexpected{store_error::invalid}); });
  scan_page page;
  std::size_t size = 0;
  for (; position->slot < slots_.size(); *position = {static_cast<slot_id>(position->slot + 1), {}}) {
    if (page.entries.size() == limit || size > limits::scan_page_bytes) {
      page.continuation = encode_position(*position);
      break;
    }
    scanned_.reset();
    feed(position->slot, scan_event{0, from, prefix, position->after, limit - page.entries.size()});
    if (!scanned_)
      return later([done = std::move(done)] { done(unexpected{store_error::unavailable}); });
    for (auto& row : scanned_->entries) {
      size += payload_bytes(row);
      page.entries.push_back(std::move(row));
    }
    if (scanned_->more) {
      page.continuation = encode_position({position->slot, page.entries.back().key});
      break;
    }
  }
  later([done = std::move(done), page = std::move(page)] { done(page); });
}

watch_id local_store::watch(table of, std::string prefix, watch_callback on_event) {
  const auto id = next_id_++;
  std::vector<slot_id> all(slots_.size());
  std::iota(all.begin(), all.end(), slot_id{0});
  watches_[id] = std::make_shared<open_watch>(open_watch{watch_merge{of, {all}}, std::move(on_event)});
  for (const auto slot : all)
    feed(slot, subscribe_event{id, of, prefix, std::nullopt});
  return id;
}

void local_store::unwatch(watch_id id) {
  watches_.erase(id);
  for (std::size_t slot = 0; slot < slots_.size(); ++slot)
    feed(static_cast<slot_id>(slot), unsubscribe_event{id});
}

void local_store::grant_lease(lease_id id, std::chrono::milliseconds ttl, done_callback done) {
  if (id == 0 || ttl < limits::shortest_ttl || ttl > limits::longest_ttl)
    return later([done = std::move(done)] { done(unexpected{store_error::invalid}); });
  const auto grant = leases_.grant(id, ttl, now_);
  for (const auto slot : leases_.holders(id))
    feed(slot, renew_event{grant});
  later([done = std::move(done)] { done({}); });
}

void local_store::renew_lease(lease_id id, done_callback done) {
  if (!leases_.renew(id, now_))
    return later([done = std::move(done)] { done(unexpected{store_error::no_such_lease}); });
  for (const auto slot : leases_.holders(id))
    feed(slot, renew_event{*leases_.find(id)});
  later([done = std::move(done)] { done({}); });
}

void local_store::revoke_lease(lease_id id, done_callback done) {
  const auto holders = leases_.holders(id);
  leases_.revoke(id);
  for (const auto slot : holders)
    feed(slot, revoke_event{id});
  later([done = std::move(done)] { done({}); });
}

void local_store::run_until_idle() {
  while (!calls_.empty()) {
    const auto call = std::move(calls_.front());
    calls_.pop_front();
    call();
  }
}

void local_store::advance(std::chrono::milliseconds by) {
  now_ += by;
  for (const auto slot : leases_.expire(now_))
    feed(slot, tick_event{now_});
}

store_counters local_store::counters() const {
  store_counters total;
  for (const auto& slot : slots_)
    total += slot.counters();
  return total;
}

void local_store::feed(slot_id slot, slot_event event) {
  for (auto& action : slots_[slot].step(std::move(event)))
    std::visit([&](auto& concrete) { carry_out(slot, concrete); }, action);
}

void local_store::carry_out(slot_id slot, persist_action& action) {
  const auto written = disk_->write({&action.write, 1}, action.sync);
  if (!written)
    feed(slot, disk_failed_event{});
  else if (action.sync)
    feed(slot, durable_event{action.write.index});
}

void local_store::carry_out(slot_id slot, reply_action& action) {
  auto& running = *batches_.at(action.request);
  const auto& places = running.places.at(slot);
  for (std::size_t i = 0; i < places.size(); ++i)
    running.results[places[i]] = std::move(action.results[i]);
}

void local_store::carry_out(slot_id, scan_reply_action& action) {
  scanned_ = std::move(action);
}

void local_store::carry_out(slot_id, refuse_action& action) {
  if (const auto running = batches_.find(action.request); running != batches_.end())
    running->second->fault = action.why;
}

void local_store::carry_out(slot_id, publish_action& action) {
  for (const auto id : action.subscriptions) {
    later([this, id, records = action.records] {
      // Held: a callback may end its own watch.
      const auto watch = watches_.contains(id) ? watches_.at(id) : nullptr;
      if (!watch)
        return;
      watch->merge.deliver(0, records, [&](const watch_event& event) {
        if (watches_.contains(id))
          watch->on_event(event);
      });
    });
  }
}

void local_store::carry_out(slot_id slot, lease_attached_action& action) {
  leases_.attached(slot, action.lease);
}

void local_store::carry_out(slot_id slot, lease_detached_action& action) {
  leases_.detached(slot, action.lease);
}

} // namespace glocal::store
