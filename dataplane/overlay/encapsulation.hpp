#pragma once
// The overlay: what an edge puts before a packet towards another edge, and takes off again.
//
//   Ethernet | outer IPv4 or IPv6 | UDP 4341 | LISP header, with LISP-GPE an NSH behind it | inner IP packet
//
// Two formats behind one interface: plain LISP for peers that are not ours (RFC 9300) and LISP-GPE with NSH between our
// edges (RFC 9305, RFC 8300). They share the UDP port; the P bit of the LISP header tells them apart.
// Inner packets are L3: encapsulation replaces the Ethernet header, decapsulation leaves room for one (addresses zero,
// ethertype set), so that one parser and one output path serve both sides.
//
// Threading: pure functions; a tunnel is immutable after make_tunnel.
// Sources: RFC 9300 sections 5.2, 5.3, 10; RFC 6040 section 4; RFC 6936 (zero UDP checksum).

#include "base/expected.hpp"
#include "dataplane/wire/build.hpp"

#include <array>

namespace glocal::dataplane {

/// UDP destination port of LISP data, also of LISP-GPE (RFC 9305 section 3).
inline constexpr std::uint16_t lisp_data_port = 4341;

/// RFC 8300 section 2.2: the initial TTL of the service plane.
inline constexpr std::uint8_t nsh_initial_ttl = 63;

/// What the overlay says about a packet besides its inner header.
struct overlay_header {
  /// 24-bit NSH service path identifier and the position on it (RFC 8300 section 2.3); 0 without NSH.
  std::uint32_t spi = 0;
  std::uint8_t si = 0;
  /// Service-plane hops left; decapsulation has taken one off already.
  std::uint8_t nsh_ttl = nsh_initial_ttl;
  bool has_nsh = false;
  /// LISP instance id, 24 bits: the tenant. 0 is not written on the wire.
  std::uint32_t instance_id = 0;
  /// Carried as NSH metadata (docs/formats.md); 0, as for most packets, is not written. Needs has_nsh.
  trace_id trace = 0;

  bool operator==(const overlay_header&) const = default;
};

/// How one format writes and reads what stands between UDP and the inner packet. Stateless.
class encapsulation {
public:
  /// What read() found, and where the inner packet begins.
  struct contents {
    overlay_header header;
    packet_kind inner = packet_kind::ipv4;
    std::uint16_t header_bytes = 0;
  };
  static constexpr std::size_t max_header_bytes = 28;

  /// Bytes write() will write, at most max_header_bytes; 0 when this format can't carry `header`.
  [[nodiscard]] virtual std::size_t header_bytes(const overlay_header& header) const noexcept = 0;
  virtual void write(std::byte* at, const overlay_header& header, packet_kind inner) const noexcept = 0;
  /// Reads the UDP payload. @error named for the first thing found wrong.
  [[nodiscard]] virtual expected<contents, drop_reason> read(byte_view payload) const noexcept = 0;

protected:
  ~encapsulation() = default;
};

/// RFC 9300, with the instance id as the only thing that is said.
[[nodiscard]] const encapsulation& lisp() noexcept;
/// RFC 9305: with NSH (MD type 2, no metadata but a trace id) when the header has a path, else with the inner packet at
/// once. Metadata of others is skipped, and so is ours when it is malformed: it is no reason to lose a packet.
[[nodiscard]] const encapsulation& lisp_gpe_nsh() noexcept;

/// One way to one RLOC: outer headers ready to copy, but for what depends on the packet.
struct tunnel {
  static constexpr std::size_t v4_outer_bytes = ethernet_header_bytes + ipv4_header_bytes + udp_header_bytes,
                               v6_outer_bytes = ethernet_header_bytes + ipv6_header_bytes + udp_header_bytes;

  const encapsulation* format = nullptr;
  ip_address local, remote;
  port_id out_port = 0;
  /// Bytes of IP packet the underlay takes.
  std::uint16_t mtu = 0;
  /// Of `outer`, those in use: v4_outer_bytes or v6_outer_bytes.
  std::uint8_t outer_bytes = 0;
  std::array<std::byte, v6_outer_bytes> outer{};

  /// Changes the next hop's MAC address, when the neighbour moved.
  void set_next_hop(const mac_address& next_hop, const mac_address& own) noexcept;
};

/// REQUIRES: `local` and `remote` are of one family.
[[nodiscard]] tunnel make_tunnel(const encapsulation& format, const ip_address& local, const ip_address& remote,
                                 const mac_address& next_hop, const mac_address& own_mac, port_id out_port,
                                 std::uint16_t mtu) noexcept;

/// Bytes of inner packet that fit with `header` before them; 0 when the format can't carry it or nothing fits.
[[nodiscard]] std::size_t room_for_inner(const tunnel& through, const overlay_header& header) noexcept;

/// Replaces the Ethernet header (and tag and padding) of `frame` by the outer headers. TTL, DSCP and ECN go from the
/// inner to the outer header; the UDP source port follows the inner flow, so that the underlay spreads flows and keeps
/// each in order. REQUIRES: `inner` is of `frame` and inner.is_ip().
/// @return no_headroom, mtu_exceeded, encapsulation_no_nsh; the frame is unchanged then. Cost: some tens of ns.
[[nodiscard]] drop_verdict encapsulate(packet& frame, const tunnel& through, const overlay_header& header,
                                       const parsed_packet& inner) noexcept;

/// True when `outer` is addressed to the overlay: UDP to lisp_data_port. Whether the port is an underlay port and the
/// source an RLOC we know is for the caller to check first.
[[nodiscard]] bool is_overlay(const parsed_packet& outer) noexcept;

/// Takes the outer headers off, leaving an Ethernet header with zero addresses before the inner packet, and says in
/// `header` what they said. Takes a lower TTL and a congestion mark over to the inner header; the inner DSCP stays, for
/// it is the sender's word, which rules match on, and the underlay may have bleached the outer one. The inner packet is
/// still to be parsed. REQUIRES: `outer` is of `frame` and is_overlay(outer).
/// @return truncated_ip, bad_ip_version, bad_lisp_header, bad_gpe_protocol, bad_nsh_header, nsh_length,
/// bad_nsh_protocol, nsh_ttl_expired, congestion_not_ecn; the frame is unchanged then.
[[nodiscard]] drop_verdict decapsulate(packet& frame, const parsed_packet& outer, overlay_header& header) noexcept;

} // namespace glocal::dataplane
