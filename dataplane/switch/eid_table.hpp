#pragma once
// Where an endpoint identifier (EID) is: longest prefix match from address to local port or remote locator (RLOC).
// The data plane's copy of the LISP map-cache (RFC 9300 section 5): complete, so a lookup never asks anybody.
//
// Immutable after `make`, so thread-safe. One table serves all tenants of an edge; prefixes carry their tenant.
// Layout: per tenant and family, the prefix lengths in use from long to short, each probed in one hash table; an edge
// has a handful of distinct lengths, so a lookup is a handful of cache lines whatever the number of prefixes. An IPv4
// prefix with its tenant is one word, which is key and identity in one.

#include "base/expected.hpp"
#include "base/net.hpp"
#include "dataplane/switch/port_config.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
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
  [[nodiscard]] const eid_route* lookup(std::uint32_t tenant, const ip_address& address) const noexcept {
    return address.is_v4() ? lookup_v4(tenant, address.v4_value()) : lookup_v6(tenant, address);
  }
  /// As lookup() of the IPv4 address with host-order value `address`. Cost: about 2 ns per distinct prefix length.
  [[nodiscard]] const eid_route* lookup_v4(std::uint32_t tenant, std::uint32_t address) const noexcept;

  [[nodiscard]] std::span<const eid_route> routes() const noexcept { return routes_; }

private:
  /// The prefix lengths that exist for one tenant.
  struct length_set {
    std::uint32_t tenant = 0;
    /// A bit for each.
    std::uint64_t v4 = 0;
    /// Long to short.
    std::vector<std::uint8_t> v6;
  };
  struct v4_slot {
    std::uint64_t key = vacant;
    std::uint32_t route = 0;
  };
  /// No key: there are no prefixes of 255 bits.
  static constexpr std::uint64_t vacant = UINT64_MAX;

  explicit eid_table(std::vector<eid_route> routes) : routes_{std::move(routes)} {}
  [[nodiscard]] expected<void, eid_table_error> index();
  [[nodiscard]] bool index_v4(std::uint32_t route);
  [[nodiscard]] bool index_v6(std::uint32_t route);
  [[nodiscard]] const eid_route* lookup_v6(std::uint32_t tenant, const ip_address& address) const noexcept;
  [[nodiscard]] const eid_route* find_v6(std::uint32_t tenant, const ip_prefix& prefix) const noexcept;
  [[nodiscard]] const length_set* lengths_of(std::uint32_t tenant) const noexcept;
  [[nodiscard]] length_set* lengths_of(std::uint32_t tenant) noexcept {
    return const_cast<length_set*>(std::as_const(*this).lengths_of(tenant));
  }
  [[nodiscard]] std::size_t v4_slot_of(std::uint64_t key) const noexcept {
    return key * 0x9e37'79b9'7f4a'7c15u >> v4_shift_; // Fibonacci hashing (Knuth, TAOCP 6.4)
  }

  std::vector<eid_route> routes_;
  /// By tenant.
  std::vector<length_set> length_sets_;
  /// Open addressing with linear probing at a load of at most one half.
  std::vector<v4_slot> v4_slots_;
  unsigned v4_shift_ = 63;
  /// The same; a slot holds a route's index + 1, 0 is empty.
  std::vector<std::uint32_t> v6_slots_;
};

} // namespace glocal::dataplane
