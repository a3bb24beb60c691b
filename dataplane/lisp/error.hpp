#pragma once
// Why a message could not be read or may not be sent.

#include <cstddef>
#include <cstdint>
#include <string>

namespace glocal::lisp {

enum class decode_fault : std::uint8_t {
  truncated,   ///< the input ends inside the field
  trailing,    ///< bytes are left after the end of the message or of an LCAF
  unknown_afi, ///< an address family whose length nobody can tell
  bad_value,   ///< a value the RFC excludes
  too_deep,    ///< addresses nest deeper than max_address_depth
  too_many,    ///< more addresses than a message of ours will ever have
  unsupported, ///< a message or extension not spoken here
};

struct decode_error {
  decode_fault fault = decode_fault::truncated;
  /// From the start of what decode() was given.
  std::size_t offset = 0;
  /// The field; a literal.
  const char* field = "";

  bool operator==(const decode_error&) const = default;
};

/// `EID: cut short at byte 34`
[[nodiscard]] std::string to_string(const decode_error& error);

struct encode_error {
  enum class kind : std::uint8_t {
    impossible, ///< no message can carry it: a bug of the caller
    refused,    ///< the peer's profile says that it must not be sent to it
    too_long,   ///< larger than a UDP datagram
  };
  kind what = kind::impossible;
  /// What and why, for people.
  std::string message;

  bool operator==(const encode_error&) const = default;
};

} // namespace glocal::lisp
