#pragma once
// LISP messages field by field, for people and programs alike: the tree that `glocal lisp decode` prints is this, and
// `-o json` is this. Pure.

#include "dataplane/lisp/message.hpp"

#include <nlohmann/json.hpp>

namespace glocal::cli {

/// `type`, `flags` (names of those set) and the fields in wire order. Addresses are text; what text leaves out of an
/// LCAF is beside it as `NAME_fields`. The message inside an encapsulated one is there as bytes only.
[[nodiscard]] nlohmann::ordered_json to_json(const lisp::control_message& message);
[[nodiscard]] nlohmann::ordered_json to_json(const lisp::mapping_record& record);
/// The parts of an LCAF; null for plain addresses.
[[nodiscard]] nlohmann::ordered_json lcaf_fields(const lisp::address& address);

/// `key: value` lines, nested by indentation; lists of objects are numbered from 1.
[[nodiscard]] std::string tree_text(const nlohmann::ordered_json& object, std::size_t indentation = 2);

/// Lower-case digits, at most `most` bytes and `...` then.
[[nodiscard]] std::string hex_text(byte_view data, std::size_t most = SIZE_MAX);
[[nodiscard]] std::string nonce_text(std::uint64_t nonce);

} // namespace glocal::cli
