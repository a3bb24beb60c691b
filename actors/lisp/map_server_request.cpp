// Map-Request to Map-Reply: RFC 9301 sections 5.2 to 5.5, 8.1 and 8.3.

#include "actors/lisp/map_server.hpp"
#include "dataplane/lisp/negative.hpp"

#include <algorithm>

namespace glocal::lisp {
namespace {

/// Longer prefixes that are sent along; a reply of so many still fits a packet.
constexpr std::size_t most_specifics = 16;
/// Of an answer that hides longer prefixes from who can't be told of them.
constexpr std::uint32_t hiding_ttl_minutes = 1;
/// What a message can count.
constexpr std::size_t most_records = 255;

bool is_reachable(const ip_address& address) {
  return !address.is_unspecified() && !address.is_multicast();
}

/// The locator a Map-Request is forwarded to.
const ip_address* best_etr(const mapping_record& record, ip_family preferred) {
  const ip_address* best = nullptr;
  std::uint8_t priority = unusable_priority;
  for (const auto& one : record.locators) {
    const auto* plain = one.rloc.get_if<ip_address>();
    if (plain == nullptr || !is_reachable(*plain) || one.priority == unusable_priority)
      continue;
    const bool better = best == nullptr || one.priority < priority ||
                        (one.priority == priority && plain->family == preferred && best->family != preferred);
    if (better)
      best = plain, priority = one.priority;
  }
  return best;
}

} // namespace

void map_server::on_request(const map_request& message, const datagram& in, const encapsulated_message* outer,
                            time_point now, effects& out) {
  ++counters_.map_requests;
  if (message.smr)
    // We keep no map-cache that could be stale.
    return refuse(refusal::unsolicited);
  if (message.probe)
    return answer_probe(message, in, out);
  const auto who = who_asks(message, in, outer);
  // Without an ITR-RLOC nothing is answered, but a subscription may end (RFC 9437 section 5).
  const bool ends = message.itr_rlocs.size() == 1 && message.itr_rlocs.front().is_none();
  if (!who && !ends)
    return refuse(refusal::no_itr_rloc);
  map_reply reply;
  reply.nonce = message.nonce;
  bool negative = false;
  for (const auto& record : message.records) {
    const auto wanted = wanted_prefix(record.eid);
    if (!wanted) {
      refuse(refusal::unsupported);
      continue;
    }
    const auto eid_hash = hash_bytes(wanted->prefix.address.octets.data(), 16, wanted->instance_id);
    if (!eid_limit_.allow(hash_bytes(in.remote.address.octets.data(), 16, eid_hash), now)) {
      refuse(refusal::rate_limited);
      continue;
    }
    const asker nobody{{}, in.local};
    if (record.notify && message.identity && subscribe(message, *wanted, who ? *who : nobody, out))
      continue;
    if (!who)
      continue;
    auto found = answer_for(*wanted);
    if (found.forward_to != nullptr) {
      forward(message, record, *found.forward_to, in, outer, out);
      continue;
    }
    auto fitting = fit(std::move(found.record), *who->profile);
    if (!fitting) {
      refuse(refusal::peer_profile);
      continue;
    }
    negative |= fitting->locators.empty();
    if (const auto own = host_prefix(message.source_eid)) {
      const requester asked{who->to.address, who->local, *own};
      requesters_.note({wanted->instance_id, found.about}, asked, now + std::chrono::minutes{fitting->ttl_minutes});
    }
    // Who asks for a prefix, as after an SMR, would not see what is inside it (RFC 9301 section 5.5). Who reads one
    // record alone is to believe it for a short time.
    const auto inside = database_.inside(*wanted, most_specifics);
    if (!inside.empty() && !who->profile->many_records)
      fitting->ttl_minutes = std::min(fitting->ttl_minutes, hiding_ttl_minutes);
    reply.records.push_back(std::move(*fitting));
    if (who->profile->many_records)
      for (const auto& [inner, mapped] : inside)
        if (auto more = fit(mapped->record, *who->profile); more && reply.records.size() < most_records)
          reply.records.push_back(std::move(*more));
  }
  if (reply.records.empty())
    return;
  auto written = encode(reply, *who->profile);
  if (!written)
    return refuse(refusal::peer_profile);
  ++(negative ? counters_.negative_replies : counters_.map_replies);
  out.datagrams.push_back({who->to, who->local, std::move(*written)});
}

std::optional<map_server::asker> map_server::who_asks(const map_request& message, const datagram& in,
                                                      const encapsulated_message* outer) const {
  const ip_address* to = nullptr;
  for (const auto& rloc : message.itr_rlocs)
    if (const auto* plain = rloc.get_if<ip_address>(); plain != nullptr && is_reachable(*plain))
      // One of the family the request came by is known to work from here.
      if (to == nullptr || (plain->family == in.local.family && to->family != in.local.family))
        to = plain;
  if (to == nullptr)
    return std::nullopt;
  asker out;
  out.to = {*to, outer == nullptr ? in.remote.port : outer->source_port};
  if (to->family == in.local.family)
    out.local = in.local;
  else
    out.local.family = to->family;
  if (const auto own = host_prefix(message.source_eid))
    out.profile = &profile_of(*own);
  return out;
}

void map_server::answer_probe(const map_request& message, const datagram& in, effects& out) {
  map_reply reply;
  reply.probe = true;
  reply.nonce = message.nonce;
  const auto wanted = wanted_prefix(message.records.front().eid);
  if (!wanted)
    return refuse(refusal::unsupported);
  const auto own = host_prefix(message.source_eid);
  const auto& profile = own ? profile_of(*own) : plain_profile();
  auto fitting = fit(answer_for(*wanted).record, profile);
  if (!fitting)
    return refuse(refusal::peer_profile);
  for (auto& one : fitting->locators)
    if (const auto* plain = one.rloc.get_if<ip_address>(); plain != nullptr && *plain == in.local)
      one.probed = true;
  reply.records.push_back(std::move(*fitting));
  auto written = encode(reply, profile);
  if (!written)
    return refuse(refusal::peer_profile);
  ++counters_.probe_replies;
  // To where it came from: that this way works is what the probe asks (RFC 9301 section 7.1).
  out.datagrams.push_back({in.remote, in.local, std::move(*written)});
}

void map_server::forward(const map_request& message, const map_request::record& about, const mapped_eid& to,
                         const datagram& in, const encapsulated_message* outer, effects& out) {
  const auto* etr = best_etr(to.record, in.local.family);
  if (etr == nullptr)
    return refuse(refusal::no_etr);
  const instance_prefix eid{to.from.front().mapping.tenant, to.from.front().mapping.eid};
  const auto& profile = profile_of(eid);
  auto request = message;
  request.records = {about};
  // What is said of subscriptions and the ITR's own mapping is between it and us.
  request.records.front().notify = false;
  request.identity.reset();
  request.own_mapping.reset();
  auto inner = encode(request, profile);
  if (!inner)
    return refuse(refusal::peer_profile);
  encapsulated_message carrier;
  carrier.to_etr = profile.pubsub; // a bit of IANA's that RFC 9301 does not have: older ones take it for reserved
  if (outer != nullptr) {
    carrier.source = outer->source;
    carrier.destination = outer->destination;
    carrier.source_port = outer->source_port;
    carrier.hop_limit = outer->hop_limit;
  } else {
    carrier.source = in.remote.address;
    carrier.source_port = in.remote.port;
    carrier.destination = wanted_prefix(about.eid)->prefix.address;
    if (carrier.destination.family != carrier.source.family)
      carrier.destination = *etr;
    if (carrier.destination.family != carrier.source.family)
      return refuse(refusal::no_etr);
  }
  carrier.message = std::move(*inner);
  auto written = encode(carrier, profile);
  if (!written)
    return refuse(refusal::peer_profile);
  ++counters_.forwarded;
  ip_address local;
  local.family = etr->family;
  out.datagrams.push_back(
      {{*etr, control_port}, etr->family == in.local.family ? in.local : local, std::move(*written)});
}

map_server::answer map_server::answer_for(const instance_prefix& wanted) const {
  const auto found = database_.longest(wanted);
  if (!found)
    return negative_answer_for(wanted);
  answer out;
  if (!found->eid->from.front().proxied()) {
    out.forward_to = found->eid;
    out.about = found->prefix;
  }
  out.record = found->eid->record;
  // Longer prefixes inside the one found would be hidden by it in the asker's map-cache: the answer is about the part
  // around the EID that has none. (RFC 9301 section 5.5 sends them all along, which one request could make any number.)
  const auto inside = database_.neighbours(wanted);
  auto length = found->prefix.length;
  for (const auto& other : inside)
    if (found->prefix.contains(other))
      if (const auto hole = least_specific_hole(wanted.prefix.address, std::span{&other, 1}))
        length = std::max(length, std::min(hole->length, wanted.prefix.length));
  out.about = ip_prefix::make(wanted.prefix.address, length);
  out.record.eid = make_eid(out.about, wanted.instance_id);
  return out;
}

map_server::answer map_server::negative_answer_for(const instance_prefix& wanted) const {
  auto taken = database_.neighbours(wanted);
  const auto* of = site_of(wanted);
  std::uint8_t least = 0;
  for (const auto& one : settings_.sites)
    if (one.instance_id == wanted.instance_id)
      for (const auto& prefix : one.prefixes) {
        if (prefix.contains(wanted.prefix))
          least = prefix.length;
        else
          taken.push_back(prefix);
      }
  const auto hole = least_specific_hole(wanted.prefix.address, taken);
  const auto length = std::min(std::max(least, hole ? hole->length : wanted.prefix.length), wanted.prefix.length);
  answer out;
  out.about = ip_prefix::make(wanted.prefix.address, length);
  out.record = negative_record(out.about, wanted.instance_id, map_action::natively_forward,
                               of == nullptr ? no_eid_ttl_minutes : unregistered_ttl_minutes);
  out.record.authoritative = false;
  return out;
}

std::optional<mapping_record> map_server::fit(mapping_record record, const peer_profile& profile) {
  const auto fits = [&](const mapping_record& one) {
    map_reply probe;
    probe.records.push_back(one);
    return encode(probe, profile).has_value();
  };
  if (fits(record))
    return record;
  auto all = std::move(record.locators);
  record.locators.clear();
  if (!fits(record))
    return std::nullopt;
  for (auto& one : all) {
    record.locators.push_back(std::move(one));
    if (!fits(record))
      record.locators.pop_back();
  }
  if (record.locators.empty())
    return std::nullopt;
  return record;
}

} // namespace glocal::lisp
