#pragma once
// Authentication data of Map-Register, Map-Notify, Map-Notify-Ack and Info messages.
//
// The MAC is over the whole message with the authentication data set to zero (RFC 9301 section 5.6). Algorithms are
// those of section 12.5; with `none` as its key derivation function the key is the shared secret itself, with
// HKDF-SHA256 it is derived per message from nonce and secret. Implementations older than RFC 9301, Open Overlay Router
// among them, send all 20 bytes of HMAC-SHA-1 under the number of HMAC-SHA-1-96.
//
// Threading: pure functions. Comparison takes the same time for all wrong values.

#include "dataplane/lisp/message.hpp"

namespace glocal::lisp {

enum class auth_verdict : std::uint8_t {
  good,
  bad,               ///< another key, or changed on the way
  absent,            ///< the message says that it is not authenticated
  unknown_algorithm, ///< not one of section 12.5
  bad_length,        ///< data of a length the algorithm does not make
  not_applicable,    ///< a message without authentication data, or no message
};
[[nodiscard]] std::string_view to_string(auth_verdict verdict) noexcept;

struct auth_method {
  std::uint8_t algorithm_id = algorithm::hmac_sha256_128_hkdf;
  std::uint8_t key_id = 0;
  /// All 20 bytes of HMAC-SHA-1. Only with hmac_sha1_96.
  bool full_sha1 = false;
};
/// What the receiver is known to check: section 5.6 makes SHA-256 with HKDF mandatory, others get full-length SHA-1.
[[nodiscard]] auth_method method_for(const peer_profile& receiver) noexcept;

/// Whether `message`, as it came, was made by who knows `secret`. The message need not be decodable beyond its
/// authentication data. Cost: two SHA blocks more than the message; 1 to 3 us.
[[nodiscard]] auth_verdict verify(byte_view message, std::string_view secret);

/// encode() with authentication data filled in. @error impossible for messages that have none, or an algorithm unknown.
[[nodiscard]] expected<bytes, encode_error> encode_signed(control_message message, std::string_view secret,
                                                          const auth_method& method,
                                                          const peer_profile& receiver = full_profile());

} // namespace glocal::lisp
