#pragma once
// What `glocal lisp query` asks and what it makes of what comes back. Pure: no sockets, no clock.

#include "dataplane/lisp/message.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace glocal::cli {

struct udp_endpoint {
  ip_address address;
  std::uint16_t port = 0;
  auto operator<=>(const udp_endpoint&) const = default;
};
/// `10.0.2.2`, `10.0.2.2:4342`, `2001:db8::1`, `[2001:db8::1]:4342`; port 0 is none.
[[nodiscard]] std::optional<udp_endpoint> parse_udp_endpoint(std::string_view text, std::uint16_t default_port);
[[nodiscard]] std::string to_string(const udp_endpoint& endpoint);

/// `192.168.2.3`, `192.168.2.0/24`, `tcp 10.1.0.7:51514 > 203.0.113.9:80` (a flow), and any of them as `[IID]...`.
[[nodiscard]] std::optional<lisp::eid_prefix> parse_query_eid(std::string_view text);

struct query {
  lisp::eid_prefix eid;
  std::uint64_t nonce = 0;
  /// Where answers shall go; also the ITR-RLOC.
  udp_endpoint local;
  udp_endpoint server;
  /// As a Map-Resolver wants it (RFC 9301 section 5.8), or plain, as an ETR does.
  bool encapsulated = true;
};
[[nodiscard]] expected<bytes, lisp::encode_error> query_message(const query& asked);

/// What a datagram that came back is.
struct query_answer {
  enum class kind {
    mapping,   ///< a record with locators that holds the EID
    negative,  ///< a record without
    other,     ///< no Map-Reply
    bad_nonce, ///< a Map-Reply to another question, or a forged one
    malformed, ///< a Map-Reply with our nonce that cannot be read
    other_eid, ///< a Map-Reply with our nonce about something else
  };
  kind what = kind::other;
  /// Of mapping and negative.
  lisp::map_reply reply;
  /// Of malformed.
  std::string why;
};
[[nodiscard]] query_answer read_answer(byte_view datagram, const query& asked);

/// What did not count as the answer.
struct ignored_answers {
  std::size_t other = 0, bad_nonce = 0, malformed = 0, other_eid = 0;
  /// The last one's.
  std::string malformed_why;
  void add(const query_answer& answer);
  [[nodiscard]] bool any() const noexcept { return other + bad_nonce + malformed + other_eid > 0; }
};
/// `ignored: 2 with another nonce, 1 malformed (EID: cut short at byte 30)`; empty for none.
[[nodiscard]] std::string ignored_text(const ignored_answers& ignored);

struct answered_query {
  query asked;
  lisp::map_reply reply;
  udp_endpoint from;
  std::chrono::microseconds round_trip{0};
  std::size_t sent = 1;
  ignored_answers ignored;
};
[[nodiscard]] nlohmann::ordered_json to_json(const answered_query& answered);
[[nodiscard]] std::string answer_text(const answered_query& answered);

} // namespace glocal::cli
