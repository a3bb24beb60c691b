#include "dataplane/wire/testing/packet_builder.hpp"

#include "dataplane/wire/checksum.hpp"
#include "dataplane/wire/neighbour.hpp"

#include <cstdlib>

namespace glocal::dataplane::testing {
namespace {

bytes bytes_of(std::string_view text) {
  const auto view = std::as_bytes(std::span{text});
  return {view.begin(), view.end()};
}

/// Where the checksum of `protocol` stands in its header; 0 for those that have none we fill in.
std::size_t checksum_offset(std::uint8_t protocol) {
  switch (protocol) {
  case ip_protocol::tcp: return 16;
  case ip_protocol::udp: return 6;
  case ip_protocol::icmp:
  case ip_protocol::icmp6: return 2;
  default: return 0;
  }
}

} // namespace

packet_builder& packet_builder::macs(const mac_address& source, const mac_address& destination) {
  source_mac_ = source;
  destination_mac_ = destination;
  return *this;
}

packet_builder& packet_builder::vlan(std::uint16_t id) {
  vlan_ = id;
  return *this;
}

packet_builder& packet_builder::ip(std::string_view source, std::string_view destination) {
  ip_.source = parse_ip(source).value();
  ip_.destination = parse_ip(destination).value();
  return *this;
}

packet_builder& packet_builder::ttl(std::uint8_t hops) {
  ip_.ttl = hops;
  return *this;
}

packet_builder& packet_builder::dscp(std::uint8_t value) {
  ip_.dscp = value;
  return *this;
}

packet_builder& packet_builder::ecn(std::uint8_t value) {
  ip_.ecn = value;
  return *this;
}

packet_builder& packet_builder::tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags) {
  bytes header(tcp_header_bytes);
  store_be16(header.data(), source);
  store_be16(header.data() + 2, destination);
  store_be32(header.data() + 4, 1000);
  store_u8(header.data() + 12, 5 << 4);
  store_u8(header.data() + 13, flags);
  store_be16(header.data() + 14, 0xffff);
  return raw(ip_protocol::tcp, std::move(header));
}

packet_builder& packet_builder::udp(std::uint16_t source, std::uint16_t destination) {
  bytes header(udp_header_bytes);
  write_udp(header.data(), source, destination, 0, 0);
  return raw(ip_protocol::udp, std::move(header));
}

packet_builder& packet_builder::echo_request(std::uint16_t identifier, std::uint16_t sequence) {
  return echo(icmp_type::echo_request, icmp_type::v6_echo_request, identifier, sequence);
}

packet_builder& packet_builder::echo_reply(std::uint16_t identifier, std::uint16_t sequence) {
  return echo(icmp_type::echo_reply, icmp_type::v6_echo_reply, identifier, sequence);
}

packet_builder& packet_builder::echo(std::uint8_t v4_type, std::uint8_t v6_type, std::uint16_t identifier,
                                     std::uint16_t sequence) {
  const bool is_v4 = ip_.source.is_v4();
  bytes header(icmp_header_bytes);
  store_u8(header.data(), is_v4 ? v4_type : v6_type);
  store_be16(header.data() + 4, identifier);
  store_be16(header.data() + 6, sequence);
  return raw(is_v4 ? ip_protocol::icmp : ip_protocol::icmp6, std::move(header));
}

packet_builder& packet_builder::raw(std::uint8_t protocol, bytes header_and_payload) {
  ip_.protocol = protocol;
  l4_header_ = std::move(header_and_payload);
  return *this;
}

packet_builder& packet_builder::payload(std::string_view text) {
  return payload(bytes_of(text));
}

packet_builder& packet_builder::payload(bytes data) {
  payload_ = std::move(data);
  return *this;
}

bytes packet_builder::build() const {
  bytes l4 = l4_header_;
  l4.insert(l4.end(), payload_.begin(), payload_.end());
  if (ip_.protocol == ip_protocol::udp && l4.size() >= udp_header_bytes)
    store_be16(l4.data() + 4, static_cast<std::uint16_t>(l4.size()));
  const auto at = checksum_offset(ip_.protocol);
  if (at != 0 && l4.size() >= at + 2) {
    store_be16(l4.data() + at, 0);
    auto checksum = ip_.protocol == ip_protocol::icmp ? internet_checksum(l4)
                                                      : l4_checksum(l4, ip_.source, ip_.destination, ip_.protocol);
    if (checksum == 0 && ip_.protocol == ip_protocol::udp)
      checksum = 0xffff;
    store_be16(l4.data() + at, checksum);
  }

  bytes frame(ethernet_header_bytes + vlan_tag_bytes + ipv6_header_bytes);
  auto size = write_ethernet(frame.data(), destination_mac_, source_mac_,
                             ip_.source.is_v4() ? ethertype::ipv4 : ethertype::ipv6, vlan_);
  auto fields = ip_;
  fields.payload_length = static_cast<std::uint16_t>(l4.size());
  size += write_ip(frame.data() + size, fields);
  frame.resize(size);
  frame.insert(frame.end(), l4.begin(), l4.end());
  return frame;
}

bytes arp_request(const mac_address& sender_mac, std::string_view sender, std::string_view target) {
  packet_buffer buffer{{}};
  if (write_solicitation(buffer.view, parse_ip(target).value(), parse_ip(sender).value(), sender_mac))
    std::abort();
  return buffer.frame();
}

bytes arp_reply(const mac_address& sender_mac, std::string_view sender, const mac_address& target_mac,
                std::string_view target) {
  packet_buffer buffer{{}};
  const neighbour_message asked{neighbour_message::operation::solicit, parse_ip(sender).value(),
                                parse_ip(target).value(), target_mac};
  if (write_advertisement(buffer.view, asked, sender_mac))
    std::abort();
  return buffer.frame();
}

packet_buffer::packet_buffer(const bytes& frame, std::uint16_t headroom, std::uint16_t tailroom)
    : storage_(headroom + frame.size() + tailroom) {
  std::copy(frame.begin(), frame.end(), storage_.begin() + headroom);
  view.data = storage_.data() + headroom;
  view.handle = this;
  view.length = static_cast<std::uint32_t>(frame.size());
  view.headroom = headroom;
  view.tailroom = tailroom;
}

bytes from_hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  bytes out;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n')
      continue;
    if (high < 0) {
      high = digit(c);
      continue;
    }
    out.push_back(static_cast<std::byte>(high << 4 | digit(c)));
    high = -1;
  }
  return out;
}

std::string to_hex(byte_view data) {
  std::string out;
  for (const auto byte : data) {
    constexpr const char* digits = "0123456789abcdef";
    out += digits[std::to_integer<unsigned>(byte) >> 4];
    out += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return out;
}

parsed_packet parsed(byte_view frame) {
  parsed_packet out;
  if (parse(frame, out))
    std::abort();
  return out;
}

} // namespace glocal::dataplane::testing
