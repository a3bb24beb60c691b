#include "actors/store/placement_actor.hpp"

#include "base/log.hpp"
#include "store/slots.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using store::op_code;
using store::store_error;
using store::table;

namespace {

constexpr std::chrono::milliseconds retry_pause{300};
/// The register's reads, and a node that loads its slots.
constexpr std::chrono::milliseconds views_patience{3000};
/// Of an operator's change against other changes; each is a round trip.
constexpr int most_attempts = 8;
constexpr store::watch_id row_watch = 1;

std::string text_of(const bytes& value) {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

std::string joined(const store::copy_list& names) {
  std::string out;
  for (const auto& name : names)
    (out += out.empty() ? "" : " ") += name;
  return out;
}

} // namespace

placement_actor::placement_actor(caf::actor_config& config, placement_settings settings, runtime::transport transport,
                                 caf::actor client)
    : runtime::observed_actor{config, "store placement", std::string{placement_name}}, settings_{std::move(settings)},
      transport_{std::move(transport)}, client_{std::move(client)}, store_{*this, client_},
      row_slot_{store::slot_of(table::placement, store::placement_key, settings_.ring->slot_count())} {}

caf::behavior placement_actor::make_behavior() {
  runtime::subscribe_peers(this, transport_);
  read();
  arm();
  return {
      [this](runtime::peer_up_atom, const std::string& node) { peers_.insert(node); },
      [this](runtime::peer_down_atom, const std::string& node, const std::string&) { peers_.erase(node); },
      [this](const messages::watch_delivery& delivery) { on_delivery(delivery); },
      [this](const messages::drain_request& asked) { return drain(asked); },
      [this](const messages::rebalance_request& asked) { return rebalance(asked); },
      [](const messages::run& later) { later.what(); },
      [this](plan_atom) {
        armed_ = false;
        if (!version_)
          read();
        else if (plans())
          plan();
        arm();
      },
  };
}

void placement_actor::arm() {
  const bool busy = now_ && (now_->evening || !now_->moves.empty() || left_ > 0) && plans();
  if (!std::exchange(armed_, true))
    delayed_send(this, busy || !version_ ? settings_.busy_pause : settings_.pause, plan_atom_v);
}

// What is decided.

void placement_actor::read() {
  if (std::exchange(reading_, true))
    return;
  store_.get(table::placement, std::string{store::placement_key}, [this](auto result) {
    reading_ = false;
    if (!result)
      return; // the slots are not served yet; the timer asks again
    const bool first = !version_;
    if (result->found)
      adopt(result->found->version, result->found->value);
    else if (first)
      adopt(0, {});
    if (first && version_)
      watch_row();
  });
}

void placement_actor::adopt(store::revision version, const std::string& value) {
  if (version_ && version <= *version_)
    return;
  if (version != 0) {
    auto decoded = store::decode_placement({reinterpret_cast<const std::byte*>(value.data()), value.size()});
    if (!decoded || decoded->slots.size() != settings_.ring->slot_count()) {
      fault_ = "the row 'slots' of the table placement is not a placement of " +
               std::to_string(settings_.ring->slot_count()) + " slots; no slot moves until it is erased";
      spdlog::error("{}", fault_);
      return;
    }
    fault_.clear();
    now_ = std::make_shared<const store::placement>(std::move(*decoded));
    left_ = store::outlook(*now_, sight({})).size();
  }
  version_ = version;
  if (const auto node = transport_.directory->find(store_node_name))
    send(node, messages::placed{now_});
}

void placement_actor::watch_row() {
  send(client_, messages::watch_open{row_watch, table::placement, std::string{store::placement_key}, {}, row_slot_});
}

void placement_actor::on_delivery(const messages::watch_delivery& delivery) {
  for (const auto& event : delivery.events)
    if (event.what == store::watch_event::kind::put && event.entry.key == store::placement_key)
      adopt(event.entry.version, event.entry.value);
}

// Deciding.

bool placement_actor::plans() const {
  for (const auto& node : settings_.ring->nodes()) {
    if (node.name == transport_.node)
      return true;
    if (peers_.contains(node.name))
      return false;
  }
  return false;
}

store::cluster_sight placement_actor::sight(const views& known) const {
  store::cluster_sight out{*settings_.ring, settings_.replicas, peers_, {}};
  out.alive.insert(transport_.node);
  out.views.resize(settings_.ring->slot_count());
  for (std::size_t slot = 0; slot < known.size() && slot < out.views.size(); ++slot)
    if (known[slot] && known[slot]->version != 0)
      out.views[slot] = known[slot]->view;
  return out;
}

void placement_actor::ask_views(std::vector<store::slot_id> fresh, std::function<void(const views&)> use) {
  const auto node = transport_.directory->find(store_node_name);
  if (!node)
    return use({});
  request(node, views_patience, messages::views_request{std::move(fresh)})
      .then([use](const messages::views_known& answer) { use(answer.views); }, [use](const caf::error&) { use({}); });
}

void placement_actor::plan() {
  if (proposing_ || std::exchange(planning_, true))
    return;
  std::vector<store::slot_id> fresh;
  if (now_)
    for (const auto& move : now_->moves)
      fresh.push_back(move.slot);
  ask_views(std::move(fresh), [this](const views& known) {
    planning_ = false;
    if (!known.empty())
      decide(known);
  });
}

void placement_actor::decide(const views& known) {
  if (proposing_ || !fault_.empty())
    return;
  const auto seen = sight(known);
  if (!now_) {
    // Who holds a slot must be known of all, else the first decision would move what it does not know.
    if (std::ranges::all_of(known, [](const auto& view) { return view.has_value(); }))
      propose(store::first_placement(seen), [](bool) {});
    return;
  }
  if (const auto next = store::next_placement(*now_, seen))
    propose(*next, [](bool) {});
}

void placement_actor::propose(const store::placement& next, std::function<void(bool)> then) {
  proposing_ = true;
  auto value = text_of(encode(next));
  store_.compare_and_set(table::placement, std::string{store::placement_key}, value, version_.value_or(0), 0,
                         [this, value, then = std::move(then)](auto result) {
                           proposing_ = false;
                           const bool decided = result && result->code == op_code::ok && result->found;
                           decisions_ += decided;
                           lost_races_ += result && !decided;
                           if (result && result->found)
                             adopt(result->found->version, decided ? value : result->found->value);
                           else if (result)
                             version_ = std::nullopt; // the row was erased: begin anew
                           else
                             read();
                           then(decided);
                         });
}

// Operators.

caf::response_promise placement_actor::drain(const messages::drain_request& asked) {
  auto promise = make_response_promise();
  auto refuse = [promise](messages::steered::kind what, std::string why) mutable {
    promise.deliver(messages::steered{what, std::move(why), {}});
  };
  const auto left = std::make_shared<int>(most_attempts);
  const auto attempt = std::make_shared<std::function<void()>>();
  *attempt = [this, asked, promise, refuse, left, weak = std::weak_ptr{attempt}]() mutable {
    using kind = messages::steered::kind;
    const auto self = weak.lock();
    if (--*left < 0 || !fault_.empty())
      return refuse(kind::unavailable,
                    fault_.empty() ? "the cluster has not decided yet where its slots are; try again" : fault_);
    if (!now_ || proposing_)
      return change(self);
    const auto next = store::with_drained(*now_, sight({}), asked.node, !asked.undo);
    if (!next) {
      std::string known;
      for (const auto& node : settings_.ring->nodes())
        (known += known.empty() ? "" : ", ") += node.name;
      if (next.error() == store::drain_refusal::unknown_node)
        return refuse(kind::unknown_node,
                      "there is no store node '" + asked.node + "'; the cluster file names " + known);
      const auto seen = sight({});
      return refuse(kind::too_few_nodes, "without " + asked.node + " too few store nodes are left for " +
                                             std::to_string(seen.copies()) + " copies of each slot (" +
                                             std::to_string(settings_.ring->nodes().size()) + " nodes, " +
                                             std::to_string(now_->drained.size()) +
                                             " drained): add a store node first, or lower store.replicas");
    }
    auto answer = [this, promise, next = *next]() mutable {
      promise.deliver(messages::steered{kind::done, {}, store::outlook(next, sight({}))});
    };
    if (*next == *now_)
      return answer();
    propose(*next, [this, self, answer](bool decided) mutable { decided ? answer() : change(self); });
  };
  (*attempt)();
  return promise;
}

caf::response_promise placement_actor::rebalance(const messages::rebalance_request& asked) {
  auto promise = make_response_promise();
  const auto left = std::make_shared<int>(most_attempts);
  const auto attempt = std::make_shared<std::function<void()>>();
  *attempt = [this, asked, promise, left, weak = std::weak_ptr{attempt}]() mutable {
    const auto self = weak.lock();
    using kind = messages::steered::kind;
    if (--*left < 0 || !fault_.empty())
      return promise.deliver(
          messages::steered{kind::unavailable,
                            fault_.empty() ? "the cluster has not decided yet where its slots are; try again" : fault_,
                            {}});
    if (!now_ || proposing_)
      return change(self);
    ask_views({}, [this, asked, promise, self](const views& known) mutable {
      if (!now_ || proposing_)
        return change(self);
      auto next = *now_;
      next.evening = true;
      auto moves = store::outlook(next, sight(known));
      if (asked.dry_run || moves.empty() || now_->evening)
        return promise.deliver(messages::steered{kind::done, {}, std::move(moves)});
      propose(next, [this, promise, self, moves](bool decided) mutable {
        if (!decided)
          return change(self);
        promise.deliver(messages::steered{kind::done, {}, std::move(moves)});
      });
    });
  };
  (*attempt)();
  return promise;
}

/// Later, again.
void placement_actor::change(const std::shared_ptr<std::function<void()>>& attempt) {
  delayed_send(this, retry_pause, messages::run{[attempt] { (*attempt)(); }});
}

runtime::state_entries placement_actor::state_summary() const {
  std::string moving;
  if (now_)
    for (const auto& move : now_->moves)
      (moving += moving.empty() ? "" : " ") += std::to_string(move.slot);
  return {{"version", std::to_string(version_.value_or(0))},
          {"plans", plans() ? "true" : "false"},
          {"drained", now_ ? joined(now_->drained) : ""},
          {"moving", moving},
          {"to_move", std::to_string(left_)},
          {"evening", now_ && now_->evening ? "true" : "false"},
          {"decisions", std::to_string(decisions_)},
          {"lost_races", std::to_string(lost_races_)},
          {"fault", fault_}};
}

} // namespace glocal::actors
