#include "dataplane/lisp/message.hpp"

#include "dataplane/lisp/message_codec.hpp"

namespace glocal::lisp {
namespace {

control_message read_message(reader& from) {
  const auto first = from.u32("first word");
  switch (static_cast<message_type>(first >> 28)) {
  case message_type::map_request: return read_map_request(from, first);
  case message_type::map_reply: return read_map_reply(from, first);
  case message_type::map_register: return read_map_register(from, first);
  case message_type::map_notify: return map_notify{read_notification(from, first)};
  case message_type::map_notify_ack: return map_notify_ack{read_notification(from, first)};
  case message_type::info: return read_info(from, first);
  case message_type::encapsulated: return read_encapsulated(from, first);
  }
  from.fail(decode_fault::unsupported, "message type", 0);
  return map_request{};
}

} // namespace

expected<control_message, decode_error> decode(byte_view message) {
  reader from{message};
  auto out = read_message(from);
  if (from.left() != 0)
    from.fail(decode_fault::trailing, "message");
  if (const auto& error = from.error())
    return unexpected{*error};
  return out;
}

expected<bytes, encode_error> encode(const control_message& message, const peer_profile& receiver) {
  writer to{receiver};
  std::visit([&](const auto& one) { write(to, one); }, message);
  if (const auto& error = to.error())
    return unexpected{*error};
  if (to.size() > max_message_bytes)
    return unexpected{encode_error{encode_error::kind::too_long,
                                   "a message of " + std::to_string(to.size()) + " bytes does not fit a datagram"}};
  return to.take();
}

message_type type_of(const control_message& message) noexcept {
  constexpr message_type types[] = {message_type::map_request, message_type::map_reply,      message_type::map_register,
                                    message_type::map_notify,  message_type::map_notify_ack, message_type::info,
                                    message_type::encapsulated};
  static_assert(std::size(types) == std::variant_size_v<control_message>);
  return types[message.index()];
}

std::string_view to_string(message_type type) noexcept {
  switch (type) {
  case message_type::map_request: return "Map-Request";
  case message_type::map_reply: return "Map-Reply";
  case message_type::map_register: return "Map-Register";
  case message_type::map_notify: return "Map-Notify";
  case message_type::map_notify_ack: return "Map-Notify-Ack";
  case message_type::info: return "Info";
  case message_type::encapsulated: return "Encapsulated Control Message";
  }
  return "unknown";
}

std::string to_string(const decode_error& error) {
  const auto fault = [&] {
    switch (error.fault) {
    case decode_fault::truncated: return "cut short";
    case decode_fault::trailing: return "more bytes than it has fields";
    case decode_fault::unknown_afi: return "an address family not known";
    case decode_fault::bad_value: return "a value that cannot be";
    case decode_fault::too_deep: return "addresses nested too deep";
    case decode_fault::too_many: return "too many addresses";
    case decode_fault::unsupported: return "not spoken here";
    }
    return "";
  }();
  return std::string{error.field} + ": " + fault + " at byte " + std::to_string(error.offset);
}

} // namespace glocal::lisp
