// RFC 9301 section 5.8:
//
//    |Type=8 |S|D|E|M|            Reserved                           |
//    |   IPv4 or IPv6 header, UDP header, LISP control message       |
//
// E and M are of the IANA registry of ECM bits. LISP-SEC (S) is not spoken: its data would stand before the IP header.

#include "dataplane/lisp/message_codec.hpp"
#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/headers.hpp"

#include <limits>

namespace glocal::lisp {
namespace {

using namespace dataplane;

constexpr auto bit_s = wire_bit(4), bit_d = wire_bit(5), bit_e = wire_bit(6), bit_m = wire_bit(7);
constexpr std::size_t first_word_bytes = 4;
/// Where the inner UDP header keeps its checksum.
constexpr std::size_t udp_checksum_offset = 6;

/// What a sender writes: a sum of 0 would mean that there is none (RFC 768).
std::uint16_t right_checksum(byte_view udp, const encapsulated_message& outer) {
  auto sum =
      pseudo_header_sum(outer.source, outer.destination, ip_protocol::udp, static_cast<std::uint32_t>(udp.size()));
  sum = checksum_add(udp.first(udp_checksum_offset), sum);
  const auto folded = checksum_fold(checksum_add(udp.subspan(udp_header_bytes), sum));
  return folded == 0 ? 0xffff : folded;
}

/// @return bytes of UDP header and payload, as the IP header says.
std::size_t read_ipv4(reader& from, encapsulated_message& out) {
  const auto start = from.offset();
  const auto header = from.take(ipv4_header_bytes, "inner IPv4 header");
  if (!from.ok())
    return 0;
  const auto* at = header.data();
  // Control messages are sent without options and in one piece.
  if (load_u8(at) != 0x45)
    from.fail(decode_fault::unsupported, "inner IPv4 options", start);
  out.traffic_class = load_u8(at + 1);
  const std::size_t total = load_be16(at + 2);
  if (total < ipv4_header_bytes)
    from.fail(decode_fault::bad_value, "inner IPv4 length", start + 2);
  out.identification = load_be16(at + 4);
  const auto fragmentation = load_be16(at + 6);
  out.dont_fragment = (fragmentation & 0x4000) != 0;
  if ((fragmentation & 0x3fff) != 0)
    from.fail(decode_fault::unsupported, "inner IPv4 fragment", start + 6);
  out.hop_limit = load_u8(at + 8);
  if (load_u8(at + 9) != ip_protocol::udp)
    from.fail(decode_fault::bad_value, "inner IP protocol", start + 9);
  if (internet_checksum(header) != 0)
    from.fail(decode_fault::bad_value, "inner IPv4 checksum", start + 10);
  std::memcpy(out.source.octets.data(), at + 12, 4);
  std::memcpy(out.destination.octets.data(), at + 16, 4);
  return from.ok() ? total - ipv4_header_bytes : 0;
}

std::size_t read_ipv6(reader& from, encapsulated_message& out) {
  const auto start = from.offset();
  const auto header = from.take(ipv6_header_bytes, "inner IPv6 header");
  if (!from.ok())
    return 0;
  const auto* at = header.data();
  const auto first = load_be32(at);
  out.traffic_class = static_cast<std::uint8_t>(first >> 20);
  out.flow_label = first & 0xfffff;
  if (load_u8(at + 6) != ip_protocol::udp)
    from.fail(decode_fault::bad_value, "inner IP protocol", start + 6);
  out.hop_limit = load_u8(at + 7);
  out.source.family = out.destination.family = ip_family::v6;
  std::memcpy(out.source.octets.data(), at + 8, 16);
  std::memcpy(out.destination.octets.data(), at + 24, 16);
  return load_be16(at + 4);
}

void write_ip_header(writer& to, const encapsulated_message& message, std::size_t udp_bytes) {
  const auto begin = to.size();
  if (message.source.is_v4()) {
    to.u8(0x45);
    to.u8(message.traffic_class);
    to.u16(static_cast<std::uint16_t>(ipv4_header_bytes + udp_bytes));
    to.u16(message.identification);
    to.u16(message.dont_fragment ? 0x4000 : 0);
    to.u8(message.hop_limit);
    to.u8(ip_protocol::udp);
    to.u16(0);
  } else {
    to.require(message.flow_label < 1u << 20, "a flow label of more than 20 bits");
    to.u32(0x60000000u | std::uint32_t{message.traffic_class} << 20 | (message.flow_label & 0xfffff));
    to.u16(static_cast<std::uint16_t>(udp_bytes));
    to.u8(ip_protocol::udp);
    to.u8(message.hop_limit);
  }
  for (const auto* ip : {&message.source, &message.destination})
    to.put(std::as_bytes(std::span{ip->octets}.first(ip->bits() / 8u)));
  if (message.source.is_v4())
    to.patch_u16(begin + 10, internet_checksum({to.at(begin), ipv4_header_bytes}));
}

} // namespace

encapsulated_message read_encapsulated(reader& from, std::uint32_t first) {
  encapsulated_message out;
  out.ddt_originated = has(first, bit_d);
  out.to_etr = has(first, bit_e);
  out.to_map_server = has(first, bit_m);
  if (has(first, bit_s))
    from.fail(decode_fault::unsupported, "LISP-SEC data", 0);
  const auto version = from.left() == 0 ? 0 : load_u8(from.all().data() + first_word_bytes) >> 4;
  std::size_t udp_bytes = 0;
  if (version == 4)
    udp_bytes = read_ipv4(from, out);
  else if (version == 6)
    udp_bytes = read_ipv6(from, out);
  else
    from.fail(from.left() == 0 ? decode_fault::truncated : decode_fault::bad_value, "inner IP version");
  if (!from.ok())
    return out;

  const auto udp_at = from.offset();
  const auto outer = from.narrow(udp_bytes, "inner IP payload");
  out.source_port = from.u16("inner UDP header");
  out.destination_port = from.u16("inner UDP header");
  const std::size_t length = from.u16("inner UDP header");
  const auto checksum = from.u16("inner UDP header");
  if (length != udp_bytes)
    from.fail(decode_fault::bad_value, "inner UDP length", udp_at + 4);
  const auto message = from.take(from.left(), "inner message");
  if (message.empty())
    from.fail(decode_fault::truncated, "inner message");
  else if (load_u8(message.data()) >> 4 == static_cast<std::uint8_t>(message_type::encapsulated))
    from.fail(decode_fault::too_deep, "encapsulated message within an encapsulated message", udp_at + udp_header_bytes);
  from.widen(outer, "inner message");
  if (!from.ok())
    return out;
  out.message.assign(message.begin(), message.end());
  if (checksum != right_checksum(from.all().subspan(udp_at, udp_bytes), out))
    out.odd_checksum = checksum;
  return out;
}

void write(writer& to, const encapsulated_message& message) {
  const auto udp_bytes = udp_header_bytes + message.message.size();
  to.require(message.source.family == message.destination.family, "inner addresses of two families");
  to.require(udp_bytes + ipv4_header_bytes <= std::numeric_limits<std::uint16_t>::max(), "an inner message of 64 KiB");
  to.require(!message.message.empty() &&
                 load_u8(message.message.data()) >> 4 != static_cast<std::uint8_t>(message_type::encapsulated),
             "an encapsulated message has one inside that is not encapsulated");
  if (!to.ok())
    return;
  to.u32(first_word(message_type::encapsulated) | flag(message.ddt_originated, bit_d) | flag(message.to_etr, bit_e) |
         flag(message.to_map_server, bit_m));
  write_ip_header(to, message, udp_bytes);
  const auto udp_at = to.size();
  to.u16(message.source_port);
  to.u16(message.destination_port);
  to.u16(static_cast<std::uint16_t>(udp_bytes));
  to.u16(0);
  to.put(message.message);
  to.patch_u16(udp_at + udp_checksum_offset,
               message.odd_checksum ? *message.odd_checksum : right_checksum({to.at(udp_at), udp_bytes}, message));
}

} // namespace glocal::lisp
