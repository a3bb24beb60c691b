#include "dataplane/switch/eid_table.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <bit>

namespace glocal::dataplane {
namespace {

std::size_t v6_hash(std::uint32_t tenant, const ip_prefix& prefix) noexcept {
  const auto seed = std::uint64_t{tenant} << 8 | prefix.length;
  return hash_bytes(prefix.address.octets.data(), prefix.address.octets.size(), seed);
}

/// Tenant 24 | length 8 | address 32.
std::uint64_t v4_key(std::uint32_t tenant, unsigned length, std::uint32_t address) noexcept {
  const auto net = length == 0 ? 0 : address & 0xffff'ffffu << (32 - length);
  return std::uint64_t{tenant} << 40 | std::uint64_t{length} << 32 | net;
}

} // namespace

expected<std::shared_ptr<const eid_table>, eid_table_error> eid_table::make(std::vector<eid_route> routes) {
  for (auto& route : routes) {
    if (route.is_local() ? route.port >= max_ports : route.rloc.is_unspecified() || route.rloc.is_multicast())
      return unexpected{route.is_local() ? eid_table_error::bad_port : eid_table_error::bad_rloc};
    route.prefix = ip_prefix::make(route.prefix.address, std::min(route.prefix.length, route.prefix.address.bits()));
  }
  std::shared_ptr<eid_table> table{new eid_table{std::move(routes)}};
  if (auto indexed = table->index(); !indexed)
    return unexpected{indexed.error()};
  return std::shared_ptr<const eid_table>{std::move(table)};
}

expected<void, eid_table_error> eid_table::index() {
  const auto v4_routes = static_cast<std::size_t>(
      std::ranges::count_if(routes_, [](const auto& route) { return route.prefix.address.is_v4(); }));
  const auto room_for = [](std::size_t routes) { return std::bit_ceil(std::max<std::size_t>(routes * 2, 2)); };
  v4_slots_.resize(room_for(v4_routes));
  v4_shift_ = 64u - static_cast<unsigned>(std::countr_zero(v4_slots_.size()));
  v6_slots_.resize(room_for(routes_.size() - v4_routes));
  for (const auto& route : routes_) // lengths_of() searches what is sorted
    length_sets_.push_back({route.tenant, 0, {}});
  std::ranges::sort(length_sets_, {}, &length_set::tenant);
  length_sets_.erase(std::unique(length_sets_.begin(), length_sets_.end(),
                                 [](const auto& left, const auto& right) { return left.tenant == right.tenant; }),
                     length_sets_.end());
  for (std::uint32_t i = 0; i < routes_.size(); ++i)
    if (routes_[i].prefix.address.is_v4() ? !index_v4(i) : !index_v6(i))
      return unexpected{eid_table_error::duplicate_prefix};
  for (auto& set : length_sets_)
    std::ranges::sort(set.v6, std::greater<>{});
  return {};
}

/// False when the prefix is there.
bool eid_table::index_v4(std::uint32_t route) {
  const auto& [tenant, prefix, port, rloc] = routes_[route];
  const auto key = v4_key(tenant, prefix.length, prefix.address.v4_value());
  auto at = v4_slot_of(key);
  for (; v4_slots_[at].key != vacant; at = (at + 1) & (v4_slots_.size() - 1))
    if (v4_slots_[at].key == key)
      return false;
  v4_slots_[at] = {key, route};
  lengths_of(tenant)->v4 |= std::uint64_t{1} << prefix.length;
  return true;
}

bool eid_table::index_v6(std::uint32_t route) {
  const auto& [tenant, prefix, port, rloc] = routes_[route];
  if (find_v6(tenant, prefix) != nullptr)
    return false;
  const auto mask = v6_slots_.size() - 1;
  auto at = v6_hash(tenant, prefix) & mask;
  while (v6_slots_[at] != 0)
    at = (at + 1) & mask;
  v6_slots_[at] = route + 1;
  auto& lengths = lengths_of(tenant)->v6;
  if (std::ranges::find(lengths, prefix.length) == lengths.end())
    lengths.push_back(prefix.length);
  return true;
}

const eid_table::length_set* eid_table::lengths_of(std::uint32_t tenant) const noexcept {
  if (length_sets_.size() == 1) // one tenant: the usual edge
    return length_sets_.front().tenant == tenant ? &length_sets_.front() : nullptr;
  const auto set = std::ranges::lower_bound(length_sets_, tenant, {}, &length_set::tenant);
  return set != length_sets_.end() && set->tenant == tenant ? &*set : nullptr;
}

const eid_route* eid_table::lookup_v4(std::uint32_t tenant, std::uint32_t address) const noexcept {
  const auto* set = lengths_of(tenant);
  if (set == nullptr)
    return nullptr;
  for (auto lengths = set->v4; lengths != 0;) {
    const auto length = 63u - static_cast<unsigned>(std::countl_zero(lengths));
    lengths ^= std::uint64_t{1} << length;
    const auto key = v4_key(tenant, length, address);
    for (auto at = v4_slot_of(key); v4_slots_[at].key != vacant; at = (at + 1) & (v4_slots_.size() - 1))
      if (v4_slots_[at].key == key)
        return &routes_[v4_slots_[at].route];
  }
  return nullptr;
}

const eid_route* eid_table::find_v6(std::uint32_t tenant, const ip_prefix& prefix) const noexcept {
  const auto mask = v6_slots_.size() - 1;
  for (auto at = v6_hash(tenant, prefix) & mask; v6_slots_[at] != 0; at = (at + 1) & mask)
    if (const auto& route = routes_[v6_slots_[at] - 1]; route.tenant == tenant && route.prefix == prefix)
      return &route;
  return nullptr;
}

const eid_route* eid_table::lookup_v6(std::uint32_t tenant, const ip_address& address) const noexcept {
  const auto* set = lengths_of(tenant);
  if (set == nullptr)
    return nullptr;
  for (const auto length : set->v6)
    if (const auto* route = find_v6(tenant, ip_prefix::make(address, length)))
      return route;
  return nullptr;
}

} // namespace glocal::dataplane
