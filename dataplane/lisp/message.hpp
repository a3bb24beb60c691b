#pragma once
// LISP control messages as values, and their wire form (UDP 4342).
//
// decode() takes any bytes: it reads nothing outside them, its work and memory are bounded by their number, and what is
// wrong is named with its offset. What RFCs reserve is ignored when received and sent as zero, so that
// encode(decode(x)) == x for all x that leave it zero. encode() is strict: it refuses what no RFC allows, what the
// receiver's profile does not survive and what does not fit a datagram.
//
// Threading: pure functions. Sources: RFC 9301 section 5; RFC 9437 section 4 (PubSub); draft-ermagan-lisp-nat-traversal
// section 4 (Info messages, the I bit of Map-Notify).

#include "base/expected.hpp"
#include "dataplane/lisp/error.hpp"
#include "dataplane/lisp/mapping_record.hpp"
#include "dataplane/lisp/peer_profile.hpp"

#include <array>

namespace glocal::lisp {

/// UDP port of control messages (RFC 9301 section 5).
inline constexpr std::uint16_t control_port = 4342;

/// RFC 9301 section 5.1. Types not named here are not spoken.
enum class message_type : std::uint8_t {
  map_request = 1,
  map_reply = 2,
  map_register = 3,
  map_notify = 4,
  map_notify_ack = 5,
  info = 7,
  encapsulated = 8,
};

/// Who registers or subscribes, apart from its addresses (RFC 9301 section 5.6).
struct xtr_identity {
  std::array<std::uint8_t, 16> xtr_id{};
  std::uint64_t site_id = 0;
  bool operator==(const xtr_identity&) const = default;
};

/// Section 5.2.
struct map_request {
  struct record {
    /// N: tell the sender of changes of this EID (RFC 9437 section 4).
    bool notify = false;
    eid_prefix eid;
    bool operator==(const record&) const = default;
  };

  bool authoritative = false;      ///< A: only from the ETR itself
  bool probe = false;              ///< P: RLOC probe
  bool smr = false;                ///< S: solicit a Map-Request
  bool pitr = false;               ///< p: a proxy ITR asks
  bool smr_invoked = false;        ///< s: asks because of an SMR
  bool local_xtr = false;          ///< L: the local one answers
  bool dont_reply_mapping = false; ///< D: no Map-Reply wanted with the mapping
  std::uint64_t nonce = 0;
  address source_eid;
  /// Where the reply may go: 1 to 32. One of AFI 0 with N set ends a subscription.
  std::vector<address> itr_rlocs;
  /// 1 to 255.
  std::vector<record> records;
  /// M: a mapping of the sender's own.
  std::optional<mapping_record> own_mapping;
  /// I: RFC 9437 section 4.
  std::optional<xtr_identity> identity;

  bool operator==(const map_request&) const = default;
};

/// Section 5.4.
struct map_reply {
  bool probe = false;      ///< P: answers an RLOC probe
  bool echo_nonce = false; ///< E: the sender echoes data-plane nonces
  std::uint64_t nonce = 0;
  std::vector<mapping_record> records;
  /// S: LISP-SEC data (RFC 9303) as it came; empty without.
  bytes security;

  bool operator==(const map_reply&) const = default;
};

/// IANA "LISP Algorithm ID Numbers".
namespace algorithm {
inline constexpr std::uint8_t none = 0, hmac_sha1_96 = 1, hmac_sha256_128 = 2, hmac_sha256_128_hkdf = 3;
}

/// Section 5.6. In older messages key and algorithm are one 16-bit key id, whose value is the algorithm.
struct authentication {
  std::uint8_t key_id = 0, algorithm_id = algorithm::none;
  bytes data;
  bool operator==(const authentication&) const = default;
};

/// Section 5.6.
struct map_register {
  bool proxy_reply = false;      ///< P: the Map-Server answers for the sender
  bool security_capable = false; ///< S
  bool eid_notify = false;       ///< E
  bool use_ttl = false;          ///< T: the records' TTLs are those of the registration
  bool merge = false;            ///< a: merge with what others of the site register
  bool mobile_node = false;      ///< R of section 5.6, m of IANA
  bool want_notify = false;      ///< M: acknowledge by Map-Notify
  std::uint64_t nonce = 0;
  authentication auth;
  std::vector<mapping_record> records;
  /// I
  std::optional<xtr_identity> identity;

  bool operator==(const map_register&) const = default;
};

/// Section 5.7, both kinds.
struct notification {
  std::uint64_t nonce = 0;
  authentication auth;
  std::vector<mapping_record> records;
  /// Not in RFC 9301; sent by implementations of NAT traversal under the I bit.
  std::optional<xtr_identity> identity;

  bool operator==(const notification&) const = default;
};
struct map_notify : notification {
  bool operator==(const map_notify&) const = default;
};
struct map_notify_ack : notification {
  bool operator==(const map_notify_ack&) const = default;
};

/// Info-Request and Info-Reply of NAT traversal.
struct info_message {
  bool is_reply = false; ///< R
  std::uint64_t nonce = 0;
  authentication auth;
  std::uint32_t ttl_minutes = 0;
  eid_prefix eid;
  /// nat_traversal in a reply, no_address in a request.
  address nat;

  bool operator==(const info_message&) const = default;
};

/// Section 5.8: a control message with the IP and UDP headers it would have had.
struct encapsulated_message {
  bool ddt_originated = false; ///< D
  bool to_etr = false;         ///< E
  bool to_map_server = false;  ///< M
  /// Inner IP header. DSCP and ECN as one byte; the flow label is IPv6's, the identification and DF IPv4's.
  ip_address source, destination;
  std::uint8_t traffic_class = 0, hop_limit = 64;
  std::uint32_t flow_label = 0;
  std::uint16_t identification = 0;
  bool dont_fragment = false;
  /// Inner UDP header. The checksum is only kept when it is not the right one; encode() computes it otherwise.
  std::uint16_t source_port = control_port, destination_port = control_port;
  std::optional<std::uint16_t> odd_checksum;
  /// The message inside, not decoded; it may not be encapsulated again.
  bytes message;

  bool operator==(const encapsulated_message&) const = default;
};

using control_message =
    std::variant<map_request, map_reply, map_register, map_notify, map_notify_ack, info_message, encapsulated_message>;

[[nodiscard]] expected<control_message, decode_error> decode(byte_view message);

/// For a receiver that survives all we can say, unless told otherwise. An encapsulated message's inner bytes are sent
/// as they are: encode that one for its receiver first.
[[nodiscard]] expected<bytes, encode_error> encode(const control_message& message,
                                                   const peer_profile& receiver = full_profile());

[[nodiscard]] message_type type_of(const control_message& message) noexcept;
/// `Map-Request`, `Encapsulated Control Message`, as RFC 9301 writes them.
[[nodiscard]] std::string_view to_string(message_type type) noexcept;

} // namespace glocal::lisp
