// Frames from a hostile wire: the parser, what decodes ARP and ND, and what changes frames in place.

#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/neighbour.hpp"
#include "dataplane/wire/simple_packet.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

void check_offsets(const parsed_packet& p, std::size_t size) {
  require(p.l3_offset <= p.l4_offset && p.l4_offset <= p.payload_offset);
  require(std::size_t{p.payload_offset} + p.payload_length <= size);
  if (p.is_ip())
    require(p.l3_offset + p.ip_total_length <= size && p.payload_offset <= p.l3_offset + p.ip_total_length);
}

/// read_simple() reads what it should read, as parse() reads it.
void check_simple(byte_view frame, parsed_packet p, bool is_bad) {
  simple_packet s;
  const bool is_wanted = !is_bad && p.kind == packet_kind::ipv4 && !p.has_vlan_tag &&
                         (p.tuple.protocol == ip_protocol::tcp || p.tuple.protocol == ip_protocol::udp);
  require(read_simple(frame, s) == is_wanted);
  if (!is_wanted)
    return;
  const five_tuple tuple{ip_address::v4(s.source), ip_address::v4(s.destination), s.source_port, s.destination_port,
                         s.protocol};
  require(tuple == p.tuple && s.ip_bytes == p.ip_total_length && s.traffic_class == (p.dscp << 2 | p.ecn) &&
          s.ttl == p.ttl && s.tcp_flags == p.tcp_flags);
  if (s.ttl <= 1)
    return;
  packet_buffer one{{frame.begin(), frame.end()}}, other{{frame.begin(), frame.end()}};
  decrement_ttl(one.view.data, s);
  require(!decrement_ttl(other.view.data, p));
  require(one.frame() == other.frame() && s.ttl == p.ttl);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto frame = std::as_bytes(std::span{data, size});
  parsed_packet p;
  const auto bad = parse(frame, p);
  check_simple(frame, p, bad.has_value());
  if (bad)
    return 0;
  check_offsets(p, size);
  if (is_neighbour_message(p))
    if (const auto message = decode_neighbour(frame, p)) {
      packet_buffer answer{{}};
      require(!write_advertisement(answer.view, *message, edge_mac));
      require(decode_neighbour(answer.view.view(), parsed(answer.view.view())).has_value());
    }
  packet_buffer changed{{frame.begin(), frame.end()}};
  if (is_echo_request(p))
    make_echo_reply(changed.view.data, p);
  if (p.is_ip()) {
    if (!decrement_ttl(changed.view.data, p))
      set_ecn(changed.view.data + p.l3_offset, p.kind, ecn::ce);
    require(!set_vlan(changed.view, p, 5));
    // Still good, and still the same places.
    const auto again = parsed(changed.view.view());
    require(again.l4_offset == p.l4_offset && again.payload_offset == p.payload_offset && again.vlan == 5);
  }
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  packet_buffer solicitation{{}};
  if (write_solicitation(solicitation.view, *parse_ip("2001:db8::1"), *parse_ip("2001:db8::7"), host_mac))
    std::abort();
  const bytes inputs[] = {
      packet_builder{}.tcp(51514, 80, tcp_flag::syn).build(),
      packet_builder{}.vlan(7).udp(5000, 53).payload("query").build(),
      packet_builder{}.echo_request(77).build(),
      packet_builder{}.ip("2001:db8::1", "2001:db8::2").tcp(51514, 80).payload("body").build(),
      packet_builder{}.ip("2001:db8::1", "2001:db8::2").echo_request(77).build(),
      packet_builder{}
          .ip("2001:db8::1", "2001:db8::2")
          .raw(60, from_hex("2b 00 01 04 00000000 06 00 04 00 00000000"))
          .build(),
      packet_builder{}.raw(ip_protocol::sctp, bytes(12)).build(),
      arp_request(host_mac, "10.1.0.7", "10.1.0.1"),
      arp_reply(edge_mac, "10.1.0.1", host_mac, "10.1.0.7"),
      solicitation.frame(),
  };
  if (index >= std::size(inputs))
    return 0;
  const auto size = std::min(capacity, inputs[index].size());
  std::memcpy(out, inputs[index].data(), size);
  return size;
}
