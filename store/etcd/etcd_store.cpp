#include "store/etcd/etcd_store.hpp"

#include "base/hash.hpp"
#include "store/etcd/etcd_store_parts.hpp"
#include "store/slots.hpp"

#include <algorithm>
#include <set>

namespace glocal::store {

using namespace std::chrono_literals;
using reply = etcd_client::reply;

namespace {

/// Transactions under way at once: enough to fill etcd's own batches.
constexpr std::size_t lane_count = 4;
/// Of one transaction: half of what an etcd takes by default, and a third of its bytes, as values go twice.
constexpr std::size_t most_in_flight = 64, most_flight_bytes = std::size_t{256} << 10;
constexpr std::string_view no_such_lease_text = "lease not found", lease_exists_text = "lease already exists";

std::chrono::milliseconds left_until(timestamp deadline) {
  return std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
}

/// Of a reply that is no answer to what was asked.
store_error fault_of(const reply& got) {
  if (got.status == 0)
    return got.may_have_happened ? store_error::timeout : store_error::unavailable;
  if (got.status == 429)
    return store_error::overloaded;
  return got.status == etcd_client::too_large ? store_error::too_large : store_error::invalid;
}

/// The value a conditional write wanted to be there; null for other operations.
const std::string* wanted_value(const operation& op) {
  if (const auto* write = std::get_if<put_if_absent_op>(&op))
    return &write->value;
  if (const auto* write = std::get_if<compare_and_set_op>(&op))
    return &write->value;
  return nullptr;
}

} // namespace

/// A caller's batch until all its operations have an outcome.
struct etcd_store::call {
  batch_callback done;
  std::vector<op_result> results;
  std::size_t open = 0;
  std::optional<store_error> fault;
  timestamp deadline;
};

/// One transaction.
struct etcd_store::flight {
  std::size_t lane = 0;
  std::vector<item> items;
  batch operations;
  lease_id lease = 0;
  reply got;
  std::optional<std::vector<op_result>> results;
};

etcd_store::etcd_store(std::shared_ptr<etcd_client> client, etcd_store_settings settings, executor in_owner)
    : settings_{std::move(settings)}, shared_{std::make_shared<shared>(std::move(client), settings_.cluster,
                                                                       std::move(in_owner))},
      lanes_(lane_count), next_watch_{etcd::heartbeat_watch + 1} {}

etcd_store::~etcd_store() {
  shared_->alive = false;
  if (shared_->stream != 0)
    shared_->client->close(shared_->stream);
  shared_->client.reset(); // its thread holds `shared` in callbacks, and must not be the one that ends it
}

void etcd_store::post(std::function<void()> what) {
  shared::run(shared_, std::move(what));
}

// Batches.

void etcd_store::execute(batch operations, std::chrono::milliseconds within, batch_callback done) {
  auto fault = check(operations);
  if (!fault && open_operations_ + operations.size() > settings_.max_open_operations)
    fault = store_error::overloaded;
  if (fault || operations.empty())
    return post([fault, done = std::move(done)] { fault ? done(unexpected{*fault}) : done(std::vector<op_result>{}); });
  const auto owner = std::make_shared<call>();
  owner->done = std::move(done);
  owner->open = operations.size();
  owner->results.resize(owner->open);
  owner->deadline = std::chrono::steady_clock::now() + within;
  ++counters_.calls;
  counters_.operations += operations.size();
  open_operations_ += operations.size();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    auto& op = operations[i];
    const auto lane = hash_text(key_of(op), static_cast<std::uint64_t>(table_of(op))) % lanes_.size();
    lanes_[lane].queue.push_back({owner, i, std::move(op)});
  }
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
    pump(lane);
}

void etcd_store::pump(std::size_t lane) {
  if (lanes_[lane].busy)
    return;
  const auto next = take_flight(lane);
  if (!next)
    return;
  lanes_[lane].busy = true;
  ++counters_.transactions;
  auto deadline = timestamp::max();
  for (const auto& one : next->items)
    deadline = std::min(deadline, one.owner->deadline);
  const bool once =
      is_volatile(table_of(next->operations.front())) &&
      !std::ranges::all_of(next->operations, [](const auto& op) { return std::holds_alternative<get_op>(op); });
  shared_->client->ask("/v3/kv/txn", etcd::txn_request(shared_->space, next->operations), left_until(deadline), once,
                       [this, self = shared_, next](reply got) {
                         if (got.status == 200) {
                           auto results = etcd::decode_txn(got.body, self->space, next->operations);
                           if (!results || !self->is_ours(results->cluster))
                             return false;
                           next->results = std::move(results->value);
                         }
                         next->got = std::move(got);
                         shared::run(self, [this, next] { land(next); });
                         return true;
                       });
}

/// What may be one transaction: no key is written twice, and only one lease is named, so that etcd's refusal says whose
/// it is. Null when nothing waits.
std::shared_ptr<etcd_store::flight> etcd_store::take_flight(std::size_t lane) {
  auto& queue = lanes_[lane].queue;
  auto out = std::make_shared<flight>();
  out->lane = lane;
  std::set<std::pair<table, std::string>> written;
  std::size_t bytes = 0;
  const auto now = std::chrono::steady_clock::now();
  while (!queue.empty() && out->items.size() < most_in_flight) {
    auto& next = queue.front();
    if (next.owner->deadline <= now) {
      const auto late = std::move(next);
      queue.pop_front();
      fail(late, store_error::unavailable);
      continue;
    }
    const auto in = table_of(next.op);
    const auto lease = lease_of(next.op);
    bytes += payload_bytes(next.op);
    if (!out->items.empty() && (bytes > most_flight_bytes || (lease != 0 && out->lease != 0 && lease != out->lease) ||
                                is_volatile(in) != is_volatile(table_of(out->operations.front()))))
      break;
    if (!std::holds_alternative<get_op>(next.op) && !written.emplace(in, key_of(next.op)).second)
      break;
    out->lease = lease != 0 ? lease : out->lease;
    out->operations.push_back(next.op);
    out->items.push_back(std::move(next));
    queue.pop_front();
  }
  return out->items.empty() ? nullptr : out;
}

void etcd_store::land(const std::shared_ptr<flight>& landed) {
  auto& lane = lanes_[landed->lane];
  lane.busy = false;
  const auto& got = landed->got;
  answers_ = got.status != 0;
  auto& items = landed->items;
  if (landed->results) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      auto& result = (*landed->results)[i];
      const auto& op = landed->operations[i];
      const auto* wanted = wanted_value(op);
      if (got.may_have_happened && wanted != nullptr && result.code == op_code::conflict) {
        if (result.found && result.found->value == *wanted && result.found->lease == lease_of(op)) {
          result.code = op_code::ok; // an attempt before this one did it
        } else if (!is_write_once(table_of(op))) {
          fail(items[i], store_error::timeout);
          continue;
        }
      }
      finish(items[i], std::move(result));
    }
  } else if (got.status == 404 && landed->lease != 0 &&
             etcd::fault_of(got.body).find(no_such_lease_text) != std::string::npos) {
    for (auto one = items.rbegin(); one != items.rend(); ++one)
      if (lease_of(one->op) == 0)
        lane.queue.push_front(std::move(*one)); // not tried yet
    for (const auto& one : items)
      if (one.owner && lease_of(one.op) != 0)
        finish(one, {op_code::no_such_lease, {}});
  } else {
    for (const auto& one : items)
      fail(one, fault_of(got));
  }
  pump(landed->lane);
}

void etcd_store::fail_late(std::size_t lane) {
  std::vector<item> late;
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(lanes_[lane].queue, [&](item& one) {
    const bool is_late = one.owner->deadline <= now;
    if (is_late)
      late.push_back(std::move(one));
    return is_late;
  });
  for (const auto& one : late)
    fail(one, store_error::unavailable);
}

void etcd_store::finish(const item& one, op_result result) {
  one.owner->results[one.place] = std::move(result);
  settle(*one.owner);
}

void etcd_store::fail(const item& one, store_error why) {
  one.owner->fault = why;
  settle(*one.owner);
}

void etcd_store::settle(call& done) {
  --open_operations_;
  if (--done.open > 0)
    return;
  counters_.failures += done.fault.has_value();
  // Later: it may call this store again, and must not find it in the middle of something.
  post([done = std::move(done)]() mutable {
    done.fault ? done.done(unexpected{*done.fault}) : done.done(std::move(done.results));
  });
}

// Scans.

void ask_range(const std::shared_ptr<etcd_client>& client, const etcd::row_space& space, etcd::range_of_rows what,
               std::chrono::milliseconds within, std::function<bool(std::uint64_t)> is_ours,
               std::function<void(range_outcome)> done) {
  auto body = etcd::range_request(space, what);
  client->ask("/v3/kv/range", std::move(body), within, false,
              [&space, what = std::move(what), is_ours = std::move(is_ours), done = std::move(done)](reply got) {
                range_outcome out;
                if (got.status == 200) {
                  auto found = etcd::decode_range(got.body, space, what);
                  if (!found || !is_ours(found->cluster))
                    return false;
                  out.found = std::move(found->value);
                } else {
                  out.why = fault_of(got);
                  out.is_too_large = got.status == etcd_client::too_large;
                  out.is_refused = got.status >= 400 && !out.is_too_large;
                }
                done(std::move(out));
                return true;
              });
}

std::size_t next_range(std::size_t rows, std::size_t bytes) noexcept {
  constexpr std::size_t wanted_bytes = std::size_t{1} << 20;
  return rows == 0 ? first_range : std::clamp(wanted_bytes / (bytes / rows + 1), first_range, most_in_range);
}

/// A page that is collected range by range.
struct etcd_store::running_scan {
  etcd::range_of_rows next;
  std::size_t limit = 0, bytes = 0, range = first_range;
  scan_page page;
  timestamp deadline;
  page_callback done;
};

void etcd_store::scan(table from, std::string prefix, std::size_t limit, std::string continuation,
                      std::chrono::milliseconds within, page_callback done) {
  const auto at = decode_position(continuation);
  if (!at || at->slot != 0)
    return post([done = std::move(done)] { done(unexpected{store_error::invalid}); });
  auto scan = std::make_shared<running_scan>();
  scan->limit = limit == 0 ? limits::scan_page_entries : std::min(limit, limits::scan_page_entries);
  scan->next = {from, std::move(prefix), at->after, 0, 0};
  scan->deadline = std::chrono::steady_clock::now() + within;
  scan->done = std::move(done);
  ++counters_.calls;
  scan_on(scan);
}

void etcd_store::scan_on(const std::shared_ptr<running_scan>& scan) {
  scan->next.limit = std::min(scan->range, scan->limit - scan->page.entries.size());
  const auto end = [this, scan](std::optional<store_error> fault) {
    counters_.failures += fault.has_value();
    fault ? scan->done(unexpected{*fault}) : scan->done(std::move(scan->page));
  };
  ask_range(
      shared_->client, shared_->space, scan->next, left_until(scan->deadline),
      [self = shared_](std::uint64_t cluster) { return self->is_ours(cluster); },
      [this, self = shared_, scan, end](range_outcome got) {
        shared::run(self, [this, scan, end, got = std::move(got)]() mutable {
          answers_ = got.found || got.is_refused || got.is_too_large;
          if (got.is_too_large && scan->range > 1) {
            scan->range = std::max<std::size_t>(scan->range / 4, 1);
            return scan_on(scan);
          }
          if (!got.found)
            return end(got.why);
          std::size_t bytes = 0;
          bool more = got.found->more;
          for (auto& row : got.found->rows) {
            bytes += payload_bytes(row);
            if (scan->bytes + bytes > limits::scan_page_bytes && !scan->page.entries.empty()) {
              more = true;
              scan->limit = scan->page.entries.size();
              break;
            }
            scan->next.after = row.key;
            scan->page.entries.push_back(std::move(row));
          }
          scan->bytes += bytes;
          if (more && scan->page.entries.size() < scan->limit) {
            scan->range = next_range(got.found->rows.size(), bytes);
            return scan_on(scan);
          }
          if (more)
            scan->page.continuation = encode_position({0, scan->next.after});
          end(std::nullopt);
        });
      });
}

// Leases.

struct etcd_store::lease_answer {
  reply got;
  std::string fault;
};

void etcd_store::ask_lease(const char* path, std::string body, std::chrono::milliseconds within,
                           std::function<void(lease_answer)> then) {
  ++counters_.calls;
  shared_->client->ask(path, std::move(body), within, false, [self = shared_, then = std::move(then)](reply got) {
    if (got.status == 200 && !self->is_ours(etcd::cluster_of(got.body)))
      return false;
    auto fault = got.status == 0 || got.status == 200 ? std::string{} : etcd::fault_of(got.body);
    shared::run(self, [then, got = std::move(got), fault = std::move(fault)] { then({got, fault}); });
    return true;
  });
}

void etcd_store::grant_lease(lease_id id, std::chrono::milliseconds ttl, std::chrono::milliseconds within,
                             done_callback done) {
  const auto lease = shared_->space.to_etcd(id);
  if (lease == 0 || ttl < limits::shortest_ttl || ttl > limits::longest_ttl)
    return post([done = std::move(done)] { done(unexpected{store_error::invalid}); });
  const auto deadline = std::chrono::steady_clock::now() + within;
  ask_lease("/v3/lease/grant", etcd::grant_request(lease, std::chrono::ceil<std::chrono::seconds>(ttl)), within,
            [this, id, ttl, deadline, done](const lease_answer& answer) {
              answers_ = answer.got.status != 0;
              if (answer.got.status == 200)
                return done({});
              if (answer.fault.find(lease_exists_text) == std::string::npos)
                return done(unexpected{fault_of(answer.got)});
              renew_lease(id, left_until(deadline),
                          [this, id, ttl, deadline, done](expected<void, store_error> renewed) {
                            // It ended between the two.
                            if (!renewed && renewed.error() == store_error::no_such_lease)
                              return grant_lease(id, ttl, left_until(deadline), done);
                            done(renewed);
                          });
            });
}

void etcd_store::renew_lease(lease_id id, std::chrono::milliseconds within, done_callback done) {
  const auto lease = shared_->space.to_etcd(id);
  ++counters_.calls;
  shared_->client->ask("/v3/lease/keepalive", etcd::lease_request(lease), within, false,
                       [this, self = shared_, lease, done = std::move(done)](reply got) {
                         std::optional<store_error> fault;
                         if (got.status == 200) {
                           const auto left = etcd::decode_keepalive(got.body, lease);
                           if (!left || !self->is_ours(left->cluster))
                             return false;
                           if (left->value == 0)
                             fault = store_error::no_such_lease;
                         } else {
                           fault = got.status == 404 ? store_error::no_such_lease : fault_of(got);
                         }
                         shared::run(self, [this, done, fault, answers = got.status != 0] {
                           answers_ = answers;
                           fault ? done(unexpected{*fault}) : done({});
                         });
                         return true;
                       });
}

void etcd_store::revoke_lease(lease_id id, std::chrono::milliseconds within, done_callback done) {
  ask_lease("/v3/lease/revoke", etcd::lease_request(shared_->space.to_etcd(id)), within,
            [this, done = std::move(done)](const lease_answer& answer) {
              answers_ = answer.got.status != 0;
              if (answer.got.status == 200 || answer.got.status == 404)
                return done({});
              done(unexpected{fault_of(answer.got)});
            });
}

} // namespace glocal::store
