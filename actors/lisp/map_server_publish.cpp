// What is told unasked: Map-Notifies to subscribers (RFC 9437), SMRs to the others (RFC 9301 section 6.1).

#include "actors/lisp/map_server.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"

#include <algorithm>

namespace glocal::lisp {
namespace {

/// A node whose lease has ended may have a new one already on the way.
constexpr std::chrono::seconds take_over_after{1};

std::string bytes_of(const xtr_identity& who) {
  std::string out(model::lisp_subscription::xtr_bytes, '\0');
  std::copy(who.xtr_id.begin(), who.xtr_id.end(), out.begin());
  store_be64(reinterpret_cast<std::byte*>(out.data()) + who.xtr_id.size(), who.site_id);
  return out;
}

bool all_done(const map_server::write_result& result) {
  return result && std::all_of(result->begin(), result->end(), [](const auto& one) { return one.ok(); });
}

} // namespace

bool map_server::subscribe(const map_request& message, const instance_prefix& wanted, const asker& who, effects& out) {
  const bool ends = message.itr_rlocs.size() == 1 && message.itr_rlocs.front().is_none();
  // Whose keys: by Site-ID, else by the EID it asks from.
  const site* of = nullptr;
  for (const auto& one : settings_.sites)
    if (one.site_id && *one.site_id == message.identity->site_id)
      of = &one;
  if (const auto source = host_prefix(message.source_eid); of == nullptr && source)
    of = site_of(*source);
  if (of == nullptr || !of->profile->pubsub) {
    refuse(of == nullptr ? refusal::unknown_site : refusal::peer_profile);
    return false;
  }
  model::lisp_subscription made;
  made.tenant = wanted.instance_id;
  made.eid = wanted.prefix;
  made.xtr = bytes_of(*message.identity);
  made.site = of->name;
  made.rloc = who.to.address;
  made.nonce = message.nonce;
  made.server = settings_.node;
  const auto key = model::keys::subscription(made.tenant, made.eid, made.xtr);
  const auto known = subscriptions_.find(key);
  // An older request, repeated by somebody: what it said is long past (RFC 9437 section 7.1).
  if (known != subscriptions_.end() && message.nonce <= known->second.what.nonce) {
    refuse(refusal::replayed);
    return true;
  }
  if (pending_.size() >= max_pending) {
    refuse(refusal::overloaded);
    return true;
  }
  if (ends) {
    if (known == subscriptions_.end()) {
      refuse(refusal::unsolicited);
      return true;
    }
    made.rloc = known->second.what.rloc;
    out.writes.push_back({start(unsubscribing{key, made, who.local}),
                          0,
                          {},
                          {store::erase_op{store::table::subscriptions, key, known->second.version}}});
    return true;
  }
  auto value = model::encode(made);
  out.writes.push_back({start(subscribing{key, std::move(made), who.local}),
                        0,
                        {},
                        {store::compare_and_set_op{store::table::subscriptions, key, std::move(value),
                                                   known == subscriptions_.end() ? 0 : known->second.version, 0}}});
  return true;
}

void map_server::on_written(subscribing& work, const write_result& result, time_point now, effects& out) {
  // Somebody else wrote it meanwhile: the xTR asks again, with the next nonce.
  if (!all_done(result))
    return;
  ++counters_.subscribed;
  const auto* of = find_site(work.what.site);
  if (of == nullptr)
    return;
  const instance_prefix about{work.what.tenant, work.what.eid};
  send_notify(*of, work.what, work.local, work.what.nonce, news_of(about), work.key, now, out);
}

void map_server::on_written(unsubscribing& work, const write_result& result, time_point now, effects& out) {
  if (!all_done(result))
    return;
  ++counters_.unsubscribed;
  const auto* of = find_site(work.what.site);
  if (of == nullptr || work.local.is_unspecified())
    return; // dropped by us
  mapping_record gone;
  gone.eid = make_eid(work.what.eid, work.what.tenant);
  send_notify(*of, work.what, work.local, work.what.nonce, std::move(gone), {}, now, out);
}

mapping_record map_server::news_of(const instance_prefix& eid) const {
  if (const auto* exact = database_.find(eid))
    return exact->record;
  return answer_for(eid).record;
}

void map_server::told(const instance_prefix& changed, time_point now, effects& out) {
  std::vector<requester_book::smr> orders;
  requesters_.changed(changed, now, orders);
  for (const auto& order : orders)
    send_smr(order, out);
  for_overlapping(subscribed_, changed, [&](const instance_prefix& about, const std::set<std::string>& keys) {
    for (const auto& key : keys) {
      auto& state = subscriptions_.at(key);
      if (state.what.server != settings_.node)
        continue;
      // Of what lies inside it is told as such; of what holds it, as it concerns it.
      state.news.insert(about.prefix.contains(changed.prefix) ? changed.prefix : about.prefix);
      publish(key, state, out);
    }
  });
}

void map_server::publish(const std::string& key, subscription_state& to, effects& out) {
  if (to.busy || to.news.empty())
    return;
  // The nonces are written before they are used, so that whoever takes over goes on behind them.
  publishing work{key, std::exchange(to.news, {}), to.what.nonce + 1};
  auto next = to.what;
  next.nonce += work.prefixes.size();
  to.busy = true;
  out.writes.push_back(
      {start(std::move(work)),
       0,
       {},
       {store::compare_and_set_op{store::table::subscriptions, key, model::encode(next), to.version, 0}}});
}

void map_server::on_written(publishing& work, const write_result& result, time_point now, effects& out) {
  const auto at = subscriptions_.find(work.key);
  if (at == subscriptions_.end())
    return;
  auto& state = at->second;
  state.busy = false;
  if (!all_done(result)) {
    // Changed under us, or the store is away: tried again with the next tick, if it is still ours to tell.
    state.news.insert(work.prefixes.begin(), work.prefixes.end());
    delayed_news_.insert(work.key);
    return;
  }
  const auto& found = result->front().found;
  if (found && found->version > state.version) {
    state.version = found->version;
    state.what.nonce = std::max(state.what.nonce, work.first_nonce + work.prefixes.size() - 1);
  }
  send_publications(work, now, out);
  publish(work.key, state, out);
}

void map_server::send_publications(const publishing& done, time_point now, effects& out) {
  const auto& to = subscriptions_.at(done.key).what;
  const auto* of = find_site(to.site);
  if (of == nullptr)
    return;
  auto nonce = done.first_nonce;
  for (const auto& prefix : done.prefixes) {
    const instance_prefix eid{to.tenant, prefix};
    mapping_record record;
    if (database_.find(eid) != nullptr || prefix == to.eid) {
      record = news_of(eid);
    } else {
      // Withdrawn: the TTL of 0 says so (RFC 9437 section 6).
      record.eid = make_eid(prefix, to.tenant);
    }
    ++counters_.publications;
    send_notify(*of, to, {}, nonce++, std::move(record), {}, now, out);
  }
}

void map_server::send_notify(const site& of, const model::lisp_subscription& to, const ip_address& local,
                             std::uint64_t nonce, mapping_record record, std::string new_subscription, time_point now,
                             effects& out) {
  if (unacknowledged_.size() >= max_unacknowledged)
    return refuse(refusal::overloaded);
  map_notify notify;
  notify.nonce = nonce;
  notify.records.push_back(std::move(record));
  auto written = encode_signed(notify, of.keys.front().secret, method_of(of), *of.profile);
  if (!written)
    return refuse(refusal::peer_profile);
  ++counters_.map_notifies;
  auto from = local;
  if (local.family != to.rloc.family)
    from = {};
  from.family = to.rloc.family;
  datagram message{{to.rloc, control_port}, from, std::move(*written)};
  out.datagrams.push_back(message);
  unacknowledged_.insert_or_assign(
      std::pair{to.rloc, nonce},
      unacknowledged_notify{&of, std::move(new_subscription), std::move(message), now + settings_.notify_pause});
}

void map_server::on_notify_ack(const map_notify_ack& message, const datagram& in, effects&) {
  ++counters_.map_notify_acks;
  const auto waiting = unacknowledged_.find({in.remote.address, message.nonce});
  if (waiting == unacknowledged_.end())
    return refuse(refusal::unsolicited);
  const auto& keys = waiting->second.of->keys;
  const bool genuine = std::any_of(keys.begin(), keys.end(), [&](const site_key& key) {
    return key.id == message.auth.key_id && verify(in.payload, key.secret) == auth_verdict::good;
  });
  if (!genuine)
    return refuse(refusal::authentication_failed);
  ++counters_.acknowledged;
  unacknowledged_.erase(waiting);
}

void map_server::send_smr(const requester_book::smr& order, effects& out) {
  const auto& own = order.to.own;
  // OOR looks for the record in its own prefixes: what it registered is better than the address it asked from.
  const auto registered = database_.longest(own);
  const auto mine = registered ? registered->prefix : own.prefix;
  map_request message;
  message.smr = true;
  message.nonce = random_();
  message.source_eid = in_instance(order.changed.instance_id, order.changed.prefix.address);
  message.itr_rlocs.push_back(order.to.local.is_unspecified() ? address{order.to.rloc} : address{order.to.local});
  message.records.push_back({false, make_eid(mine, own.instance_id)});
  auto written = encode(message, profile_of(own));
  if (!written)
    return refuse(refusal::peer_profile);
  ++counters_.smrs;
  out.datagrams.push_back({{order.to.rloc, control_port}, order.to.local, std::move(*written)});
}

void map_server::look_after_subscriptions(time_point now, effects& out) {
  for (const auto& key : std::exchange(delayed_news_, {}))
    if (const auto at = subscriptions_.find(key);
        at != subscriptions_.end() && at->second.what.server == settings_.node)
      publish(key, at->second, out);
  std::erase_if(missed_servers_, [&](const auto& missed) {
    return servers_.contains(missed.first) || !served_by_.contains(missed.first);
  });
  bool orphans = false;
  for (const auto& [server, count] : served_by_)
    if (!servers_.contains(server) && server != settings_.node)
      orphans |= now - missed_servers_.try_emplace(server, now).first->second >= take_over_after;
  if (!orphans)
    return;
  for (auto& [key, state] : subscriptions_) {
    const auto missed = missed_servers_.find(state.what.server);
    if (missed != missed_servers_.end() && now - missed->second >= take_over_after)
      adopt(key, state, out);
  }
}

void map_server::adopt(const std::string& key, subscription_state& orphan, effects& out) {
  if (orphan.busy || pending_.size() >= max_pending)
    return;
  auto mine = orphan.what;
  mine.server = settings_.node;
  orphan.busy = true;
  // Every node tries; the first wins.
  out.writes.push_back(
      {start(adopting{key}),
       0,
       {},
       {store::compare_and_set_op{store::table::subscriptions, key, model::encode(mine), orphan.version, 0}}});
}

void map_server::on_written(adopting& work, const write_result& result, time_point, effects& out) {
  const auto at = subscriptions_.find(work.key);
  if (at == subscriptions_.end())
    return;
  auto& state = at->second;
  state.busy = false;
  if (!all_done(result))
    return;
  ++counters_.adopted;
  if (const auto& found = result->front().found; found && found->version >= state.version) {
    state.version = found->version;
    count_server(state.what.server, -1);
    state.what.server = settings_.node;
    count_server(state.what.server, 1);
  }
  // What changed while nobody told it.
  state.news.insert(state.what.eid);
  publish(work.key, state, out);
}

} // namespace glocal::lisp
