#include "tests/sim/node.hpp"

#include "store/rules.hpp"

#include <algorithm>
#include <exception>

namespace glocal::sim {
namespace {

constexpr duration tick_every{20'000};
/// Clocks run wrong by at most this share; owners of leases know (client.cpp).
constexpr double worst_drift = 0.05;

} // namespace

node::node(surroundings& world, std::size_t number)
    : world_{world}, number_{number}, name_{std::string(1, static_cast<char>('a' + number))},
      disk_{world.time, world.rolls}, rate_{world.rolls.real(1 - worst_drift, 1 + worst_drift)},
      offset_{world.rolls.between(duration{0}, duration{1'000'000'000})}, options_{world.options} {
  options_.take_over_after += std::chrono::milliseconds{world.rolls.below(300)};
}

store::timestamp node::clock() const {
  const auto passed = static_cast<double>(world_.time.now().count()) * rate_;
  return store::timestamp{
      std::chrono::duration_cast<store::timestamp::duration>(duration{static_cast<std::int64_t>(passed)} + offset_)};
}

void node::start() {
  ++life_;
  paused_ = false;
  backlog_.clear();
  disk_.broken = false;
  try {
    process_ = std::make_unique<store::replica>(store::slot_id{0}, store::member{name_, disk_.incarnation}, options_,
                                                disk_.durable());
  } catch (const std::exception& bug) {
    return world_.must.violation(name_ + " does not start: " + bug.what());
  }
  last_applied_ = disk_.durable().state.at;
  world_.log(name_ + " starts with its log up to " + sim::name(process_->log().last()));
  // As a real one: what the ring says first, then what was decided.
  auto early = placement_;
  early.firm = false;
  feed(std::move(early));
  if (!placement_.desired.empty())
    world_.time.after(duration{150'000}, if_alive([this] { feed(placement_); }));
  tick();
  flush_later();
}

void node::crash() {
  ++life_;
  process_.reset();
  paused_ = false;
  backlog_.clear();
  asked_.clear();
  watchers_.clear();
  disk_.crash();
}

void node::wipe() {
  crash();
  const auto before = disk_.incarnation;
  disk_.wipe();
  // A node with an empty disk can't know what it was.
  if (!holds(store::rule::wiped_is_new))
    disk_.incarnation = before;
}

void node::resume() {
  paused_ = false;
  while (!backlog_.empty() && !paused_) {
    const auto next = std::move(backlog_.front());
    backlog_.pop_front();
    next();
  }
}

void node::place(store::placement_event where) {
  placement_ = std::move(where);
  if (process_)
    feed(placement_);
}

void node::receive(const store::replica_message& message) {
  if (process_)
    feed(message);
}

void node::hear_of(const store::register_value& value) {
  if (process_)
    feed(store::register_changed_event{value});
}

void node::ask(store::replica_event asked, answer_callback done) {
  if (!process_)
    return;
  const auto request = next_request_++;
  std::visit(
      [&](auto& event) {
        if constexpr (requires { event.request; })
          event.request = request;
      },
      asked);
  const auto* batch = std::get_if<store::batch_event>(&asked);
  const bool writes =
      batch != nullptr && !std::all_of(batch->operations.begin(), batch->operations.end(),
                                       [](auto& op) { return std::holds_alternative<store::get_op>(op); });
  asked_[request] = {std::move(done), writes};
  feed(std::move(asked));
}

void node::subscribe(store::subscription_id id, store::table of, std::string prefix,
                     std::optional<store::revision> from, records_callback records) {
  if (!process_)
    return;
  watchers_[id] = std::move(records);
  feed(store::subscribe_event{id, of, std::move(prefix), from});
}

void node::unsubscribe(store::subscription_id id) {
  watchers_.erase(id);
  if (process_)
    feed(store::unsubscribe_event{id});
}

void node::feed(store::replica_event event) {
  if (paused_)
    backlog_.emplace_back(if_alive([this, event = std::move(event)] { step(event); }));
  else
    step(std::move(event));
}

void node::step(store::replica_event event) {
  if (!process_)
    return;
  std::vector<store::replica_action> actions;
  const auto role = process_->role();
  const auto life = life_;
  try {
    actions = process_->step(std::move(event));
  } catch (const std::exception& bug) {
    world_.must.violation(name_ + ": " + bug.what());
    return crash();
  }
  if (process_->role() != role)
    world_.log(name_ +
               (process_->role() == store::replica_role::primary  ? " is primary of epoch "
                : process_->role() == store::replica_role::failed ? " has failed in epoch "
                                                                  : " follows in epoch ") +
               std::to_string(process_->epoch()));
  if (process_->role() == store::replica_role::primary)
    world_.must.primary(process_->self(), process_->epoch());
  for (auto& action : actions)
    if (life == life_)
      carry_out(action);
}

void node::write(sim_disk::write what, std::function<store::replica_event()> then) {
  disk_.submit(std::move(what), if_alive([this, then = std::move(then)](bool good) {
                 if (good)
                   return feed(then());
                 feed(store::disk_failed_event{});
                 // The operator's unit restarts it.
                 world_.time.after(world_.rolls.between(duration{300'000}, duration{1'500'000}), if_alive([this] {
                                     crash();
                                     start();
                                   }));
               }));
}

void node::carry_out(store::replica_action& action) {
  const auto finish = [this](store::request_id request, answer what) {
    const auto waiting = asked_.extract(request);
    if (!waiting.empty())
      waiting.mapped().done(std::move(what));
  };
  if (auto* written = std::get_if<store::write_action>(&action)) {
    const auto id = written->write;
    write(std::move(*written), [id] { return store::written_event{id}; });
  } else if (auto* installed = std::get_if<store::install_action>(&action)) {
    const auto id = installed->write;
    last_applied_ = installed->state->at;
    write(std::move(*installed), [id] { return store::written_event{id}; });
  } else if (auto* applied = std::get_if<store::apply_action>(&action)) {
    last_applied_ = applied->at;
    // Several entries may have been applied in this step: only the last one's state can still be looked at.
    const bool latest = applied->at == process_->applied();
    const auto* entry = process_->log().find(applied->at.index);
    const bool first = world_.must.applied(process_->self(), *applied, latest ? hash_of(process_->table()) : 0);
    if (first && entry != nullptr)
      if (const auto* end = std::get_if<store::end_lease_command>(&(*entry)->what);
          end != nullptr && end->version != 0 && !applied->write.mutations.empty())
        world_.lease_expired(end->lease);
  } else if (auto* sent = std::get_if<store::send_action>(&action)) {
    world_.post(number_, sent->message);
  } else if (std::holds_alternative<store::read_register_action>(action)) {
    world_.config.get(number_, if_alive([this](const std::optional<store::register_value>& value) {
                        feed(store::register_read_event{value});
                      }));
  } else if (auto* set = std::get_if<store::set_register_action>(&action)) {
    world_.config.compare_and_set(
        number_, set->expected, std::move(set->wanted),
        if_alive([this](const store::set_outcome& outcome) { feed(store::register_set_event{outcome}); }));
  } else if (auto* reply = std::get_if<store::reply_action>(&action)) {
    // A write's reply follows its apply_action.
    if (const auto asked = asked_.find(reply->request); asked != asked_.end() && asked->second.writes)
      world_.must.acknowledged(last_applied_, world_.durable_copies(last_applied_), world_.options.min_isr);
    finish(reply->request, std::move(reply->results));
  } else if (auto* no = std::get_if<store::refuse_action>(&action)) {
    finish(no->request, refused{no->why});
  } else if (auto* elsewhere = std::get_if<store::redirect_action>(&action)) {
    finish(elsewhere->request, redirected{std::move(elsewhere->primary)});
  } else if (auto* told = std::get_if<store::publish_action>(&action)) {
    for (const auto id : told->subscriptions)
      if (const auto watcher = watchers_.find(id); watcher != watchers_.end())
        watcher->second(told->records);
  }
}

void node::tick() {
  feed(store::tick_event{clock()});
  world_.time.after(tick_every, if_alive([this] { tick(); }));
}

void node::flush_later() {
  world_.time.after(world_.rolls.between(duration{200'000}, duration{3'000'000}), if_alive([this] {
                      if (!paused_ && process_->role() != store::replica_role::failed) {
                        auto state = std::make_shared<const store::snapshot>(process_->committed());
                        write(sim_disk::flush{state},
                              [index = state->at.index] { return store::flushed_event{index}; });
                      }
                      flush_later();
                    }));
}

} // namespace glocal::sim
