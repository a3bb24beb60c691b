// Overlay packets from a hostile peer: what comes out lies inside what came in, and what is refused is untouched.

#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <algorithm>
#include <cstdlib>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

const tunnel& through(const encapsulation& format) {
  static const auto local = *parse_ip("192.0.2.1"), remote = *parse_ip("192.0.2.2");
  static const tunnel plain = make_tunnel(lisp(), local, remote, host_mac, edge_mac, 1, 1600);
  static const tunnel nsh = make_tunnel(lisp_gpe_nsh(), local, remote, host_mac, edge_mac, 1, 1600);
  return &format == &lisp() ? plain : nsh;
}

/// A fuzzer's mutations rarely keep a header checksum right, so the input is the UDP payload.
bytes wrapped(byte_view payload) {
  return packet_builder{}
      .ip("192.0.2.2", "192.0.2.1")
      .udp(50000, lisp_data_port)
      .payload(bytes{payload.begin(), payload.end()})
      .build();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto frame = wrapped(std::as_bytes(std::span{data, size}));
  packet_buffer buffer{frame, 0, 0}; // no room around it to hide a step too far
  overlay_header header;
  if (decapsulate(buffer.view, parsed(frame), header)) {
    require(buffer.frame() == frame);
    return 0;
  }
  require(buffer.view.length >= ethernet_header_bytes + ipv4_header_bytes && buffer.view.length < frame.size());
  require(header.trace <= max_trace_id && (header.trace == 0 || header.has_nsh));
  require(header.spi < 1u << 24 && header.instance_id < 1u << 24 && header.nsh_ttl != 0);
  parsed_packet inner;
  if (parse(buffer.view.view(), inner))
    return 0;
  // What can be read can be sent on, and says the same at the next edge.
  packet_buffer onward{buffer.frame()};
  const auto& format = header.has_nsh ? lisp_gpe_nsh() : lisp();
  if (encapsulate(onward.view, through(format), header, inner))
    return 0;
  overlay_header again;
  const auto verdict = decapsulate(onward.view, parsed(onward.view.view()), again);
  if (header.has_nsh && header.nsh_ttl == 1) {
    require(verdict == drop_reason::nsh_ttl_expired);
    return 0;
  }
  require(!verdict && again.trace == header.trace && again.spi == header.spi && again.si == header.si &&
          again.instance_id == header.instance_id);
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  constexpr std::string_view shims[] = {"00000000 00000000",
                                        "08000000 00000700",
                                        "04000001 00000000",
                                        "0c000004 00000700 0fc20201 123456fe",
                                        "04000004 00000000 0fc60101 000010ff 11111111 22222222 33333333 44444444",
                                        "04000004 00000000 0fc50201 000010ff 00010006 aabbccdd eeff0000",
                                        "04000004 00000000 0fc50201 000010ff fff60108 00000123 456789ab",
                                        "04000004 00000000 0fc80201 000010ff 00010002 aabb0000 fff60108 00000000 "
                                        "00000007 fff70000"};
  if (index >= std::size(shims))
    return 0;
  auto input = from_hex(shims[index]);
  const auto inner = packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).payload("GET /").build();
  input.insert(input.end(), inner.begin() + ethernet_header_bytes, inner.end());
  const auto size = std::min(capacity, input.size());
  std::memcpy(out, input.data(), size);
  return size;
}
