#include "tests/sim/client.hpp"

#include "store/rules.hpp"

#include <algorithm>

namespace glocal::sim {
namespace {

using kind = operation::kind;

constexpr std::chrono::milliseconds lease_ttl{3000};
/// Two clocks wrong by 5 % each (286 ms of a lease of 3 s), and three jumps of 80 ms (max_tick less a tick) in between,
/// as many as the faults allow themselves.
constexpr duration clock_error{std::chrono::milliseconds{510}};
constexpr std::size_t first_client = 100; // ends of the network: clients are not nodes

value_id value_of(const std::optional<store::entry>& found) {
  return found ? std::stoull(found->value) : 0;
}

void set_value(store::operation& op, std::string text) {
  std::visit(
      [&](auto& each) {
        if constexpr (requires { each.value; })
          each.value = std::move(text);
      },
      op);
}

} // namespace

void cluster::ask(std::size_t client, std::size_t to, const store::replica_event& what, duration patience,
                  std::function<void(const answer&)> done) {
  auto answered = std::make_shared<bool>(false);
  auto once = [answered, done = std::move(done)](const answer& got) {
    if (!std::exchange(*answered, true))
      done(got);
  };
  auto& net = world.net;
  net.send(client, to, false, [&net, client, to, what, once, target = nodes[to].get()] {
    target->ask(
        what, [&net, client, to, once](const answer& got) { net.send(to, client, false, [once, got] { once(got); }); });
  });
  world.time.after(patience, [once] { once(unanswered{}); });
}

std::optional<std::size_t> cluster::find(const store::node_name& name) const {
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i]->name() == name)
      return i;
  return std::nullopt;
}

// --- client ---

void client::run() {
  auto& world = reach_.world;
  last_acknowledged_ = last_acknowledged_ == duration{} ? world.time.now() : last_acknowledged_;
  longest_gap_ = std::max(longest_gap_, world.time.now() - last_acknowledged_);
  if (stopped_) {
    busy_ = false;
    return;
  }
  busy_ = true;
  world.time.after(world.rolls.between(duration{2'000}, duration{60'000}), [this] {
    store::batch operations;
    std::vector<asked> places;
    const auto count = reach_.world.rolls.chance(0.8) ? 1u : 2u + reach_.world.rolls.below(2);
    for (std::size_t i = 0; i < count; ++i)
      operations.push_back(choose(places));
    send(std::move(operations), std::move(places), 3);
  });
}

std::size_t client::note(const std::string& key, operation what) {
  what.invoked = reach_.world.time.now();
  what.client = static_cast<std::uint32_t>(number_);
  seen_[key].push_back(what);
  return seen_[key].size() - 1;
}

store::operation client::choose(std::vector<asked>& places) {
  auto& rolls = reach_.world.rolls;
  const auto value = rolls.next() >> 8; // unique for all that matters
  const auto text = std::to_string(value);
  const auto add = [&](const std::string& key, operation what) { places.push_back({key, note(key, what)}); };
  if (rolls.chance(0.35)) {
    // A few flows a second, each wanted by several clients.
    const auto key =
        "f" + std::to_string(reach_.world.time.now() / std::chrono::seconds{1} * 3 + static_cast<long>(rolls.below(3)));
    if (rolls.chance(0.5)) {
      add(key, {kind::get});
      return store::get_op{store::table::flows, key};
    }
    add(key, {kind::put_if_absent, value});
    return store::put_if_absent_op{store::table::flows, key, text};
  }
  const auto key = "k" + std::to_string(rolls.below(6));
  const auto known = last_seen_.find(key);
  switch (rolls.below(10)) {
  case 0:
  case 1: add(key, {kind::put, value}); return store::put_op{store::table::paths, key, text};
  case 2: add(key, {kind::put_if_absent, value}); return store::put_if_absent_op{store::table::paths, key, text};
  case 3: add(key, {kind::erase}); return store::erase_op{store::table::paths, key};
  case 4:
  case 5:
  case 6:
    if (known != last_seen_.end()) {
      add(key, {kind::compare_and_set, value, std::stoull(known->second.value)});
      return store::compare_and_set_op{store::table::paths, key, text, known->second.version};
    }
    [[fallthrough]];
  default: add(key, {kind::get}); return store::get_op{store::table::paths, key};
  }
}

void client::send(store::batch operations, std::vector<asked> places, int attempts) {
  auto& world = reach_.world;
  // Reads of flows may go anywhere; that is what they are for.
  const bool only_flows = std::all_of(operations.begin(), operations.end(), [](const auto& op) {
    return std::holds_alternative<store::get_op>(op) && store::table_of(op) == store::table::flows;
  });
  const auto target = only_flows && attempts == 3 ? world.rolls.below(reach_.nodes.size()) : target_;
  const store::batch_event event{0, operations, {}};
  reach_.ask(first_client + number_, target, event, world.rolls.between(duration{300'000}, duration{1'000'000}),
             [this, operations = std::move(operations), places = std::move(places), attempts](const answer& got) {
               auto& around = reach_.world;
               if (const auto* all = std::get_if<results>(&got)) {
                 settle(places, *all);
                 return run();
               }
               const auto* elsewhere = std::get_if<redirected>(&got);
               const auto* no = std::get_if<refused>(&got);
               const bool unknown =
                   std::holds_alternative<unanswered>(got) || (no != nullptr && no->why == store::store_error::timeout);
               // What was refused did not happen; what got no answer may have, and may still (rule 7).
               if (!unknown || !holds(store::rule::timeout_is_unknown))
                 forget(places);
               const auto next = elsewhere && elsewhere->primary ? reach_.find(*elsewhere->primary) : std::nullopt;
               target_ = next ? *next : around.rolls.below(reach_.nodes.size());
               if (attempts == 0 || stopped_)
                 return run();
               // The same again. Each attempt is an operation of its own to the judge, since each may happen, with a
               // value of its own: a condition names a version, the judge knows it by its value.
               auto next_places = places;
               auto next_operations = operations;
               for (std::size_t i = 0; i < next_places.size(); ++i) {
                 auto& place = next_places[i];
                 auto copy = seen_[place.key][place.place];
                 copy.refused = false;
                 if (copy.writes != 0) {
                   copy.writes = around.rolls.next() >> 8;
                   set_value(next_operations[i], std::to_string(copy.writes));
                 }
                 place.place = note(place.key, copy);
               }
               around.time.after(around.rolls.between(duration{5'000}, duration{50'000}),
                                 [this, next_operations, next_places, attempts] {
                                   send(next_operations, next_places, attempts - 1);
                                 });
             });
}

void client::settle(const std::vector<asked>& places, const results& answers) {
  const auto now = reach_.world.time.now();
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto& op = seen_[places[i].key][places[i].place];
    const auto& result = answers[i];
    op.known = true;
    op.returned = now;
    op.done = result.ok();
    op.found = value_of(result.found);
    if (result.found)
      last_seen_[places[i].key] = *result.found;
    else
      last_seen_.erase(places[i].key);
    if (op.what != kind::get) {
      longest_gap_ = std::max(longest_gap_, now - last_acknowledged_);
      last_acknowledged_ = now;
      ++acknowledged_;
      reach_.world.must.note(op.found);
    }
  }
}

/// They did not happen: as reads that nobody answered they say nothing.
void client::forget(const std::vector<asked>& places) {
  for (const auto& place : places) {
    auto& op = seen_[place.key][place.place];
    op.known = false;
    op.refused = true;
  }
}

void client::read_all() {
  for (const auto& [key, operations] : seen_)
    to_read_.push_back(key);
  read_next();
}

void client::read_next() {
  if (to_read_.empty())
    return;
  const auto key = to_read_.back();
  const auto of = key.front() == 'f' ? store::table::flows : store::table::paths;
  const asked place{key, note(key, {kind::get})};
  const store::batch operations{store::get_op{of, key}};
  reach_.ask(first_client + number_, target_, store::batch_event{0, operations, {}}, duration{500'000},
             [this, operations, place](const answer& got) {
               if (const auto* all = std::get_if<results>(&got)) {
                 settle({place}, *all);
                 to_read_.pop_back();
                 return read_next();
               }
               const auto* elsewhere = std::get_if<redirected>(&got);
               const auto next = elsewhere && elsewhere->primary ? reach_.find(*elsewhere->primary) : std::nullopt;
               target_ = next ? *next : reach_.world.rolls.below(reach_.nodes.size());
               reach_.world.time.after(duration{20'000}, [this] { read_next(); });
             });
}

// --- owner ---

owner::owner(cluster reach, std::size_t number)
    : reach_{reach}, number_{number}, rate_{reach.world.rolls.real(0.95, 1.05)} {}

duration owner::clock() const {
  return duration{static_cast<std::int64_t>(static_cast<double>(reach_.world.time.now().count()) * rate_)};
}

void owner::holds_until(duration sent) {
  const auto error = holds(store::rule::owner_gives_up_early) ? clock_error : duration{0};
  valid_until_ = std::max(valid_until_, sent + lease_ttl - error);
}

void owner::expired(store::lease_id lease) {
  if (lease == number_ && clock() < valid_until_)
    reach_.world.must.violation("lease " + std::to_string(lease) + " expired " +
                                std::to_string((valid_until_ - clock()).count()) + " us before its owner gives it up");
}

void owner::run() {
  if (stopped_)
    return;
  auto& rolls = reach_.world.rolls;
  // Mostly in good time, sometimes at the last moment, sometimes dead for a while.
  const auto pause = rolls.chance(0.7)   ? rolls.between(duration{500'000}, duration{1'200'000})
                     : rolls.chance(0.8) ? rolls.between(duration{2'300'000}, duration{3'200'000})
                                         : rolls.between(duration{4'000'000}, duration{6'000'000});
  reach_.world.time.after(pause, [this] {
    if (stopped_)
      return;
    if (clock() < valid_until_)
      renew();
    else
      put();
  });
}

void owner::put() {
  const auto sent = clock();
  const auto key = "lease-" + std::to_string(number_);
  const store::batch_event event{0,
                                 {store::put_op{store::table::instances, key, std::to_string(sent.count()), number_}},
                                 {{number_, lease_ttl, {}}}};
  reach_.ask(first_client + number_, target_, event, duration{400'000}, [this, sent](const answer& got) {
    if (std::holds_alternative<results>(got))
      holds_until(sent);
    else
      target_ = reach_.world.rolls.below(reach_.nodes.size());
    run();
  });
}

void owner::renew() {
  const auto sent = clock();
  const store::renew_leases_event event{0, {{number_, std::chrono::milliseconds{0}}}};
  reach_.ask(first_client + number_, target_, event, duration{400'000}, [this, sent](const answer& got) {
    const auto* renewed = std::get_if<results>(&got);
    if (renewed != nullptr && renewed->front().ok())
      holds_until(sent);
    else if (renewed == nullptr)
      target_ = reach_.world.rolls.below(reach_.nodes.size());
    run();
  });
}

} // namespace glocal::sim
