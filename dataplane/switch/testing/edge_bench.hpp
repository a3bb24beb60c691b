#pragma once
// One edge on the bench: a host, the underlay and the arms of one function, with all neighbours known.

#include "dataplane/switch/testing/bench.hpp"
#include "dataplane/wire/checksum.hpp"

#include <catch2/catch.hpp>

namespace glocal::dataplane::testing {

using namespace std::chrono_literals;

/// An edge with a host at port 0 (10.1.0.7 behind 10.1.0.1/16), the underlay at port 1 (192.0.1.1, router .254), and
/// the arms of one function at ports 2 and 3. All neighbours are known, so that what is sent is what the case is about.
constexpr port_id host = 0, under = 1, in_arm = 2, out_arm = 3;
constexpr std::uint32_t path = 100;

struct edge : bench {
  explicit edge(switch_config config = small(), lcore_channel::sizes rings = {}) : bench{config, rings} {
    order(add_port{attachment(host, "10.1.0.1/16")});
    order(add_port{underlay(under, "192.0.1.1/24", "192.0.1.254")});
    order(add_port{arm(in_arm, port_kind::vnf_in, "169.254.1.1/30", "169.254.1.2")});
    order(add_port{arm(out_arm, port_kind::vnf_out, "169.254.2.1/30", "169.254.2.2")});
    order(set_known_rlocs{{parse_ip("192.0.2.1").value(), parse_ip("192.0.1.1").value()}});
    order(set_classifier{http_service()});
    order(set_mappings{routes()});
    introduce(*this, host, "10.1.0.7", "10.1.0.1");
    introduce(*this, under, "192.0.1.254", "192.0.1.1");
    introduce(*this, in_arm, "169.254.1.2", "169.254.1.1");
    introduce(*this, out_arm, "169.254.2.2", "169.254.2.1");
  }

  static std::shared_ptr<const eid_table> routes() {
    return eid_table::make({local_route("10.1.0.0/16", host), remote_route("0.0.0.0/0", "192.0.2.1"),
                            remote_route("10.1.9.0/24", "192.0.2.1")})
        .value();
  }

  /// The port and TCP or UDP ports of what was sent, inner ones of overlay packets: "1 51514>80".
  std::vector<std::string> sent_flows() {
    std::vector<std::string> out;
    for (const auto& [port, frame] : sent()) {
      auto what = parsed(frame);
      packet_buffer buffer{frame};
      overlay_header header;
      std::string position;
      if (port == under && is_overlay(what) && !decapsulate(buffer.view, what, header)) {
        what = parsed(buffer.frame());
        if (header.has_nsh)
          position = " " + std::to_string(header.spi) + "/" + std::to_string(header.si);
      }
      out.push_back(std::to_string(port) + position + " " + std::to_string(what.tuple.source_port) + ">" +
                    std::to_string(what.tuple.destination_port));
    }
    return out;
  }
};

using flows = std::vector<std::string>;

inline packet_builder request(std::uint16_t port = 51514, std::uint8_t flags = tcp_flag::syn) {
  return std::move(packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(port, 80, flags));
}
inline packet_builder reply(std::uint16_t port = 51514, std::uint8_t flags = tcp_flag::ack) {
  return std::move(packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(80, port, flags));
}
inline packet_builder query(std::uint16_t port = 5000) {
  return std::move(packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(port, 53));
}

/// `inner` as another edge sends it to this one.
inline bytes from_overlay(const bytes& inner, overlay_header header, std::string_view from = "192.0.2.1",
                          std::string_view to = "192.0.1.1") {
  packet_buffer buffer{inner};
  const auto& format = header.has_nsh ? lisp_gpe_nsh() : lisp();
  const auto through =
      make_tunnel(format, parse_ip(from).value(), parse_ip(to).value(), edge_mac, host_mac, under, 1600);
  if (encapsulate(buffer.view, through, header, parsed(inner)))
    std::abort();
  return buffer.frame();
}
inline overlay_header at_step(std::uint32_t spi, std::uint8_t si) {
  return {.spi = spi, .si = si, .has_nsh = true};
}

/// A path of which the only hop is the local function; of which it is elsewhere.
inline path_program here() {
  return {path, {local_hop(in_arm, out_arm)}};
}
inline path_program elsewhere() {
  return {path, {remote_hop("192.0.2.1")}};
}

/// The agent answers a packet-in for `port` with the path.
inline void decide(bench& at, const packet_in& question, const path_program& chain, bool owner = true) {
  at.order(set_path{chain});
  at.order(install_flow{
      .tenant = 0, .forward = question.tuple, .path = chain.id, .cookie = 5, .owner = owner, .hold = question.hold});
}

inline bytes with_byte(bytes frame, std::size_t at, unsigned value) {
  frame.at(at) = std::byte(value);
  return frame;
}

} // namespace glocal::dataplane::testing
