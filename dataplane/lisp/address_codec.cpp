#include "dataplane/lisp/address_codec.hpp"

#include <algorithm>

namespace glocal::lisp {
namespace {

/// RFC 9735 section 3 ends a name with a NUL; longer than a DNS name is no name.
constexpr std::size_t max_name_bytes = 255;

ip_address read_ip(reader& from, ip_family family, const char* field) {
  ip_address out;
  out.family = family;
  from.take_into(std::span{out.octets}.first(out.bits() / 8u), field);
  return out;
}

distinguished_name read_name(reader& from, const char* field) {
  distinguished_name out;
  for (;;) {
    const auto at = from.offset();
    const auto next = from.u8(field);
    if (!from.ok() || next == 0)
      return out;
    // RFC 9735 section 3: ASCII. What is not printable would also spoil the terminals that show it.
    if (next < 0x20 || next > 0x7e || out.text.size() == max_name_bytes) {
      from.fail(decode_fault::bad_value, "distinguished name", at);
      return out;
    }
    out.text.push_back(static_cast<char>(next));
  }
}

void write_name(writer& to, const distinguished_name& name) {
  if (!to.peer().distinguished_names)
    to.refuse("a distinguished name");
  const bool is_ascii = std::all_of(name.text.begin(), name.text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
  to.require(is_ascii && name.text.size() <= max_name_bytes,
             "a distinguished name is at most 255 printable ASCII characters");
  to.u16(afi::distinguished_name);
  to.put(std::as_bytes(std::span{name.text}));
  to.u8(0);
}

/// Mask lengths count bits of the plain address, also within a tenant. Others keep theirs inside.
bool mask_fits(const eid_prefix& prefix) {
  const auto* plain = without_instance(prefix.eid).get_if<ip_address>();
  return plain == nullptr || prefix.mask_length <= plain->bits();
}

} // namespace

address read_address(reader& from, const char* field, std::size_t depth) {
  if (!from.count_address(field))
    return {};
  const auto at = from.offset();
  const auto family = from.u16(field);
  if (!from.ok())
    return {};
  switch (family) {
  case afi::none: return {};
  case afi::ipv4: return read_ip(from, ip_family::v4, field);
  case afi::ipv6: return read_ip(from, ip_family::v6, field);
  case afi::distinguished_name: return read_name(from, field);
  case afi::mac: {
    mac_address out;
    from.take_into(out.octets, field);
    return out;
  }
  case afi::lcaf:
    if (depth == max_address_depth) {
      from.fail(decode_fault::too_deep, field, at);
      return {};
    }
    return read_lcaf(from, depth + 1);
  default: from.fail(decode_fault::unknown_afi, field, at); return {};
  }
}

void write_address(writer& to, const address& written, address_role role, std::size_t depth) {
  if (written.is_none()) {
    to.u16(afi::none);
  } else if (const auto* ip = written.get_if<ip_address>()) {
    to.u16(ip->is_v4() ? afi::ipv4 : afi::ipv6);
    to.put(std::as_bytes(std::span{ip->octets}.first(ip->bits() / 8u)));
  } else if (const auto* mac = written.get_if<mac_address>()) {
    if (!to.peer().mac_addresses)
      to.refuse("a MAC address");
    to.u16(afi::mac);
    to.put(std::as_bytes(std::span{mac->octets}));
  } else if (const auto* name = written.get_if<distinguished_name>()) {
    write_name(to, *name);
  } else if (depth == max_address_depth) {
    to.impossible("addresses nest too deep");
  } else {
    to.u16(afi::lcaf);
    to.require(write_lcaf(to, written, role, depth + 1), "an address of no known kind");
  }
}

eid_prefix read_eid(reader& from, std::uint8_t mask_length) {
  const auto at = from.offset();
  eid_prefix out{read_address(from, "EID"), mask_length};
  if (from.ok() && !mask_fits(out))
    from.fail(decode_fault::bad_value, "EID mask length", at);
  return out;
}

void write_eid(writer& to, const eid_prefix& written) {
  to.require(mask_fits(written), "an EID mask length beyond its address");
  write_address(to, written.eid, address_role::eid);
}

} // namespace glocal::lisp
