// RFC 9301 section 5.4:
//
//    |Type=2 |P|E|S|          Reserved               | Record Count  |
//    |                         Nonce (64)                            |   records; LISP-SEC data if S

#include "dataplane/lisp/message_codec.hpp"

#include <algorithm>

namespace glocal::lisp {
namespace {

constexpr auto bit_p = wire_bit(4), bit_e = wire_bit(5), bit_s = wire_bit(6);

} // namespace

map_reply read_map_reply(reader& from, std::uint32_t first) {
  map_reply out;
  out.probe = has(first, bit_p);
  out.echo_nonce = has(first, bit_e);
  out.nonce = from.u64("nonce");
  out.records = read_mappings(from, first & 0xff);
  if (has(first, bit_s)) {
    // RFC 9303 section 6.5 begins it with a type; there is no S bit without it.
    const auto security = from.take(std::max<std::size_t>(from.left(), 1), "LISP-SEC data");
    out.security.assign(security.begin(), security.end());
  }
  return out;
}

void write(writer& to, const map_reply& message) {
  to.u32(first_word(message_type::map_reply) | flag(message.probe, bit_p) | flag(message.echo_nonce, bit_e) |
         flag(!message.security.empty(), bit_s) | static_cast<std::uint8_t>(message.records.size()));
  to.u64(message.nonce);
  write_mappings(to, message.records);
  to.put(message.security);
}

} // namespace glocal::lisp
