#pragma once
// schema/transport.capnp to and from values: the only file of the runtime that knows Cap'n Proto.
//
// Input is hostile: nothing is read past its end, traversal and nesting are limited, and no exception leaves.

#include "base/bytes.hpp"
#include "runtime/errors.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace glocal::runtime {

inline constexpr std::uint16_t protocol_version = 2;

struct hello {
  std::uint16_t version = protocol_version;
  std::string cluster, node;
  std::uint64_t incarnation = 0;
  /// What may be under way to who says this.
  std::uint64_t window_bytes = 0;

  bool operator==(const hello&) const = default;
};

struct failure {
  transport_errc code = transport_errc::refused;
  std::string text;

  bool operator==(const failure&) const = default;
};

/// Longest text of a failure or refusal on the wire; more is cut.
inline constexpr std::size_t max_text_bytes = 512;
/// Longest name of an actor, a node or a cluster.
inline constexpr std::size_t max_name_bytes = 256;

[[nodiscard]] bytes encode(const hello& value);
[[nodiscard]] bytes encode(const failure& value);
[[nodiscard]] bytes encode_refusal(std::string_view reason);
/// REQUIRES: name.size() <= max_name_bytes.
[[nodiscard]] bytes encode_name(std::string_view name);

// Each answers nothing for what is not exactly one such message.
[[nodiscard]] std::optional<hello> decode_hello(byte_view payload);
[[nodiscard]] std::optional<failure> decode_failure(byte_view payload);
[[nodiscard]] std::optional<std::string> decode_refusal(byte_view payload);
[[nodiscard]] std::optional<std::string> decode_name(byte_view payload);

/// Whether `body` is empty or exactly one Cap'n Proto message all of whose pointers stay inside it, that no reader
/// could be led to visit several times. What it says is for the codec of its kind to judge. Cost: 2 ns for a struct
/// without pointers, else about 100 ns + 1 ns a word. REQUIRES: body.data() is aligned to 8.
[[nodiscard]] bool well_formed(byte_view body);

} // namespace glocal::runtime
