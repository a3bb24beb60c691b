#include "dataplane/lisp/mapping_record.hpp"

#include "dataplane/lisp/address_codec.hpp"
#include "dataplane/lisp/message_codec.hpp"

namespace glocal::lisp {
namespace {

constexpr std::size_t most_records = 255;

/// Of the 16 bits after the four numbers of a locator.
constexpr std::uint16_t locator_local = 4, locator_probed = 2, locator_reachable = 1;

// | Priority | Weight | M Priority | M Weight |
// |  Unused Flags (13)  |L|p|R|       AFI      |  Locator
locator read_locator(reader& from) {
  locator out;
  out.priority = from.u8("locator priority");
  out.weight = from.u8("locator weight");
  out.multicast_priority = from.u8("locator multicast priority");
  out.multicast_weight = from.u8("locator multicast weight");
  const auto flags = from.u16("locator flags");
  out.local = (flags & locator_local) != 0;
  out.probed = (flags & locator_probed) != 0;
  out.reachable = (flags & locator_reachable) != 0;
  out.rloc = read_address(from, "locator");
  return out;
}

void write_locator(writer& to, const locator& one) {
  for (const auto number : {one.priority, one.weight, one.multicast_priority, one.multicast_weight})
    to.u8(number);
  to.u16(static_cast<std::uint16_t>((one.local ? locator_local : 0) | (one.probed ? locator_probed : 0) |
                                    (one.reachable ? locator_reachable : 0)));
  write_address(to, one.rloc, address_role::rloc);
}

} // namespace

std::string to_string(map_action action) {
  switch (action) {
  case map_action::no_action: return "no-action";
  case map_action::natively_forward: return "natively-forward";
  case map_action::send_map_request: return "send-map-request";
  case map_action::drop_no_reason: return "drop/no-reason";
  case map_action::drop_policy_denied: return "drop/policy-denied";
  case map_action::drop_authentication_failure: return "drop/auth-failure";
  }
  return std::to_string(static_cast<int>(action));
}

// |                          Record TTL                           |
// | Locator Count | EID mask-len  | ACT |A|      Reserved         |
// | Rsvd  |  Map-Version Number   |            EID-AFI            |  EID prefix, locators
mapping_record read_mapping(reader& from) {
  mapping_record out;
  out.ttl_minutes = from.u32("record TTL");
  const auto count = from.u8("locator count");
  const auto mask_length = from.u8("EID mask length");
  const auto flags = from.u16("record flags");
  out.action = static_cast<map_action>(flags >> 13);
  out.authoritative = (flags & 0x1000) != 0;
  out.map_version = from.u16("map version") & 0x0fff;
  out.eid = read_eid(from, mask_length);
  for (std::size_t i = 0; i < count && from.ok(); ++i)
    out.locators.push_back(read_locator(from));
  return out;
}

void write_mapping(writer& to, const mapping_record& record) {
  to.require(record.locators.size() <= most_records, "more than 255 locators in a record");
  to.require(static_cast<unsigned>(record.action) < 8, "an action of more than 3 bits");
  to.require(record.map_version < 1u << 12, "a map version of more than 12 bits");
  to.u32(record.ttl_minutes);
  to.u8(static_cast<std::uint8_t>(record.locators.size()));
  to.u8(record.eid.mask_length);
  to.u16(static_cast<std::uint16_t>(static_cast<unsigned>(record.action) << 13 | (record.authoritative ? 0x1000 : 0)));
  to.u16(record.map_version);
  write_eid(to, record.eid);
  for (const auto& one : record.locators)
    write_locator(to, one);
}

std::vector<mapping_record> read_mappings(reader& from, std::size_t count) {
  std::vector<mapping_record> out;
  for (std::size_t i = 0; i < count && from.ok(); ++i)
    out.push_back(read_mapping(from));
  return out;
}

void write_mappings(writer& to, const std::vector<mapping_record>& records) {
  to.require(records.size() <= most_records, "more than 255 records in a message");
  for (const auto& record : records)
    write_mapping(to, record);
}

xtr_identity read_identity(reader& from) {
  xtr_identity out;
  from.take_into(out.xtr_id, "xTR-ID");
  out.site_id = from.u64("Site-ID");
  return out;
}

void write_identity(writer& to, const xtr_identity& identity) {
  to.put(std::as_bytes(std::span{identity.xtr_id}));
  to.u64(identity.site_id);
}

} // namespace glocal::lisp
