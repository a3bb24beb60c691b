// draft-ermagan-lisp-nat-traversal section 4, as Open Overlay Router speaks it:
//
//    |Type=7 |R|                       Reserved                      |
//    |                         Nonce (64)                            |
//    |            Key ID             |  Authentication Data Length   |   authentication data
//    |                            TTL (32)                           |
//    |   Reserved    | EID mask-len  |        EID-Prefix-AFI         |   EID-Prefix
//    |      AFI = 0 in a request, 16387 (LCAF 7) in a reply          |

#include "dataplane/lisp/address_codec.hpp"
#include "dataplane/lisp/message_codec.hpp"

namespace glocal::lisp {
namespace {

constexpr auto bit_r = wire_bit(4);

} // namespace

info_message read_info(reader& from, std::uint32_t first) {
  info_message out;
  out.is_reply = has(first, bit_r);
  out.nonce = from.u64("nonce");
  out.auth = read_authentication(from);
  out.ttl_minutes = from.u32("TTL");
  from.skip(1, "EID record");
  const auto mask_length = from.u8("EID mask length");
  out.eid = read_eid(from, mask_length);
  out.nat = read_address(from, "NAT traversal");
  return out;
}

void write(writer& to, const info_message& message) {
  to.u32(first_word(message_type::info) | flag(message.is_reply, bit_r));
  to.u64(message.nonce);
  write_authentication(to, message.auth);
  to.u32(message.ttl_minutes);
  to.u8(0);
  to.u8(message.eid.mask_length);
  write_eid(to, message.eid);
  write_address(to, message.nat, address_role::rloc);
}

} // namespace glocal::lisp
