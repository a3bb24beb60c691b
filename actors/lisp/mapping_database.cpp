#include "actors/lisp/mapping_database.hpp"

#include "actors/model/codec.hpp"
#include "dataplane/lisp/message.hpp"

#include <algorithm>

namespace glocal::lisp {
namespace {

constexpr std::uint8_t edge_priority = 1, edge_weight = 100;

std::size_t index_of(ip_family family) {
  return family == ip_family::v4 ? 0 : 1;
}

std::string registrant_key(std::string_view site, std::string_view registrant) {
  return std::string{site} + '\0' + std::string{registrant};
}

/// What our own edge's entry says in the words of RFC 9301.
mapping_record record_of_edge(const model::eid_mapping& mapping, std::uint32_t ttl_minutes) {
  mapping_record out;
  out.ttl_minutes = ttl_minutes;
  out.eid = make_eid(mapping.eid, mapping.tenant);
  locator one;
  one.priority = edge_priority;
  one.weight = edge_weight;
  one.reachable = true;
  one.rloc = mapping.rloc;
  out.locators.push_back(one);
  return out;
}

} // namespace

std::string pack_record(const mapping_record& record) {
  map_reply carrier;
  carrier.records.push_back(record);
  // What was received can be sent: the codec refuses on reading what it would on writing.
  const auto written = encode(carrier);
  return written ? std::string{reinterpret_cast<const char*>(written->data()), written->size()} : std::string{};
}

std::optional<mapping_record> unpack_record(std::string_view packed) {
  auto read = decode(std::as_bytes(std::span{packed}));
  if (!read)
    return std::nullopt;
  auto* carrier = std::get_if<map_reply>(&*read);
  if (carrier == nullptr || carrier->records.size() != 1)
    return std::nullopt;
  return std::move(carrier->records.front());
}

mapping_record merge_records(const std::vector<const mapping_record*>& records) {
  auto out = *records.front();
  for (std::size_t i = 1; i < records.size(); ++i) {
    out.ttl_minutes = std::max(out.ttl_minutes, records[i]->ttl_minutes);
    for (const auto& one : records[i]->locators) {
      const auto same = std::find_if(out.locators.begin(), out.locators.end(),
                                     [&](const locator& known) { return known.rloc == one.rloc; });
      if (same != out.locators.end())
        *same = one;
      else if (out.locators.size() < 255) // what a record can count
        out.locators.push_back(one);
    }
  }
  return out;
}

void mapping_database::remerge(mapped_eid& eid) {
  std::vector<const mapping_record*> all;
  for (const auto& one : eid.from)
    all.push_back(&one.record);
  eid.record = merge_records(all);
}

std::optional<instance_prefix> mapping_database::put(const store::entry& row) {
  auto mapping = model::decode<model::eid_mapping>(row.value);
  std::optional<mapping_record> record;
  if (mapping)
    record = mapping->registration ? unpack_record(mapping->registration->record)
                                   : record_of_edge(*mapping, edge_ttl_minutes_);
  if (!mapping || !record) {
    ++unreadable_;
    return erase(row.key);
  }
  const instance_prefix where{mapping->tenant, mapping->eid};
  std::optional<instance_prefix> moved;
  if (const auto known = keys_.find(row.key); known != keys_.end() && known->second != where)
    moved = erase(row.key);
  if (mapping->registration)
    note_nonce(mapping->registration->site, mapping->registration->registrant, mapping->registration->nonce);
  auto& family = instances_[where.instance_id][index_of(where.prefix.address.family)];
  const auto [at, fresh] = family.eids.try_emplace(where.prefix);
  if (fresh)
    ++family.lengths[where.prefix.length];
  auto& eid = at->second;
  const auto before = eid.record;
  const auto proxied = [&] { return !eid.from.empty() && eid.from.front().proxied(); };
  const bool was_proxied = proxied();
  contribution made{row.key, row.version, row.lease, std::move(*mapping), std::move(*record)};
  const auto known =
      std::find_if(eid.from.begin(), eid.from.end(), [&](const contribution& one) { return one.key == row.key; });
  if (known != eid.from.end())
    *known = std::move(made);
  else
    eid.from.push_back(std::move(made));
  keys_.insert_or_assign(row.key, where);
  remerge(eid);
  if (fresh || before != eid.record || was_proxied != proxied())
    return where;
  return moved;
}

std::optional<instance_prefix> mapping_database::erase(const std::string& key) {
  const auto known = keys_.find(key);
  if (known == keys_.end())
    return std::nullopt;
  const auto where = known->second;
  keys_.erase(known);
  auto& family = instances_.at(where.instance_id)[index_of(where.prefix.address.family)];
  const auto at = family.eids.find(where.prefix);
  auto& eid = at->second;
  std::erase_if(eid.from, [&](const contribution& one) { return one.key == key; });
  if (eid.from.empty()) {
    --family.lengths[where.prefix.length];
    family.eids.erase(at);
    return where;
  }
  const auto before = eid.record;
  remerge(eid);
  return before == eid.record ? std::nullopt : std::optional{where};
}

const mapping_database::family_table* mapping_database::table_of(const instance_prefix& eid) const {
  const auto instance = instances_.find(eid.instance_id);
  return instance == instances_.end() ? nullptr : &instance->second[index_of(eid.prefix.address.family)];
}

const mapped_eid* mapping_database::find(const instance_prefix& eid) const {
  const auto* family = table_of(eid);
  if (family == nullptr)
    return nullptr;
  const auto at = family->eids.find(eid.prefix);
  return at == family->eids.end() ? nullptr : &at->second;
}

const contribution* mapping_database::find_key(const std::string& key) const {
  const auto known = keys_.find(key);
  if (known == keys_.end())
    return nullptr;
  const auto* eid = find(known->second);
  const auto at =
      std::find_if(eid->from.begin(), eid->from.end(), [&](const contribution& one) { return one.key == key; });
  return &*at;
}

std::optional<mapping_database::match> mapping_database::longest(const instance_prefix& wanted) const {
  const auto* family = table_of(wanted);
  if (family == nullptr)
    return std::nullopt;
  for (int length = wanted.prefix.length; length >= 0; --length) {
    if (family->lengths[static_cast<std::size_t>(length)] == 0)
      continue;
    const auto at = family->eids.find(ip_prefix::make(wanted.prefix.address, static_cast<std::uint8_t>(length)));
    if (at != family->eids.end())
      return match{at->first, &at->second};
  }
  return std::nullopt;
}

std::vector<mapping_database::match> mapping_database::inside(const instance_prefix& wanted, std::size_t limit) const {
  std::vector<match> out;
  const auto* family = table_of(wanted);
  if (family == nullptr)
    return out;
  for (auto at = family->eids.upper_bound(wanted.prefix);
       at != family->eids.end() && wanted.prefix.contains(at->first) && out.size() < limit; ++at)
    out.push_back({at->first, &at->second});
  return out;
}

std::vector<ip_prefix> mapping_database::neighbours(const instance_prefix& wanted) const {
  std::vector<ip_prefix> out;
  const auto* family = table_of(wanted);
  if (family == nullptr)
    return out;
  const auto after = family->eids.upper_bound(wanted.prefix);
  if (after != family->eids.end() && !after->first.contains(wanted.prefix))
    out.push_back(after->first);
  // A prefix that holds `wanted` stands before it and may hide nothing that is nearer: between the two in order is only
  // what lies inside that prefix, and then it would stand in its place.
  if (after != family->eids.begin())
    if (const auto before = std::prev(after); !before->first.contains(wanted.prefix))
      out.push_back(before->first);
  return out;
}

std::uint64_t mapping_database::last_nonce(std::string_view site, std::string_view registrant) const {
  const auto known = nonces_.find(registrant_key(site, registrant));
  return known == nonces_.end() ? 0 : known->second;
}

void mapping_database::note_nonce(std::string_view site, std::string_view registrant, std::uint64_t nonce) {
  auto& last = nonces_[registrant_key(site, registrant)];
  last = std::max(last, nonce);
}

} // namespace glocal::lisp
