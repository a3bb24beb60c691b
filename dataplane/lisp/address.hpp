#pragma once
// What stands in the address fields of LISP control messages: plain addresses, names, and the LISP Canonical Address
// Format (LCAF), which nests.
//
// Invariants: values of what decode() returned nest at most max_address_depth deep. Values copy and compare.
// Sources: RFC 8060 (LCAF), RFC 9306 (vendor LCAF), RFC 9735 (distinguished names), IANA address family numbers.

#include "base/bytes.hpp"
#include "base/net.hpp"
#include "dataplane/lisp/boxed.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace glocal::lisp {

/// IANA address family numbers.
namespace afi {
inline constexpr std::uint16_t none = 0, ipv4 = 1, ipv6 = 2, distinguished_name = 17, lcaf = 16387, mac = 16389;
}

/// IANA "LISP Canonical Address Format (LCAF) Types".
namespace lcaf_type {
inline constexpr std::uint8_t afi_list = 1, instance_id = 2, application_data = 4, nat_traversal = 7,
                              explicit_locator_path = 10, source_destination = 12, replication_list = 13, vendor = 255;
}

/// An instance id over application data over source and destination over an address is 3 deep; one more is spare.
inline constexpr std::size_t max_address_depth = 4;

/// AFI 0.
struct no_address {
  bool operator==(const no_address&) const = default;
};

/// AFI 17: ASCII without the NUL that ends it on the wire.
struct distinguished_name {
  std::string text;
  bool operator==(const distinguished_name&) const = default;
};

struct afi_list;
struct instance_address;
struct application_data;
struct nat_traversal;
struct explicit_locator_path;
struct source_destination;
struct replication_list;

/// RFC 9306: what only the owner of `oui` (24 bits) understands.
struct vendor_lcaf {
  std::uint32_t oui = 0;
  bytes body;
  bool operator==(const vendor_lcaf&) const = default;
};

/// A type not spoken here, kept as it came (RFC 8060 section 3 lets a receiver pass over it).
struct opaque_lcaf {
  std::uint8_t type = 0, flags = 0, reserved2 = 0;
  bytes body;
  bool operator==(const opaque_lcaf&) const = default;
};

struct address {
  std::variant<no_address, ip_address, mac_address, distinguished_name, boxed<afi_list>, boxed<instance_address>,
               boxed<application_data>, boxed<nat_traversal>, boxed<explicit_locator_path>, boxed<source_destination>,
               boxed<replication_list>, vendor_lcaf, opaque_lcaf>
      value;

  address() = default;
  address(const ip_address& plain) : value{plain} {}
  template <class Kind>
  requires(!std::is_same_v<std::decay_t<Kind>, address>) address(Kind kind);

  /// The value if it is a `Kind`, which is named without its box.
  template <class Kind>
  [[nodiscard]] const Kind* get_if() const noexcept;
  [[nodiscard]] bool is_none() const noexcept { return std::holds_alternative<no_address>(value); }
  bool operator==(const address& other) const;
};

/// LCAF 1 (RFC 8060 section 4.10).
struct afi_list {
  std::vector<address> items;
  bool operator==(const afi_list&) const = default;
};

/// LCAF 2 (RFC 8060 section 4.1): an address within a tenant.
struct instance_address {
  std::uint8_t iid_mask_length = 32;
  std::uint32_t instance_id = 0;
  address inner;
  bool operator==(const instance_address&) const = default;
};

struct port_range {
  std::uint16_t low = 0, high = 0xffff;
  bool operator==(const port_range&) const = default;
};

/// LCAF 4 (RFC 8060 section 5.1). `tos` is 24 bits: IPv4 TOS, IPv6 traffic class or flow label.
struct application_data {
  std::uint32_t tos = 0;
  std::uint8_t protocol = 0;
  port_range local, remote;
  address inner;
  bool operator==(const application_data&) const = default;
};

/// LCAF 7 (RFC 8060 section 4.4, draft-ermagan-lisp-nat-traversal).
struct nat_traversal {
  std::uint16_t map_server_port = 0, etr_port = 0;
  address global_etr, map_server, private_etr;
  std::vector<address> rtrs;
  bool operator==(const nat_traversal&) const = default;
};

/// LCAF 10 (RFC 8060 section 4.6): re-encapsulating hops in order; the last one delivers.
struct explicit_locator_path {
  struct hop {
    /// L: look the hop up in the mapping system; P: probe it; S: it must not be skipped.
    bool lookup = false, probe = false, strict = false;
    address rloc;
    bool operator==(const hop&) const = default;
  };
  std::vector<hop> hops;
  bool operator==(const explicit_locator_path&) const = default;
};

/// LCAF 12 (RFC 8060 section 4.8).
struct source_destination {
  std::uint8_t source_mask_length = 0, destination_mask_length = 0;
  address source, destination;
  bool operator==(const source_destination&) const = default;
};

/// LCAF 13 (RFC 8060 section 4.9).
struct replication_list {
  struct entry {
    std::uint8_t level = 0;
    address rloc;
    bool operator==(const entry&) const = default;
  };
  std::vector<entry> entries;
  bool operator==(const replication_list&) const = default;
};

/// An EID with the length that stands beside it in messages. For addresses whose lengths stand inside (LCAF 4 and 12)
/// the length says nothing and is 0.
struct eid_prefix {
  address eid;
  std::uint8_t mask_length = 0;
  bool operator==(const eid_prefix&) const = default;
};

/// `plain` within a tenant; `plain` itself for tenant 0, as on the wire of those who have no tenants.
[[nodiscard]] address in_instance(std::uint32_t instance_id, address plain);
/// The tenant of `eid`, 0 without one.
[[nodiscard]] std::uint32_t instance_of(const address& eid);
/// `eid` without its tenant.
[[nodiscard]] const address& without_instance(const address& eid);

[[nodiscard]] eid_prefix make_eid(const ip_prefix& prefix, std::uint32_t instance_id = 0);
/// The plain prefix in `eid`, its tenant left away; nothing for other kinds and for host bits or lengths that can't be.
[[nodiscard]] std::optional<ip_prefix> ip_prefix_of(const eid_prefix& eid);

/// A flow as an EID: LCAF 4 over LCAF 12. Source and destination of the tuple are local and remote.
[[nodiscard]] eid_prefix make_flow_eid(const five_tuple& flow, std::uint32_t instance_id = 0);
/// The inverse; nothing for other EIDs and for ranges of ports or addresses.
[[nodiscard]] std::optional<five_tuple> flow_of(const eid_prefix& eid);

/// `192.168.1.7`, `[7]192.168.1.7`, `10.0.5.2 > 10.0.4.2` (ELP), `tcp 10.1.0.7:51514 > 203.0.113.9:80`, `lcaf 6 (14
/// B)`.
[[nodiscard]] std::string to_string(const address& shown);
/// With the length where it has a meaning: `[7]192.168.1.0/24`.
[[nodiscard]] std::string to_string(const eid_prefix& shown);

namespace detail {
template <class Kind, class Variant>
inline constexpr bool is_unboxed_alternative = false;
template <class Kind, class... All>
inline constexpr bool is_unboxed_alternative<Kind, std::variant<All...>> = (std::is_same_v<Kind, All> || ...);
} // namespace detail

template <class Kind>
requires(!std::is_same_v<std::decay_t<Kind>, address>) address::address(Kind kind)
    : value{[&]() -> decltype(value) {
        if constexpr (detail::is_unboxed_alternative<Kind, decltype(value)>)
          return std::move(kind);
        else
          return boxed<Kind>{std::move(kind)};
      }()} {}

template <class Kind>
const Kind* address::get_if() const noexcept {
  if constexpr (detail::is_unboxed_alternative<Kind, decltype(value)>) {
    return std::get_if<Kind>(&value);
  } else {
    const auto* held = std::get_if<boxed<Kind>>(&value);
    return held == nullptr ? nullptr : &**held;
  }
}

} // namespace glocal::lisp
