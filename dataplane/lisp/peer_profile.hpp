#pragma once
// What a peer survives. Implementations crash on addresses they do not know (Open Overlay Router 1.3 ends on AFI lists,
// for one), so the encoder is told whom a message is for, and refuses what would hurt.
//
// Threading: immutable values.

#include <bitset>
#include <cstdint>
#include <string_view>

namespace glocal::lisp {

struct peer_profile {
  std::string_view name;
  /// Which LCAF types may stand where an EID, an RLOC, or the NAT field of an Info message stands.
  std::bitset<256> eid_lcafs, rloc_lcafs;
  /// An LCAF inside another one.
  bool nested_lcafs = false;
  bool distinguished_names = false, mac_addresses = false;
  /// RFC 9437: subscriptions and what comes of them. Without it, changes are told by SMR.
  bool pubsub = false;
  /// HMAC-SHA-256; without it the full 160 bits of HMAC-SHA-1 are sent and expected.
  bool sha256 = false;
  /// Takes more than the first record of a Map-Reply.
  bool many_records = false;
};

/// Who speaks all that we speak: our own nodes.
[[nodiscard]] const peer_profile& full_profile() noexcept;
/// Open Overlay Router 1.3: plain addresses and instance ids as EIDs; plain addresses, ELP and RLE as RLOCs.
[[nodiscard]] const peer_profile& oor_profile() noexcept;
/// Who we know nothing about: plain addresses and instance ids, as any implementation since RFC 6830 has them.
[[nodiscard]] const peer_profile& plain_profile() noexcept;

/// By its name (`full`, `oor`, `plain`); nullptr for others.
[[nodiscard]] const peer_profile* find_profile(std::string_view name) noexcept;

} // namespace glocal::lisp
