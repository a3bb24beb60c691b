#pragma once
// A packet that nobody sent, for asking a switch what would become of it: headers as a host would write them, no
// payload, checksums of L4 left out (no edge reads them).

#include "base/bytes.hpp"
#include "base/net.hpp"
#include "dataplane/wire/headers.hpp"

#include <vector>

namespace glocal::dataplane {

struct probe_fields {
  /// Of ICMP, the ports are the echo identifier.
  five_tuple tuple;
  /// 0: no tag.
  std::uint16_t vlan = 0;
  std::uint8_t dscp = 0, ttl = 64;
  /// The beginning of a connection.
  std::uint8_t tcp_flags = tcp_flag::syn;
};

/// Destination MAC address zero. REQUIRES: addresses of one family. Allocates; not for an lcore.
[[nodiscard]] std::vector<std::byte> make_probe_frame(const probe_fields& fields);

} // namespace glocal::dataplane
