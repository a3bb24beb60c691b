// RFC 9301 sections 5.6 and 5.7: Map-Register, Map-Notify, Map-Notify-Ack.
//
//    |Type=3 |P|S|I|        Reserved       |E|T|a|R|M| Record Count  |
//    |Type=4,5|I|            Reserved                | Record Count  |   I not in RFC 9301
//    |                         Nonce (64)                            |
//    |    Key ID     | Algorithm ID  |  Authentication Data Length   |   authentication data; records
//    |                   xTR-ID (128), Site-ID (64), if I            |

#include "dataplane/lisp/message_codec.hpp"

#include <limits>

namespace glocal::lisp {
namespace {

constexpr auto bit_p = wire_bit(4), bit_s = wire_bit(5), bit_i = wire_bit(6), bit_e = wire_bit(19),
               bit_t = wire_bit(20), bit_a = wire_bit(21), bit_r = wire_bit(22), bit_m = wire_bit(23);
constexpr auto notify_bit_i = wire_bit(4);

void write_notification(writer& to, message_type type, const notification& message) {
  to.u32(first_word(type) | flag(message.identity.has_value(), notify_bit_i) |
         static_cast<std::uint8_t>(message.records.size()));
  to.u64(message.nonce);
  write_authentication(to, message.auth);
  write_mappings(to, message.records);
  if (message.identity)
    write_identity(to, *message.identity);
}

} // namespace

authentication read_authentication(reader& from) {
  authentication out;
  out.key_id = from.u8("key id");
  out.algorithm_id = from.u8("algorithm id");
  const auto length = from.u16("authentication data length");
  const auto data = from.take(length, "authentication data");
  out.data.assign(data.begin(), data.end());
  return out;
}

void write_authentication(writer& to, const authentication& auth) {
  to.require(auth.data.size() <= std::numeric_limits<std::uint16_t>::max(),
             "authentication data of more than 65535 bytes");
  to.u8(auth.key_id);
  to.u8(auth.algorithm_id);
  to.u16(static_cast<std::uint16_t>(auth.data.size()));
  to.put(auth.data);
}

map_register read_map_register(reader& from, std::uint32_t first) {
  map_register out;
  out.proxy_reply = has(first, bit_p);
  out.security_capable = has(first, bit_s);
  out.eid_notify = has(first, bit_e);
  out.use_ttl = has(first, bit_t);
  out.merge = has(first, bit_a);
  out.mobile_node = has(first, bit_r);
  out.want_notify = has(first, bit_m);
  out.nonce = from.u64("nonce");
  out.auth = read_authentication(from);
  out.records = read_mappings(from, first & 0xff);
  if (has(first, bit_i))
    out.identity = read_identity(from);
  return out;
}

void write(writer& to, const map_register& message) {
  to.u32(first_word(message_type::map_register) | flag(message.proxy_reply, bit_p) |
         flag(message.security_capable, bit_s) | flag(message.identity.has_value(), bit_i) |
         flag(message.eid_notify, bit_e) | flag(message.use_ttl, bit_t) | flag(message.merge, bit_a) |
         flag(message.mobile_node, bit_r) | flag(message.want_notify, bit_m) |
         static_cast<std::uint8_t>(message.records.size()));
  to.u64(message.nonce);
  write_authentication(to, message.auth);
  write_mappings(to, message.records);
  if (message.identity)
    write_identity(to, *message.identity);
}

notification read_notification(reader& from, std::uint32_t first) {
  notification out;
  out.nonce = from.u64("nonce");
  out.auth = read_authentication(from);
  out.records = read_mappings(from, first & 0xff);
  if (has(first, notify_bit_i))
    out.identity = read_identity(from);
  return out;
}

void write(writer& to, const map_notify& message) {
  write_notification(to, message_type::map_notify, message);
}

void write(writer& to, const map_notify_ack& message) {
  write_notification(to, message_type::map_notify_ack, message);
}

} // namespace glocal::lisp
