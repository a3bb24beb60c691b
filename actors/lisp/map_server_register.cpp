// Map-Register to Map-Notify: RFC 9301 sections 5.6, 5.7 and 8.2.

#include "actors/lisp/map_server.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"

#include <algorithm>
#include <set>

namespace glocal::lisp {
namespace {

using namespace std::chrono_literals;

/// A refresh renews when so much of the lease's life has passed: two renewals may be lost.
constexpr int renewals_per_lifetime = 3;

std::string bytes_of(const ip_address& address) {
  return {reinterpret_cast<const char*>(address.octets.data()), static_cast<std::size_t>(address.bits() / 8)};
}

/// The xTR-ID where there is one: an xTR's address may change (RFC 9301 section 5.6).
std::string registrant_of(const map_register& message, const datagram& in) {
  if (!message.identity)
    return bytes_of(in.remote.address);
  return {reinterpret_cast<const char*>(message.identity->xtr_id.data()), message.identity->xtr_id.size()};
}

std::vector<ip_address> plain_rlocs(const mapping_record& record) {
  std::vector<ip_address> out;
  for (const auto& one : record.locators)
    if (const auto* plain = one.rloc.get_if<ip_address>();
        plain != nullptr && one.priority != unusable_priority && !plain->is_unspecified() && !plain->is_multicast())
      out.push_back(*plain);
  return out;
}

/// Where our edges send to.
ip_address best_rloc(const mapping_record& record) {
  const locator* best = nullptr;
  for (const auto& one : record.locators)
    if (one.rloc.get_if<ip_address>() != nullptr && one.priority != unusable_priority &&
        (best == nullptr || one.priority < best->priority))
      best = &one;
  return best == nullptr ? ip_address{} : *best->rloc.get_if<ip_address>();
}

/// The same but for what changes with every refresh.
bool is_refresh(const contribution& known, const model::eid_mapping& made) {
  if (!known.mapping.registration)
    return false;
  auto same = made;
  same.registration->nonce = known.mapping.registration->nonce;
  return same == known.mapping;
}

/// As the Map-Server answers it: nobody's own word (RFC 9301 section 5.4, A and L).
mapping_record as_known(mapping_record record) {
  record.authoritative = false;
  for (auto& one : record.locators)
    one.local = one.probed = false;
  return record;
}

} // namespace

void map_server::on_register(const map_register& message, const datagram& in, time_point now, effects& out) {
  ++counters_.map_registers;
  registration made;
  if (const auto why = admit(message, in, made))
    return refuse(*why);
  if (pending_.size() >= max_pending)
    return refuse(refusal::overloaded);
  bool changes = false;
  if (!add_operations(message, made, changes))
    return;
  if (changes)
    return start_write(std::move(made), out);
  const auto held = leases_.find(made.lease);
  if (held != leases_.end() && now - held->second.renewed_at < made.lifetime / renewals_per_lifetime) {
    ++counters_.refreshed;
    return finish(made, now, out);
  }
  const auto lease = made.lease;
  out.renewals.push_back({start(std::move(made)), lease});
}

std::optional<refusal> map_server::admit(const map_register& message, const datagram& in, registration& made) {
  if (message.records.empty())
    return refusal::malformed;
  for (const auto& record : message.records) {
    const auto prefix = ip_prefix_of(record.eid);
    if (!prefix)
      return refusal::unsupported;
    const auto* of = site_of({instance_of(record.eid.eid), *prefix});
    if (of == nullptr)
      return refusal::unknown_site;
    if (made.of != nullptr && made.of != of)
      return refusal::other_site;
    made.of = of;
  }
  const auto& auth = message.auth;
  if (auth.algorithm_id == algorithm::none)
    return refusal::unauthenticated;
  const auto key = std::find_if(made.of->keys.begin(), made.of->keys.end(), [&](const site_key& one) {
    return one.id == auth.key_id && auth.algorithm_id < one.algorithms.size() && one.algorithms.test(auth.algorithm_id);
  });
  if (key == made.of->keys.end())
    return refusal::unknown_key;
  if (verify(in.payload, key->secret) != auth_verdict::good)
    return refusal::authentication_failed;
  // Only now: whoever does not have the key learns nothing of what is accepted.
  if (!made.of->accept_more_specifics)
    for (const auto& record : message.records)
      if (std::find(made.of->prefixes.begin(), made.of->prefixes.end(), *ip_prefix_of(record.eid)) ==
          made.of->prefixes.end())
        return refusal::more_specific;
  made.registrant = registrant_of(message, in);
  if (made.of->replay == replay_rule::increasing &&
      message.nonce <= database_.last_nonce(made.of->name, made.registrant))
    return refusal::replayed;
  database_.note_nonce(made.of->name, made.registrant, message.nonce);
  constexpr std::size_t full_sha1_bytes = 20;
  made.method = {auth.algorithm_id, auth.key_id,
                 auth.algorithm_id == algorithm::hmac_sha1_96 && auth.data.size() == full_sha1_bytes};
  made.secret = key->secret;
  made.nonce = message.nonce;
  made.from = {in.remote.address, control_port};
  made.local = in.local;
  made.want_notify = message.want_notify;
  made.merge = message.merge;
  made.records = message.records;
  return std::nullopt;
}

bool map_server::add_operations(const map_register& message, registration& made, bool& changes) {
  made.lifetime = settings_.registration_lifetime;
  if (message.use_ttl) {
    std::uint32_t minutes = 24 * 60;
    for (const auto& record : message.records)
      if (record.ttl_minutes > 0)
        minutes = std::min(minutes, record.ttl_minutes);
    made.lifetime = std::chrono::minutes{minutes};
  }
  std::string lease_name = made.of->name + '\0' + made.registrant + '\0' + std::to_string(made.lifetime.count());
  std::set<std::string> keys;
  struct entry {
    std::string key;
    model::eid_mapping mapping;
  };
  std::vector<entry> entries;
  for (const auto& record : message.records) {
    const auto instance = instance_of(record.eid.eid);
    const auto prefix = *ip_prefix_of(record.eid);
    const auto base = model::keys::mapping(instance, prefix);
    const auto mine = message.merge ? model::keys::merged_mapping(instance, prefix, made.registrant) : base;
    const auto* known = database_.find({instance, prefix});
    if (known != nullptr)
      for (const auto& one : known->from) {
        if (!one.mapping.registration) {
          refuse(refusal::edge_owned);
          return false;
        }
        // Without merging the last word counts, and ends what was merged; who merges ends what was not.
        if (one.key != mine && (!message.merge || one.key == base)) {
          made.operations.push_back(store::erase_op{store::table::mappings, one.key, one.version});
          changes = true;
        }
      }
    if (record.ttl_minutes == 0) {
      if (const auto* held = database_.find_key(mine)) {
        made.operations.push_back(store::erase_op{store::table::mappings, mine, held->version});
        changes = true;
        ++counters_.withdrawn;
      }
      continue;
    }
    keys.insert(mine);
    auto& made_entry = entries.emplace_back();
    made_entry.key = mine;
    auto& mapping = made_entry.mapping;
    mapping.tenant = instance;
    mapping.eid = prefix;
    mapping.rloc = best_rloc(record);
    auto& registered = mapping.registration.emplace();
    registered.site = made.of->name;
    registered.registrant = made.registrant;
    registered.record = pack_record(as_known(record));
    registered.rlocs = plain_rlocs(record);
    registered.source = made.from.address;
    registered.nonce = message.nonce;
    registered.key_id = made.method.key_id;
    registered.algorithm = made.method.algorithm_id;
    registered.full_sha1 = made.method.full_sha1;
    registered.proxy_reply =
        made.of->proxy == proxy_rule::always || (made.of->proxy == proxy_rule::as_asked && message.proxy_reply);
    registered.merge = message.merge;
    registered.want_notify = message.want_notify;
  }
  for (const auto& key : keys)
    lease_name += '\0' + key;
  made.lease = entries.empty() ? 0 : hash_text(lease_name) | 1;
  for (const auto& one : entries) {
    const auto* held = database_.find_key(one.key);
    // A nonce that must not be used again is kept with what it changed; a refresh repeats what is there.
    changes |= held == nullptr || held->lease != made.lease || !is_refresh(*held, one.mapping);
  }
  for (auto& one : entries)
    made.operations.push_back(
        store::put_op{store::table::mappings, std::move(one.key), model::encode(one.mapping), made.lease});
  // A withdrawal of what is not there leads to nothing but a Map-Notify.
  changes |= entries.empty();
  return true;
}

void map_server::start_write(registration&& made, effects& out) {
  store_write write;
  write.lease = made.lease;
  write.ttl = made.lifetime;
  write.operations = made.operations;
  write.token = start(std::move(made));
  out.writes.push_back(std::move(write));
}

void map_server::on_written(registration& work, const write_result& result, time_point now, effects& out) {
  if (!result)
    return;
  for (std::size_t i = 0; i < result->size(); ++i)
    if (result->at(i).code == store::op_code::no_such_lease)
      return refuse(refusal::store_failed);
  ++counters_.written;
  if (work.lease != 0)
    leases_.insert_or_assign(work.lease, held_lease{work.lifetime, now});
  notify_merged(work, now, out);
  finish(work, now, out);
}

void map_server::finish(registration& done, time_point, effects& out) {
  if (done.want_notify)
    acknowledge(done, out);
}

void map_server::acknowledge(const registration& done, effects& out) {
  map_notify notify;
  notify.nonce = done.nonce;
  for (const auto& record : done.records) {
    // With merging, of all that registered it (RFC 9301 section 8.2).
    std::vector<const mapping_record*> all{&record};
    const auto* known = database_.find({instance_of(record.eid.eid), *ip_prefix_of(record.eid)});
    if (known != nullptr && record.ttl_minutes > 0)
      for (const auto& one : known->from)
        if (one.mapping.registration && one.mapping.registration->merge &&
            one.mapping.registration->registrant != done.registrant)
          all.push_back(&one.record);
    auto merged = merge_records(all);
    for (auto& one : merged.locators)
      one.local = false;
    notify.records.push_back(std::move(merged));
  }
  auto written = encode_signed(notify, done.secret, done.method, *done.of->profile);
  if (!written)
    return refuse(refusal::peer_profile);
  ++counters_.map_notifies;
  out.datagrams.push_back({done.from, done.local, std::move(*written)});
}

void map_server::notify_merged(const registration& done, time_point now, effects& out) {
  if (!done.merge)
    return;
  for (const auto& record : done.records) {
    const auto* known = database_.find({instance_of(record.eid.eid), *ip_prefix_of(record.eid)});
    if (known == nullptr)
      continue;
    for (const auto& one : known->from) {
      const auto& registered = one.mapping.registration;
      if (!registered || !registered->merge || !registered->want_notify || registered->registrant == done.registrant)
        continue;
      if (unacknowledged_.size() >= max_unacknowledged)
        return refuse(refusal::overloaded);
      std::vector<const mapping_record*> all;
      for (const auto& other : known->from)
        if (other.mapping.registration->registrant != done.registrant)
          all.push_back(&other.record);
      if (record.ttl_minutes > 0)
        all.push_back(&record);
      const auto key = std::find_if(done.of->keys.begin(), done.of->keys.end(),
                                    [&](const site_key& each) { return each.id == registered->key_id; });
      if (all.empty() || key == done.of->keys.end())
        continue;
      map_notify notify;
      notify.nonce = random_();
      notify.records.push_back(as_known(merge_records(all)));
      auto written = encode_signed(
          notify, key->secret, {registered->algorithm, registered->key_id, registered->full_sha1}, *done.of->profile);
      if (!written) {
        refuse(refusal::peer_profile);
        continue;
      }
      ++counters_.map_notifies;
      datagram message{{registered->source, control_port}, {}, std::move(*written)};
      out.datagrams.push_back(message);
      unacknowledged_.insert_or_assign(
          std::pair{registered->source, notify.nonce},
          unacknowledged_notify{done.of, {}, std::move(message), now + settings_.notify_pause});
    }
  }
}

} // namespace glocal::lisp
