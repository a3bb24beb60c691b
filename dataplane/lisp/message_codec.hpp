#pragma once
// One reader and writer per message, all after the same pattern: the first word (type, flags, record count) has been
// read and is passed along; errors stay in the cursor. Private to this folder.

#include "dataplane/lisp/message.hpp"
#include "dataplane/lisp/wire.hpp"

namespace glocal::lisp {

/// Bit `index` of a word counted as RFCs count: 0 is the first on the wire.
constexpr std::uint32_t wire_bit(unsigned index) noexcept {
  return 0x80000000u >> index;
}
[[nodiscard]] constexpr bool has(std::uint32_t word, std::uint32_t bit) noexcept {
  return (word & bit) != 0;
}
[[nodiscard]] constexpr std::uint32_t flag(bool set, std::uint32_t bit) noexcept {
  return set ? bit : 0;
}
[[nodiscard]] constexpr std::uint32_t first_word(message_type type) noexcept {
  return static_cast<std::uint32_t>(type) << 28;
}

// mapping_record.cpp
[[nodiscard]] mapping_record read_mapping(reader& from);
void write_mapping(writer& to, const mapping_record& record);
[[nodiscard]] std::vector<mapping_record> read_mappings(reader& from, std::size_t count);
/// The count is the caller's to write; REQUIRES nothing: more than 255 is impossible.
void write_mappings(writer& to, const std::vector<mapping_record>& records);
[[nodiscard]] xtr_identity read_identity(reader& from);
void write_identity(writer& to, const xtr_identity& identity);

// map_request.cpp, map_reply.cpp, map_register.cpp, info.cpp, encapsulated.cpp
[[nodiscard]] map_request read_map_request(reader& from, std::uint32_t first);
void write(writer& to, const map_request& message);
[[nodiscard]] map_reply read_map_reply(reader& from, std::uint32_t first);
void write(writer& to, const map_reply& message);
[[nodiscard]] map_register read_map_register(reader& from, std::uint32_t first);
void write(writer& to, const map_register& message);
[[nodiscard]] notification read_notification(reader& from, std::uint32_t first);
void write(writer& to, const map_notify& message);
void write(writer& to, const map_notify_ack& message);
[[nodiscard]] authentication read_authentication(reader& from);
void write_authentication(writer& to, const authentication& auth);
[[nodiscard]] info_message read_info(reader& from, std::uint32_t first);
void write(writer& to, const info_message& message);
[[nodiscard]] encapsulated_message read_encapsulated(reader& from, std::uint32_t first);
void write(writer& to, const encapsulated_message& message);

} // namespace glocal::lisp
