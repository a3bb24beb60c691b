// The LISP Canonical Address Format (RFC 8060 section 3):
//
//    |          AFI = 16387          |     Rsvd1     |     Flags     |
//    |     Type      |     Rsvd2     |            Length             |   of what follows
//
// What is reserved is sent as zero and ignored when received.

#include "dataplane/lisp/address_codec.hpp"

#include <limits>

namespace glocal::lisp {
namespace {

// Section 4.10: | AFI | Address | AFI | Address | ...
afi_list read_afi_list(reader& from, std::size_t depth) {
  afi_list out;
  while (from.ok() && from.left() > 0)
    out.items.push_back(read_address(from, "AFI list", depth));
  return out;
}

// Section 4.1: | Instance ID (32) | AFI | Address |; Rsvd2 is the IID mask length.
instance_address read_instance(reader& from, std::uint8_t mask_length, std::size_t depth) {
  instance_address out;
  out.iid_mask_length = mask_length;
  out.instance_id = from.u32("instance id");
  out.inner = read_address(from, "address in an instance", depth);
  return out;
}

port_range read_ports(reader& from, const char* field) {
  const auto at = from.offset();
  port_range out;
  out.low = from.u16(field);
  out.high = from.u16(field);
  if (out.low > out.high)
    from.fail(decode_fault::bad_value, field, at);
  return out;
}

// Section 5.1: | TOS, TC or flow label (24) | Protocol | local port range | remote port range | AFI | Address |
application_data read_application(reader& from, std::size_t depth) {
  application_data out;
  const auto first = from.u32("application data");
  out.tos = first >> 8;
  out.protocol = static_cast<std::uint8_t>(first);
  out.local = read_ports(from, "local port range");
  out.remote = read_ports(from, "remote port range");
  out.inner = read_address(from, "address of application data", depth);
  return out;
}

// Section 4.4: | MS port | ETR port | global ETR RLOC | MS RLOC | private ETR RLOC | RTR RLOCs ... |
nat_traversal read_nat(reader& from, std::size_t depth) {
  nat_traversal out;
  out.map_server_port = from.u16("NAT traversal: MS port");
  out.etr_port = from.u16("NAT traversal: ETR port");
  out.global_etr = read_address(from, "NAT traversal: global ETR RLOC", depth);
  out.map_server = read_address(from, "NAT traversal: MS RLOC", depth);
  out.private_etr = read_address(from, "NAT traversal: private ETR RLOC", depth);
  while (from.ok() && from.left() > 0)
    out.rtrs.push_back(read_address(from, "NAT traversal: RTR RLOC", depth));
  return out;
}

/// The flag bits of an ELP hop.
constexpr std::uint16_t elp_strict = 1, elp_probe = 2, elp_lookup = 4;

// Section 4.6: | Rsvd3 (13) |L|P|S| AFI | Reencap hop | ...
explicit_locator_path read_path(reader& from, std::size_t depth) {
  explicit_locator_path out;
  while (from.ok() && from.left() > 0) {
    const auto flags = from.u16("ELP hop");
    out.hops.push_back({(flags & elp_lookup) != 0, (flags & elp_probe) != 0, (flags & elp_strict) != 0,
                        read_address(from, "ELP hop", depth)});
  }
  return out;
}

// Section 4.8: | Reserved (16) | Source-ML | Dest-ML | AFI | Source-Prefix | AFI | Destination-Prefix |
source_destination read_source_destination(reader& from, std::size_t depth) {
  source_destination out;
  from.skip(2, "source/destination key");
  const auto at = from.offset();
  out.source_mask_length = from.u8("source mask length");
  out.destination_mask_length = from.u8("destination mask length");
  out.source = read_address(from, "source", depth);
  out.destination = read_address(from, "destination", depth);
  for (const auto& [end, length] :
       {std::pair{&out.source, out.source_mask_length}, std::pair{&out.destination, out.destination_mask_length}})
    if (const auto* ip = end->get_if<ip_address>(); ip != nullptr && length > ip->bits())
      from.fail(decode_fault::bad_value, "source/destination mask length", at);
  return out;
}

// Section 4.9: | Rsvd3 (16) | Rsvd4 (8) | Level (8) | AFI | RTR/ETR | ...
replication_list read_replication(reader& from, std::size_t depth) {
  replication_list out;
  while (from.ok() && from.left() > 0) {
    const auto level = static_cast<std::uint8_t>(from.u32("RLE entry"));
    out.entries.push_back({level, read_address(from, "RLE entry", depth)});
  }
  return out;
}

bytes copy(byte_view data) {
  return {data.begin(), data.end()};
}

// RFC 9306 section 3: | Rsvd3 (8) | OUI (24) | what the vendor likes |
vendor_lcaf read_vendor(reader& from) {
  vendor_lcaf out;
  out.oui = from.u32("vendor LCAF") & 0xffffff;
  out.body = copy(from.take(from.left(), "vendor LCAF"));
  return out;
}

bool is_known(std::uint8_t type) {
  switch (type) {
  case lcaf_type::afi_list:
  case lcaf_type::instance_id:
  case lcaf_type::application_data:
  case lcaf_type::nat_traversal:
  case lcaf_type::explicit_locator_path:
  case lcaf_type::source_destination:
  case lcaf_type::replication_list:
  case lcaf_type::vendor: return true;
  default: return false;
  }
}

/// Writes the header, runs `body`, fills in the length.
template <class Body>
bool lcaf(writer& to, address_role role, std::size_t depth, std::uint8_t type, std::uint8_t reserved2, Body body) {
  const auto& allowed = role == address_role::eid ? to.peer().eid_lcafs : to.peer().rloc_lcafs;
  if (depth > 1 && !to.peer().nested_lcafs)
    to.refuse("an LCAF within an LCAF");
  else if (!allowed.test(type))
    to.refuse("LCAF " + std::to_string(type) + (role == address_role::eid ? " as an EID" : " as an RLOC"));
  to.zeros(2);
  to.u8(type);
  to.u8(reserved2);
  const auto length_at = to.size();
  to.u16(0);
  body();
  const auto length = to.size() - length_at - 2;
  to.require(length <= std::numeric_limits<std::uint16_t>::max(), "an LCAF of more than 65535 bytes");
  to.patch_u16(length_at, static_cast<std::uint16_t>(length));
  return true;
}

void write_ports(writer& to, const port_range& range) {
  to.require(range.low <= range.high, "a port range that ends before it begins");
  to.u16(range.low);
  to.u16(range.high);
}

void write_mask(writer& to, const address& end, std::uint8_t length) {
  const auto* ip = end.get_if<ip_address>();
  to.require(ip == nullptr || length <= ip->bits(), "a mask length beyond its address");
  to.u8(length);
}

} // namespace

address read_lcaf(reader& from, std::size_t depth) {
  from.skip(1, "LCAF");
  const auto flags = from.u8("LCAF flags");
  const auto type = from.u8("LCAF type");
  const auto reserved2 = from.u8("LCAF");
  const auto length = from.u16("LCAF length");
  const auto outer = from.narrow(length, "LCAF");
  address out;
  if (!from.ok())
    return out;
  switch (type) {
  case lcaf_type::afi_list: out = read_afi_list(from, depth); break;
  case lcaf_type::instance_id: out = read_instance(from, reserved2, depth); break;
  case lcaf_type::application_data: out = read_application(from, depth); break;
  case lcaf_type::nat_traversal: out = read_nat(from, depth); break;
  case lcaf_type::explicit_locator_path: out = read_path(from, depth); break;
  case lcaf_type::source_destination: out = read_source_destination(from, depth); break;
  case lcaf_type::replication_list: out = read_replication(from, depth); break;
  case lcaf_type::vendor: out = read_vendor(from); break;
  default: out = opaque_lcaf{type, flags, reserved2, copy(from.take(length, "LCAF"))};
  }
  from.widen(outer, "LCAF");
  return out;
}

bool write_lcaf(writer& to, const address& written, address_role role, std::size_t depth) {
  const auto inner = [&](const address& one) { write_address(to, one, role, depth); };
  if (const auto* list = written.get_if<afi_list>())
    return lcaf(to, role, depth, lcaf_type::afi_list, 0, [&] {
      for (const auto& item : list->items)
        inner(item);
    });
  if (const auto* instance = written.get_if<instance_address>())
    return lcaf(to, role, depth, lcaf_type::instance_id, instance->iid_mask_length, [&] {
      to.u32(instance->instance_id);
      inner(instance->inner);
    });
  if (const auto* application = written.get_if<application_data>())
    return lcaf(to, role, depth, lcaf_type::application_data, 0, [&] {
      to.require(application->tos < 1u << 24, "a TOS of more than 24 bits");
      to.u32(application->tos << 8 | application->protocol);
      write_ports(to, application->local);
      write_ports(to, application->remote);
      inner(application->inner);
    });
  if (const auto* nat = written.get_if<nat_traversal>())
    return lcaf(to, role, depth, lcaf_type::nat_traversal, 0, [&] {
      to.u16(nat->map_server_port);
      to.u16(nat->etr_port);
      for (const auto* one : {&nat->global_etr, &nat->map_server, &nat->private_etr})
        inner(*one);
      for (const auto& rtr : nat->rtrs)
        inner(rtr);
    });
  if (const auto* path = written.get_if<explicit_locator_path>())
    return lcaf(to, role, depth, lcaf_type::explicit_locator_path, 0, [&] {
      for (const auto& hop : path->hops) {
        to.u16(static_cast<std::uint16_t>((hop.lookup ? elp_lookup : 0) | (hop.probe ? elp_probe : 0) |
                                          (hop.strict ? elp_strict : 0)));
        inner(hop.rloc);
      }
    });
  if (const auto* ends = written.get_if<source_destination>())
    return lcaf(to, role, depth, lcaf_type::source_destination, 0, [&] {
      to.zeros(2);
      write_mask(to, ends->source, ends->source_mask_length);
      write_mask(to, ends->destination, ends->destination_mask_length);
      inner(ends->source);
      inner(ends->destination);
    });
  if (const auto* replication = written.get_if<replication_list>())
    return lcaf(to, role, depth, lcaf_type::replication_list, 0, [&] {
      for (const auto& entry : replication->entries) {
        to.u32(entry.level);
        inner(entry.rloc);
      }
    });
  if (const auto* vendor = written.get_if<vendor_lcaf>())
    return lcaf(to, role, depth, lcaf_type::vendor, 0, [&] {
      to.require(vendor->oui < 1u << 24, "an OUI of more than 24 bits");
      to.u32(vendor->oui);
      to.put(vendor->body);
    });
  if (const auto* opaque = written.get_if<opaque_lcaf>()) {
    to.require(!is_known(opaque->type), "an opaque LCAF of a type that has a value of its own");
    const auto header = to.size();
    const bool done = lcaf(to, role, depth, opaque->type, opaque->reserved2, [&] { to.put(opaque->body); });
    *to.at(header + 1) = std::byte{opaque->flags};
    return done;
  }
  return false;
}

} // namespace glocal::lisp
