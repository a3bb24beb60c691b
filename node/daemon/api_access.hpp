#pragma once
// Who may ask a node over TCP. With a token: who shows it, as `Authorization: Bearer TOKEN` (RFC 6750). Without:
// anybody on this machine, and only reads; a web page in a browser on this machine is not "anybody", whatever name its
// owner makes point to 127.0.0.1 (DNS rebinding).
//
// Pure: a request's headers go in, a refusal comes out. Threading: any thread.

#include <optional>
#include <string>
#include <string_view>

namespace glocal::node {

/// What of a request decides. Headers that are absent are empty.
struct api_caller {
  std::string_view method, host, origin, authorization;
};

struct api_denial {
  /// 401: show the token; 403: not at all.
  int status = 403;
  /// For people: what to do.
  std::string reason;
};

/// @param token what callers must show; empty: none.
[[nodiscard]] std::optional<api_denial> deny(const api_caller& caller, std::string_view token);

/// Takes time by the length of `shown` alone, so that a token can't be guessed a byte at a time.
[[nodiscard]] bool same_secret(std::string_view secret, std::string_view shown) noexcept;

/// Whether a Host header means this machine itself: `localhost`, 127.0.0.0/8 or [::1], with any port.
[[nodiscard]] bool means_this_machine(std::string_view host);

} // namespace glocal::node
