#include "actors/store/shard_actor.hpp"

#include "store/replica_codec.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;

namespace {

std::size_t size_of(const store::slot_write& write) {
  std::size_t total = store::framing_bytes;
  for (const auto& change : write.mutations)
    if (const auto* put = std::get_if<store::put_entry>(&change))
      total += store::framing_bytes + payload_bytes(put->entry);
    else
      total += store::framing_bytes;
  return total;
}

std::string_view role_name(store::replica_role role) {
  switch (role) {
  case store::replica_role::waiting: return "waiting";
  case store::replica_role::follower: return "follower";
  case store::replica_role::primary: return "primary";
  case store::replica_role::failed: return "failed";
  }
  return "";
}

} // namespace

shard_actor::shard_actor(caf::actor_config& config, store::slot_id slot, store::replica replica,
                         const store::placement_event& placed, shard_surroundings around)
    : runtime::observed_actor{config, "store shard", "store/shard/" + std::to_string(slot)}, slot_{slot},
      replica_{std::move(replica)}, around_{std::move(around)} {
  output_.slot = slot_;
  place(placed);
}

caf::behavior shard_actor::make_behavior() {
  return {
      [this](messages::shard_input& input) {
        for (auto& event : input.events)
          if (const auto* placed = std::get_if<store::placement_event>(&event))
            place(*placed);
          else
            step(std::move(event));
        finish();
      },
      [this](const messages::snapshot_slot&) {
        return messages::slot_snapshot{std::make_shared<const store::snapshot>(replica_.committed())};
      },
      [this](const messages::log_written& done) {
        step(store::written_event{done.write});
        finish();
      },
      [this](const messages::engine_installed& done) { on_installed(done); },
      [this](const messages::engine_flushed& done) {
        step(store::flushed_event{done.index});
        finish();
      },
      [this](const messages::disk_failed& failed) {
        if (failure_.empty()) {
          failure_ = failed.why;
          note_error(failure_);
        }
        step(store::disk_failed_event{});
        finish();
      },
      [this](messages::register_answer& answer) {
        step(store::register_read_event{std::move(answer.value)});
        finish();
      },
      [this](messages::register_outcome& outcome) {
        step(store::register_set_event{std::move(outcome.what)});
        finish();
      },
  };
}

void shard_actor::place(const store::placement_event& where) {
  desired_ = where.desired;
  step(where);
}

void shard_actor::step(store::replica_event event) {
  for (auto& action : replica_.step(std::move(event)))
    carry_out(action);
}

void shard_actor::carry_out(store::replica_action& action) {
  if (auto* write = std::get_if<store::write_action>(&action)) {
    const auto last = write->entries.empty() ? write->truncate_after.value_or(0) : write->entries.back()->at.index;
    append({slot_, write->write, last,
            encode(store::log_payload{store::log_write{write->truncate_after, std::move(write->entries)}})});
  } else if (auto* install = std::get_if<store::install_action>(&action)) {
    ++installing_;
    send(around_.engine, messages::engine_install{slot_, install->write, std::move(install->state)});
  } else if (auto* applied = std::get_if<store::apply_action>(&action)) {
    applied->write.at = applied->at;
    applied_.size_bytes += size_of(applied->write);
    applied_.writes.push_back(std::move(applied->write));
  } else if (const auto* released = std::get_if<store::release_action>(&action)) {
    send(around_.log, messages::log_release{slot_, released->index});
  } else if (std::holds_alternative<store::read_register_action>(action)) {
    send(around_.config, messages::register_read{slot_});
  } else if (auto* set = std::get_if<store::set_register_action>(&action)) {
    send(around_.config, messages::register_set{slot_, set->expected, std::move(set->wanted)});
  } else {
    output_.actions.push_back(std::move(action));
  }
}

void shard_actor::append(messages::log_append record) {
  if (installing_ > 0)
    held_.push_back(std::move(record));
  else
    send(around_.log, std::move(record));
}

void shard_actor::on_installed(const messages::engine_installed& done) {
  // The state is durable; now the mark that drops the log before it, then what came after.
  send(around_.log,
       messages::log_append{slot_, done.write, done.at.index, encode(store::log_payload{store::log_install{done.at}})});
  if (--installing_ == 0)
    for (auto& record : std::exchange(held_, {}))
      send(around_.log, std::move(record));
}

bool shard_actor::is_whole() const {
  const auto& view = replica_.known_view();
  return replica_.serving() && view && std::ranges::all_of(desired_, [&](const auto& node) {
           return std::ranges::any_of(view->view.members, [&](const auto& who) { return who.node == node; });
         });
}

/// Everything the events led to goes at once.
void shard_actor::finish() {
  if (!applied_.writes.empty()) {
    around_.backlog->add(applied_.size_bytes);
    send(around_.engine, std::exchange(applied_, {}));
  }
  const bool serving = replica_.serving(), current = replica_.is_current(), whole = is_whole();
  const auto& known = replica_.known_view();
  const auto view = known ? known->version : 0;
  const bool news =
      serving != serving_ || current != current_ || whole != whole_ || output_.failure != failure_ || view != view_;
  if (std::exchange(view_, view) != view)
    output_.view = known;
  serving_ = serving;
  current_ = current;
  whole_ = whole;
  if (output_.actions.empty() && !news)
    return;
  output_.keys = replica_.table().entry_count();
  output_.serving = serving;
  output_.current = current;
  output_.whole = whole;
  output_.failure = failure_;
  messages::shard_output next;
  next.slot = slot_;
  next.failure = failure_;
  send(around_.node, std::exchange(output_, std::move(next)));
}

void shard_actor::on_exit() {
  around_ = {};
}

runtime::state_entries shard_actor::state_summary() const {
  const auto& view = replica_.known_view();
  const auto add = [](std::string& to, const std::string& word) { to += (to.empty() ? "" : " ") + word; };
  std::string members, placed, missing;
  if (view)
    for (const auto& who : view->view.members)
      add(members, who.node);
  for (const auto& node : desired_)
    add(placed, node);
  for (const auto& each : replica_.followers())
    add(missing, each.who.node + ':' + std::to_string(each.missing));
  return {{"slot", std::to_string(slot_)},
          {"role", std::string{role_name(replica_.role())}},
          {"epoch", std::to_string(replica_.epoch())},
          {"primary", view ? view->view.primary.node : std::string{}},
          {"serving", replica_.serving() ? "true" : "false"},
          {"members", members},
          {"placed", placed},
          {"missing", missing},
          {"log_last", std::to_string(replica_.log().last().index)},
          {"committed", std::to_string(replica_.commit_index())},
          {"revision", std::to_string(replica_.table().index())},
          {"keys", std::to_string(replica_.table().entry_count())},
          {"leases", std::to_string(replica_.table().leases().size())},
          {"subscriptions", std::to_string(replica_.subscription_count())},
          {"failure", failure_}};
}

} // namespace glocal::actors
