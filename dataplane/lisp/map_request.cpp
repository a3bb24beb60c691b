// RFC 9301 section 5.2, with the I and N bits of RFC 9437 section 4:
//
//    |Type=1 |A|M|P|S|p|s|R|I|  Rsvd   |L|D|   IRC   | Record Count  |
//    |                         Nonce (64)                            |
//    |         Source-EID-AFI        |   Source EID Address  ...     |
//    |         ITR-RLOC-AFI 1        |    ITR-RLOC Address 1  ...    |   IRC + 1 of them
//    |N|  Reserved   | EID mask-len  |        EID-Prefix-AFI         |   EID-Prefix; so for each record
//    |                   Map-Reply Record, if M                      |
//    |                   xTR-ID (128), Site-ID (64), if I            |

#include "dataplane/lisp/address_codec.hpp"
#include "dataplane/lisp/message_codec.hpp"

namespace glocal::lisp {
namespace {

constexpr auto bit_a = wire_bit(4), bit_m = wire_bit(5), bit_p = wire_bit(6), bit_s = wire_bit(7),
               bit_pitr = wire_bit(8), bit_invoked = wire_bit(9), bit_i = wire_bit(11), bit_l = wire_bit(17),
               bit_d = wire_bit(18);
constexpr std::uint8_t record_notify = 0x80;
/// IRC has 5 bits and counts from one.
constexpr std::size_t most_itr_rlocs = 32;

} // namespace

map_request read_map_request(reader& from, std::uint32_t first) {
  map_request out;
  out.authoritative = has(first, bit_a);
  out.probe = has(first, bit_p);
  out.smr = has(first, bit_s);
  out.pitr = has(first, bit_pitr);
  out.smr_invoked = has(first, bit_invoked);
  out.local_xtr = has(first, bit_l);
  out.dont_reply_mapping = has(first, bit_d);
  const auto itr_rlocs = (first >> 8 & 0x1f) + 1;
  const auto records = first & 0xff;
  // Section 5.2: a receiver must accept and process one record, and there is nothing to process in none.
  if (records == 0)
    from.fail(decode_fault::bad_value, "record count", 3);
  out.nonce = from.u64("nonce");
  out.source_eid = read_address(from, "source EID");
  for (std::size_t i = 0; i < itr_rlocs && from.ok(); ++i)
    out.itr_rlocs.push_back(read_address(from, "ITR-RLOC"));
  for (std::size_t i = 0; i < records && from.ok(); ++i) {
    const auto flags = from.u8("record flags");
    const auto mask_length = from.u8("EID mask length");
    out.records.push_back({(flags & record_notify) != 0, read_eid(from, mask_length)});
  }
  if (has(first, bit_m))
    out.own_mapping = read_mapping(from);
  if (has(first, bit_i))
    out.identity = read_identity(from);
  return out;
}

void write(writer& to, const map_request& message) {
  to.require(!message.itr_rlocs.empty() && message.itr_rlocs.size() <= most_itr_rlocs,
             "a Map-Request has 1 to 32 ITR-RLOCs");
  to.require(!message.records.empty() && message.records.size() <= 255, "a Map-Request has 1 to 255 records");
  if (message.identity && !to.peer().pubsub)
    to.refuse("an xTR-ID in a Map-Request");
  const auto itr_rlocs = static_cast<std::uint32_t>(message.itr_rlocs.size() - 1) & 0x1f;
  to.u32(first_word(message_type::map_request) | flag(message.authoritative, bit_a) |
         flag(message.own_mapping.has_value(), bit_m) | flag(message.probe, bit_p) | flag(message.smr, bit_s) |
         flag(message.pitr, bit_pitr) | flag(message.smr_invoked, bit_invoked) |
         flag(message.identity.has_value(), bit_i) | flag(message.local_xtr, bit_l) |
         flag(message.dont_reply_mapping, bit_d) | itr_rlocs << 8 | static_cast<std::uint8_t>(message.records.size()));
  to.u64(message.nonce);
  write_address(to, message.source_eid, address_role::eid);
  for (const auto& rloc : message.itr_rlocs)
    write_address(to, rloc, address_role::rloc);
  for (const auto& record : message.records) {
    if (record.notify && !to.peer().pubsub)
      to.refuse("a subscription");
    to.u8(record.notify ? record_notify : 0);
    to.u8(record.eid.mask_length);
    write_eid(to, record.eid);
  }
  if (message.own_mapping)
    write_mapping(to, *message.own_mapping);
  if (message.identity)
    write_identity(to, *message.identity);
}

} // namespace glocal::lisp
