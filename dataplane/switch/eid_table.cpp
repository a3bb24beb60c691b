#include "dataplane/switch/eid_table.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <bit>

namespace glocal::dataplane {
namespace {

std::size_t slot_hash(std::uint32_t tenant, const ip_prefix& prefix) noexcept {
  // The family tells 0.0.0.0/0 from ::/0; octets are zero beyond the prefix, so they hash as they are.
  const auto seed = (std::uint64_t{tenant} << 16) | (std::uint64_t{prefix.length} << 8) |
                    static_cast<std::uint64_t>(prefix.address.family);
  return hash_bytes(prefix.address.octets.data(), prefix.address.octets.size(), seed);
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
  slots_.assign(std::bit_ceil(std::max<std::size_t>(routes_.size() * 2, 2)), 0);
  const auto mask = slots_.size() - 1;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const auto& route = routes_[i];
    if (find(route.tenant, route.prefix) != nullptr)
      return unexpected{eid_table_error::duplicate_prefix};
    auto at = slot_hash(route.tenant, route.prefix) & mask;
    while (slots_[at] != 0)
      at = (at + 1) & mask;
    slots_[at] = static_cast<std::uint32_t>(i + 1);

    const auto family = route.prefix.address.family;
    auto set = std::ranges::find_if(length_sets_, [&](const auto& candidate) {
      return candidate.tenant == route.tenant && candidate.family == family;
    });
    if (set == length_sets_.end())
      set = length_sets_.insert(length_sets_.end(), {route.tenant, family, {}});
    if (std::ranges::find(set->lengths, route.prefix.length) == set->lengths.end())
      set->lengths.push_back(route.prefix.length);
  }
  for (auto& set : length_sets_)
    std::ranges::sort(set.lengths, std::greater<>{});
  // lookup() finds a tenant's set by binary search.
  std::ranges::sort(length_sets_, {}, [](const length_set& set) { return std::pair{set.tenant, set.family}; });
  return {};
}

const eid_route* eid_table::find(std::uint32_t tenant, const ip_prefix& prefix) const noexcept {
  const auto mask = slots_.size() - 1;
  for (auto at = slot_hash(tenant, prefix) & mask; slots_[at] != 0; at = (at + 1) & mask)
    if (const auto& route = routes_[slots_[at] - 1]; route.tenant == tenant && route.prefix == prefix)
      return &route;
  return nullptr;
}

const eid_route* eid_table::lookup(std::uint32_t tenant, const ip_address& address) const noexcept {
  const auto wanted = std::pair{tenant, address.family};
  const auto set = std::ranges::lower_bound(length_sets_, wanted, {}, [](const length_set& each) {
    return std::pair{each.tenant, each.family};
  });
  if (set == length_sets_.end() || std::pair{set->tenant, set->family} != wanted)
    return nullptr;
  for (const auto length : set->lengths)
    if (const auto* route = find(tenant, ip_prefix::make(address, length)))
      return route;
  return nullptr;
}

} // namespace glocal::dataplane
