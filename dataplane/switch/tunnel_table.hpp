#pragma once
// Ways to remote RLOCs, made when first used and kept: outer headers ready to copy, and the next hop on the underlay.
//
// Threading: one thread. Only the constructor allocates.

#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/switch/hash_index.hpp"
#include "dataplane/switch/port_table.hpp"

namespace glocal::dataplane {

/// Our edges are spoken to with NSH for traffic on a path; traffic of no service is plain LISP to anybody.
enum class tunnel_format : std::uint8_t { plain, service_path };

class tunnel_table {
public:
  struct way {
    ip_address rloc;
    tunnel_format format = tunnel_format::plain;
    tunnel through;
    /// On the underlay; its MAC address is the neighbour table's business.
    ip_address next_hop;
  };

  explicit tunnel_table(std::size_t capacity) : ways_{capacity}, index_{capacity} { recent_.fill(none); }

  /// nullptr when no underlay port leads there. When the table is full it starts afresh. Cost: one hash when known.
  [[nodiscard]] const way* find_or_make(const ip_address& rloc, tunnel_format format, const port_table& ports) noexcept;

  /// As find_or_make(), of those used last; else nullptr. Cost: a few ns.
  [[nodiscard]] const way* find_recent(const ip_address& rloc, tunnel_format format) const noexcept {
    const auto at = recent_[recent_slot(rloc, format)];
    return at != none && ways_[at].format == format && ways_[at].rloc == rloc ? &ways_[at] : nullptr;
  }

  /// Forgets all: underlay ports changed.
  void clear() noexcept;

private:
  [[nodiscard]] static std::size_t recent_slot(const ip_address& rloc, tunnel_format format) noexcept {
    const auto& o = rloc.octets;
    return (o[2] * 7u + o[3] + o[15] + static_cast<unsigned>(format) * 32u) % 64;
  }

  pool<way> ways_;
  hash_index index_;
  std::array<std::uint32_t, 64> recent_;
};

} // namespace glocal::dataplane
