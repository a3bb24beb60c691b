#include "dataplane/switch/tunnel_table.hpp"

#include "base/hash.hpp"

namespace glocal::dataplane {
namespace {

std::uint64_t hash(const ip_address& rloc, tunnel_format format) noexcept {
  return hash_bytes(rloc.octets.data(), rloc.octets.size(), static_cast<std::uint64_t>(format));
}

} // namespace

const tunnel_table::way* tunnel_table::find_or_make(const ip_address& rloc, tunnel_format format,
                                                    const port_table& ports) noexcept {
  const auto key = hash(rloc, format);
  const auto known = index_.find(
      key, [&](std::uint32_t candidate) { return ways_[candidate].rloc == rloc && ways_[candidate].format == format; });
  if (known != none) {
    recent_[recent_slot(rloc, format)] = known;
    return &ways_[known];
  }

  const auto* port = ports.towards(rloc);
  if (port == nullptr)
    return nullptr;
  auto made = ways_.acquire();
  if (made == none) {
    clear();
    made = ways_.acquire();
  }
  const auto& encapsulation = format == tunnel_format::plain ? lisp() : lisp_gpe_nsh();
  // MAC addresses are filled in on the way out, as for every other packet.
  ways_[made] = {rloc, format,
                 make_tunnel(encapsulation, own_address_for(*port, rloc), rloc, {}, {}, port->id, port->mtu),
                 next_hop(*port, rloc)};
  if (!index_.insert(key, made)) {
    ways_.release(made);
    return nullptr;
  }
  return &ways_[made];
}

void tunnel_table::clear() noexcept {
  recent_.fill(none);
  for (std::uint32_t i = 0; i < ways_.high_water(); ++i)
    if (ways_[i].through.format != nullptr) {
      index_.erase(hash(ways_[i].rloc, ways_[i].format), i);
      ways_.release(i);
    }
}

} // namespace glocal::dataplane
