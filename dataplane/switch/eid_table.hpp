#pragma once
// Where an endpoint identifier (EID) is: longest prefix match from address to local port or remote locator (RLOC).
// The data plane's copy of the LISP map-cache (RFC 9300 section 5): complete, so a lookup never asks anybody.
//
// Immutable after `make`, so thread-safe. One table serves all tenants of an edge; prefixes carry their tenant.
// Layout: per (tenant, family), the prefix lengths in use from long to short, each probed in one hash table; an edge
// has a handful of distinct lengths, so a lookup is a handful of cache lines whatever the number of prefixes.

#include "base/expected.hpp"
#include "base/net.hpp"
#include "dataplane/switch/port_config.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace glocal::dataplane {

/// One mapping: traffic to `prefix` leaves by `port` when the EID is attached here (`port != no_port`), else it is
/// encapsulated to `rloc`.
struct eid_route {
  std::uint32_t tenant = 0;
  ip_prefix prefix;
  port_id port = no_port;
  ip_address rloc;

  bool operator==(const eid_route&) const = default;
  [[nodiscard]] bool is_local() const noexcept { return port != no_port; }
};

enum class eid_table_error { duplicate_prefix, bad_port, bad_rloc };

class eid_table {
public:
  /// @error duplicate_prefix: two routes for one (tenant, prefix); bad_port: port >= max_ports; bad_rloc: a remote
  /// route without a unicast RLOC. Cost: O(routes), allocates; never on an lcore.
  [[nodiscard]] static expected<std::shared_ptr<const eid_table>, eid_table_error> make(std::vector<eid_route> routes);

  /// The longest match of `address`, or nullptr. The pointer lives as long as the table. Cost: one hash probe per
  /// distinct prefix length of the tenant and family; no allocation.
  [[nodiscard]] const eid_route* lookup(std::uint32_t tenant, const ip_address& address) const noexcept;

  [[nodiscard]] std::span<const eid_route> routes() const noexcept { return routes_; }

private:
  /// The prefix lengths that exist for one tenant and family, long to short.
  struct length_set {
    std::uint32_t tenant = 0;
    ip_family family = ip_family::v4;
    std::vector<std::uint8_t> lengths;
  };

  explicit eid_table(std::vector<eid_route> routes) : routes_{std::move(routes)} {}
  [[nodiscard]] expected<void, eid_table_error> index();
  [[nodiscard]] const eid_route* find(std::uint32_t tenant, const ip_prefix& prefix) const noexcept;

  std::vector<eid_route> routes_;
  std::vector<length_set> length_sets_;
  /// Open addressing with linear probing at a load of at most one half; a slot holds a route's index + 1, 0 is empty.
  std::vector<std::uint32_t> slots_;
};

} // namespace glocal::dataplane
