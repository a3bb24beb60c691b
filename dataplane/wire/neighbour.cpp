#include "dataplane/wire/neighbour.hpp"

#include "dataplane/wire/checksum.hpp"

namespace glocal::dataplane {
namespace {

constexpr std::uint16_t arp_ethernet = 1, arp_request = 1, arp_reply = 2;
/// RFC 4861 sections 4.3, 4.4: type, code, checksum, flags, target; options follow.
constexpr std::size_t nd_header_bytes = 24;
/// RFC 4861 section 4.6.1 with an Ethernet address.
constexpr std::size_t link_address_option_bytes = 8;
constexpr std::uint8_t source_link_address = 1, target_link_address = 2;
/// RFC 4861 section 4.4.
constexpr std::uint32_t nd_solicited = 0x40000000, nd_override = 0x20000000, nd_router = 0x80000000;
/// Proof that the message crossed no router (RFC 4861 section 3.1).
constexpr std::uint8_t nd_hop_limit = 255;

const ip_address all_nodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, ip_family::v6};

ip_address v4_at(const std::byte* at) noexcept {
  return ip_address::v4(load_be32(at));
}

ip_address v6_at(const std::byte* at) noexcept {
  ip_address out{{}, ip_family::v6};
  std::memcpy(out.octets.data(), at, out.octets.size());
  return out;
}

mac_address mac_at(const std::byte* at) noexcept {
  mac_address out;
  std::memcpy(out.octets.data(), at, out.octets.size());
  return out;
}

void put_mac(std::byte* at, const mac_address& mac) noexcept {
  std::memcpy(at, mac.octets.data(), mac.octets.size());
}

expected<neighbour_message, drop_reason> decode_arp(byte_view message) noexcept {
  const auto* at = message.data();
  if (message.size() < arp_message_bytes || load_be16(at) != arp_ethernet || load_be16(at + 2) != ethertype::ipv4 ||
      load_u8(at + 4) != 6 || load_u8(at + 5) != 4)
    return unexpected{drop_reason::bad_arp};
  const auto op = load_be16(at + 6);
  if (op != arp_request && op != arp_reply)
    return unexpected{drop_reason::bad_arp};
  neighbour_message out;
  out.link_address = mac_at(at + 8);
  const auto sender = v4_at(at + 14);
  const auto target = v4_at(at + 24);
  // Nobody is at a group's address: believing it would let one frame draw a neighbour's traffic to all.
  if (out.link_address.is_multicast() || sender.is_multicast() || target.is_multicast())
    return unexpected{drop_reason::bad_arp};
  if (op == arp_request) {
    out.op = neighbour_message::operation::solicit;
    out.target = target;
    out.asker = sender;
  } else {
    out.op = neighbour_message::operation::advertise;
    out.target = sender;
    out.asker = target;
  }
  if (out.target.is_unspecified())
    return unexpected{drop_reason::bad_arp};
  return out;
}

/// Looks for a link-layer address option. False when the options are malformed (RFC 4861 section 4.6: length 0 must be
/// discarded).
bool read_link_address(byte_view options, std::uint8_t wanted, std::optional<mac_address>& out) noexcept {
  while (!options.empty()) {
    if (options.size() < 2)
      return false;
    const auto option_bytes = std::size_t{load_u8(options.data() + 1)} * 8;
    if (option_bytes == 0 || option_bytes > options.size())
      return false;
    if (load_u8(options.data()) == wanted && option_bytes == link_address_option_bytes)
      out = mac_at(options.data() + 2);
    options = options.subspan(option_bytes);
  }
  return true;
}

expected<neighbour_message, drop_reason> decode_nd(byte_view frame, const parsed_packet& parsed) noexcept {
  const unexpected bad{drop_reason::bad_neighbour_discovery};
  const auto l4 = frame.subspan(parsed.l4_offset, parsed.l3_offset + parsed.ip_total_length - parsed.l4_offset);
  const auto& from = parsed.tuple.source;
  const auto& to = parsed.tuple.destination;
  // RFC 4861 sections 7.1.1, 7.1.2, in their order.
  if (parsed.ttl != nd_hop_limit || parsed.icmp_code != 0 || l4.size() < nd_header_bytes ||
      l4_checksum(l4, from, to, ip_protocol::icmp6) != 0 || from.is_multicast())
    return bad;
  neighbour_message out;
  out.target = v6_at(l4.data() + 8);
  if (out.target.is_multicast() || out.target.is_unspecified())
    return bad;
  const bool solicits = parsed.icmp_type == icmp_type::neighbour_solicitation;
  std::optional<mac_address> link_address;
  if (!read_link_address(l4.subspan(nd_header_bytes), solicits ? source_link_address : target_link_address,
                         link_address))
    return bad;
  if (solicits) {
    out.op = neighbour_message::operation::solicit;
    out.asker = from;
    if (from.is_unspecified() && (to != solicited_node_multicast(out.target) || link_address))
      return bad;
  } else {
    out.op = neighbour_message::operation::advertise;
    out.asker = to;
    if (to.is_multicast() && (load_be32(l4.data() + 4) & nd_solicited) != 0)
      return bad;
  }
  // The option may be left out of an answer to unicast (RFC 4861 section 4.3); the frame says the same then.
  out.link_address = link_address.value_or(source_mac(frame.data()));
  if (out.link_address.is_multicast())
    return bad;
  return out;
}

drop_verdict write_arp(packet& into, std::uint16_t op, const mac_address& to, const mac_address& sender_mac,
                       const ip_address& sender, const mac_address& target_mac, const ip_address& target,
                       std::uint16_t vlan) noexcept {
  const auto header = ethernet_header_bytes + (vlan != 0 ? vlan_tag_bytes : 0);
  if (!into.set_length(header + arp_message_bytes))
    return drop_reason::no_buffer;
  auto* at = into.data + write_ethernet(into.data, to, sender_mac, ethertype::arp, vlan);
  store_be16(at, arp_ethernet);
  store_be16(at + 2, ethertype::ipv4);
  store_u8(at + 4, 6);
  store_u8(at + 5, 4);
  store_be16(at + 6, op);
  put_mac(at + 8, sender_mac);
  store_be32(at + 14, sender.v4_value());
  put_mac(at + 18, target_mac);
  store_be32(at + 24, target.v4_value());
  return {};
}

/// Neighbour Solicitation or Advertisement with one link-layer address option, which says `own_mac`.
drop_verdict write_nd(packet& into, std::uint8_t type, std::uint32_t flags, const mac_address& to_mac,
                      const ip_address& to, const ip_address& from, const ip_address& target,
                      const mac_address& own_mac, std::uint16_t vlan) noexcept {
  constexpr auto message_bytes = nd_header_bytes + link_address_option_bytes;
  const auto header = ethernet_header_bytes + (vlan != 0 ? vlan_tag_bytes : 0) + ipv6_header_bytes;
  if (!into.set_length(header + message_bytes))
    return drop_reason::no_buffer;
  auto* at = into.data + write_ethernet(into.data, to_mac, own_mac, ethertype::ipv6, vlan);
  ip_fields fields{from, to, ip_protocol::icmp6};
  fields.ttl = nd_hop_limit;
  fields.payload_length = message_bytes;
  at += write_ip(at, fields);
  store_u8(at, type);
  store_u8(at + 1, 0);
  store_be16(at + 2, 0);
  store_be32(at + 4, flags);
  std::memcpy(at + 8, target.octets.data(), target.octets.size());
  store_u8(at + 24, type == icmp_type::neighbour_solicitation ? source_link_address : target_link_address);
  store_u8(at + 25, 1);
  put_mac(at + 26, own_mac);
  store_be16(at + 2, l4_checksum({at, message_bytes}, from, to, ip_protocol::icmp6));
  return {};
}

} // namespace

bool is_neighbour_message(const parsed_packet& parsed) noexcept {
  return parsed.kind == packet_kind::arp ||
         (parsed.kind == packet_kind::ipv6 && parsed.tuple.protocol == ip_protocol::icmp6 &&
          (parsed.icmp_type == icmp_type::neighbour_solicitation ||
           parsed.icmp_type == icmp_type::neighbour_advertisement));
}

expected<neighbour_message, drop_reason> decode_neighbour(byte_view frame, const parsed_packet& parsed) noexcept {
  if (parsed.kind == packet_kind::arp)
    return decode_arp(frame.subspan(parsed.l3_offset));
  return decode_nd(frame, parsed);
}

drop_verdict write_solicitation(packet& into, const ip_address& target, const ip_address& own_address,
                                const mac_address& own_mac, std::uint16_t vlan) noexcept {
  if (target.is_v4())
    return write_arp(into, arp_request, broadcast_mac, own_mac, own_address, {}, target, vlan);
  const auto group = solicited_node_multicast(target);
  return write_nd(into, icmp_type::neighbour_solicitation, 0, multicast_mac(group), group, own_address, target, own_mac,
                  vlan);
}

drop_verdict write_advertisement(packet& into, const neighbour_message& solicitation, const mac_address& own_mac,
                                 std::uint16_t vlan) noexcept {
  const auto asker_mac = solicitation.link_address;
  if (solicitation.target.is_v4())
    return write_arp(into, arp_reply, asker_mac, own_mac, solicitation.target, asker_mac, solicitation.asker, vlan);
  // RFC 4861 section 7.2.4: the answer to an address probe goes to all nodes, for the asker has no address yet.
  const bool is_probe = solicitation.asker.is_unspecified();
  const auto flags = nd_router | nd_override | (is_probe ? 0 : nd_solicited);
  const auto to = is_probe ? all_nodes : solicitation.asker;
  return write_nd(into, icmp_type::neighbour_advertisement, flags, is_probe ? multicast_mac(to) : asker_mac, to,
                  solicitation.target, solicitation.target, own_mac, vlan);
}

bool is_echo_request(const parsed_packet& parsed) noexcept {
  return parsed.is_echo() &&
         (parsed.icmp_type == icmp_type::echo_request || parsed.icmp_type == icmp_type::v6_echo_request);
}

void make_echo_reply(std::byte* frame, const parsed_packet& parsed) noexcept {
  set_ethernet_addresses(frame, source_mac(frame), destination_mac(frame));
  auto* ip = frame + parsed.l3_offset;
  const bool is_v4 = parsed.kind == packet_kind::ipv4;
  // Swapping addresses changes no sum: neither the header's nor that of the pseudo header.
  const std::size_t address_bytes = is_v4 ? 4 : 16;
  auto* addresses = ip + (is_v4 ? 12 : 8);
  std::memcpy(addresses, parsed.tuple.destination.octets.data(), address_bytes);
  std::memcpy(addresses + address_bytes, parsed.tuple.source.octets.data(), address_bytes);
  set_ttl(ip, parsed.kind, 64);
  auto* icmp = frame + parsed.l4_offset;
  const auto before = load_be16(icmp);
  store_u8(icmp, is_v4 ? icmp_type::echo_reply : icmp_type::v6_echo_reply);
  store_be16(icmp + 2, checksum_update(load_be16(icmp + 2), before, load_be16(icmp)));
}

ip_address solicited_node_multicast(const ip_address& target) noexcept {
  ip_address out{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}, ip_family::v6};
  for (std::size_t i = 13; i < 16; ++i)
    out.octets[i] = target.octets[i];
  return out;
}

mac_address multicast_mac(const ip_address& group) noexcept {
  const auto& o = group.octets;
  if (group.is_v4())
    return {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(o[1] & 0x7f), o[2], o[3]}};
  return {{0x33, 0x33, o[12], o[13], o[14], o[15]}};
}

} // namespace glocal::dataplane
