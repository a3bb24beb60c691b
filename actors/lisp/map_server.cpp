#include "actors/lisp/map_server.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"

#include <algorithm>

namespace glocal::lisp {
namespace {

/// Requests of one source for one EID at once: the first, what an SMR invokes, and one repetition of each.
constexpr std::uint32_t per_eid_burst = 4;

/// Between two looks for leases nobody renews any more.
constexpr std::chrono::seconds sweep_pause{30};

std::uint64_t hash_of(const ip_address& address, std::uint64_t seed) {
  return hash_bytes(address.octets.data(), address.octets.size(), seed);
}

} // namespace

std::string_view name(refusal why) noexcept {
  switch (why) {
  case refusal::oversized: return "oversized";
  case refusal::malformed: return "malformed";
  case refusal::unsupported: return "unsupported";
  case refusal::rate_limited: return "rate_limited";
  case refusal::not_ready: return "not_ready";
  case refusal::overloaded: return "overloaded";
  case refusal::unknown_site: return "unknown_site";
  case refusal::other_site: return "other_site";
  case refusal::more_specific: return "more_specific";
  case refusal::edge_owned: return "edge_owned";
  case refusal::unauthenticated: return "unauthenticated";
  case refusal::unknown_key: return "unknown_key";
  case refusal::authentication_failed: return "authentication_failed";
  case refusal::replayed: return "replayed";
  case refusal::no_itr_rloc: return "no_itr_rloc";
  case refusal::no_etr: return "no_etr";
  case refusal::unsolicited: return "unsolicited";
  case refusal::peer_profile: return "peer_profile";
  case refusal::store_failed: return "store_failed";
  }
  return "";
}

std::optional<instance_prefix> host_prefix(const address& eid) {
  const auto* plain = without_instance(eid).get_if<ip_address>();
  if (plain == nullptr || plain->is_unspecified() || plain->is_multicast())
    return std::nullopt;
  return instance_prefix{instance_of(eid), ip_prefix::make(*plain, plain->bits())};
}

std::optional<instance_prefix> wanted_prefix(const eid_prefix& eid) {
  const auto* plain = without_instance(eid.eid).get_if<ip_address>();
  if (plain == nullptr || eid.mask_length > plain->bits())
    return std::nullopt;
  return instance_prefix{instance_of(eid.eid), ip_prefix::make(*plain, eid.mask_length)};
}

auth_method method_of(const site& of) {
  const auto& key = of.keys.front();
  if (of.profile->sha256)
    for (const auto algorithm_id : {algorithm::hmac_sha256_128_hkdf, algorithm::hmac_sha256_128})
      if (key.algorithms.test(algorithm_id))
        return {algorithm_id, key.id, false};
  return {algorithm::hmac_sha1_96, key.id, !of.profile->sha256};
}

map_server::map_server(map_server_settings settings)
    : settings_{std::move(settings)}, database_{settings_.edge_ttl_minutes}, requesters_{settings_.smr_pause},
      source_limit_{settings_.limits.per_source, settings_.limits.per_source, settings_.seed},
      eid_limit_{settings_.limits.per_eid, settings_.limits.per_eid * per_eid_burst, settings_.seed + 1},
      random_{settings_.seed} {}

void map_server::receive(const datagram& in, time_point now, effects& out) {
  if (in.payload.size() > max_datagram_bytes)
    return refuse(refusal::oversized);
  if (!source_limit_.allow(hash_of(in.remote.address, settings_.seed), now))
    return refuse(refusal::rate_limited);
  const auto message = decode(in.payload);
  if (!message)
    return refuse(message.error().fault == decode_fault::unsupported ? refusal::unsupported : refusal::malformed);
  if (!ready())
    return refuse(refusal::not_ready);
  if (const auto* request = std::get_if<map_request>(&*message))
    return on_request(*request, in, nullptr, now, out);
  if (const auto* registered = std::get_if<map_register>(&*message))
    return on_register(*registered, in, now, out);
  if (const auto* ack = std::get_if<map_notify_ack>(&*message))
    return on_notify_ack(*ack, in, out);
  const auto* outer = std::get_if<encapsulated_message>(&*message);
  if (outer == nullptr)
    // Map-Replies and Map-Notifies answer nothing of ours; Info-Requests want NAT traversal.
    return refuse(std::holds_alternative<info_message>(*message) ? refusal::unsupported : refusal::unsolicited);
  const auto inner = decode(outer->message);
  if (!inner)
    return refuse(inner.error().fault == decode_fault::unsupported ? refusal::unsupported : refusal::malformed);
  if (const auto* request = std::get_if<map_request>(&*inner))
    return on_request(*request, in, outer, now, out);
  refuse(refusal::unsupported);
}

void map_server::mappings_changed(const store::watch_event& event, time_point now, effects& out) {
  using kind = store::watch_event::kind;
  std::optional<instance_prefix> changed;
  switch (event.what) {
  case kind::put: changed = database_.put(event.entry); break;
  case kind::erase: changed = database_.erase(event.entry.key); break;
  case kind::live: mappings_live_ = true; break;
  case kind::suspect:
  case kind::resync:
  case kind::compacted: break;
  }
  if (changed && mappings_live_)
    told(*changed, now, out);
}

void map_server::subscriptions_changed(const store::watch_event& event, time_point, effects&) {
  using kind = store::watch_event::kind;
  if (event.what == kind::live)
    subscriptions_live_ = true;
  if (event.what != kind::put && event.what != kind::erase)
    return;
  const auto& key = event.entry.key;
  if (key.starts_with(model::keys::all_lisp_servers)) {
    auto node = key.substr(model::keys::all_lisp_servers.size());
    if (event.what == kind::put)
      servers_.insert(std::move(node));
    else
      servers_.erase(node);
    return;
  }
  const auto known = subscriptions_.find(key);
  auto value = event.what == kind::put ? model::decode<model::lisp_subscription>(event.entry.value) : std::nullopt;
  if (!value) {
    if (known == subscriptions_.end())
      return;
    const instance_prefix about{known->second.what.tenant, known->second.what.eid};
    auto& keys = subscribed_[about];
    keys.erase(key);
    if (keys.empty())
      subscribed_.erase(about);
    count_server(known->second.what.server, -1);
    subscriptions_.erase(known);
    return;
  }
  if (known == subscriptions_.end() && subscriptions_.size() >= max_subscriptions)
    return refuse(refusal::overloaded);
  auto& state = known == subscriptions_.end() ? subscriptions_[key] : known->second;
  if (event.entry.version < state.version)
    return;
  subscribed_[{value->tenant, value->eid}].insert(key);
  if (!state.what.server.empty())
    count_server(state.what.server, -1);
  count_server(value->server, 1);
  state.version = event.entry.version;
  state.what = std::move(*value);
}

void map_server::tick(time_point now, effects& out) {
  std::vector<requester_book::smr> due;
  requesters_.due(now, due);
  for (const auto& order : due)
    send_smr(order, out);
  std::vector<std::string> dead;
  for (auto at = unacknowledged_.begin(); at != unacknowledged_.end();) {
    auto& one = at->second;
    if (one.again <= now && one.tries >= settings_.notify_tries) {
      ++counters_.given_up;
      if (!one.new_subscription.empty())
        dead.push_back(one.new_subscription);
      at = unacknowledged_.erase(at);
      continue;
    }
    if (one.again <= now) {
      ++one.tries;
      one.again = now + settings_.notify_pause;
      ++counters_.retransmissions;
      out.datagrams.push_back(one.message);
    }
    ++at;
  }
  for (const auto& key : dead)
    if (const auto at = subscriptions_.find(key); at != subscriptions_.end())
      out.writes.push_back({start(unsubscribing{key, at->second.what, {}}),
                            0,
                            {},
                            {store::erase_op{store::table::subscriptions, key, at->second.version}}});
  if (ready())
    look_after_subscriptions(now, out);
  if (now >= next_sweep_) {
    next_sweep_ = now + sweep_pause;
    std::erase_if(leases_, [&](const auto& one) { return one.second.renewed_at + one.second.ttl < now; });
  }
}

void map_server::written(std::uint64_t token, const write_result& result, time_point now, effects& out) {
  auto work = pending_.extract(token);
  if (!work)
    return;
  if (!result)
    refuse(refusal::store_failed);
  std::visit([&](auto& one) { on_written(one, result, now, out); }, work.mapped());
}

void map_server::renewed(std::uint64_t token, const expected<void, store::store_error>& result, time_point now,
                         effects& out) {
  auto work = pending_.extract(token);
  if (!work)
    return;
  auto& done = std::get<registration>(work.mapped());
  if (result) {
    ++counters_.renewed;
    leases_.insert_or_assign(done.lease, held_lease{done.lifetime, now});
    return finish(done, now, out);
  }
  if (result.error() == store::store_error::no_such_lease)
    // It ran out meanwhile, and what hung on it: registered anew.
    return start_write(std::move(done), out);
  refuse(refusal::store_failed);
}

const site* map_server::site_of(const instance_prefix& eid) const {
  for (const auto& one : settings_.sites)
    if (one.instance_id == eid.instance_id)
      for (const auto& prefix : one.prefixes)
        if (prefix.contains(eid.prefix))
          return &one;
  return nullptr;
}

const site* map_server::find_site(std::string_view name) const {
  for (const auto& one : settings_.sites)
    if (one.name == name)
      return &one;
  return nullptr;
}

const peer_profile& map_server::profile_of(const instance_prefix& source) const {
  const auto* of = site_of(source);
  return of == nullptr ? plain_profile() : *of->profile;
}

void map_server::count_server(const std::string& node, int change) {
  auto& count = served_by_[node];
  count += static_cast<std::size_t>(change);
  if (count == 0)
    served_by_.erase(node);
}

std::uint64_t map_server::start(pending_work work) {
  pending_.emplace(next_token_, std::move(work));
  return next_token_++;
}

} // namespace glocal::lisp
