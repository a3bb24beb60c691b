#pragma once
// One side of a TLS 1.3 connection (RFC 8446) as a filter on a byte stream: what came from the peer goes in, plaintext
// and what has to be sent to the peer come out. Pure: no socket, no actor, no clock but the one certificates are
// checked by.
//
//   tls_session session{context, tls_session::side::client, out};    // `out` now holds the first flight
//   for (;;) {                                                       // something came from the peer
//     auto plain = session.receive(wire, scratch, out);
//     if (!plain) { log plain.error().text; send `out`; hang up }
//     if (plain->empty()) break;
//     … the plaintext is valid until the next call …
//   }
//   session.send(message, out);                                      // once established()
//
// Both sides show a certificate that the cluster's authority signed. Which node it belongs to is for the caller to ask
// (`certifies`) as soon as the peer has said who it claims to be.
// Memory: OpenSSL's buffers, about 35 KiB while records are under way; a peer that is not established makes `out` grow
// by one flight, about 2 KiB. Threading: one thread at a time; sessions of one context are independent of each other.

#include "base/bytes.hpp"
#include "base/expected.hpp"
#include "runtime/tls_context.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace glocal::runtime {

struct tls_error {
  enum class kind {
    /// What came is no TLS at all; an answer without TLS may be understood.
    no_tls,
    /// The handshake failed, a record was forged, or the peer refused us. `out` may hold an alert that tells it why.
    failed,
  } what;
  /// For the operator: what happened and, where it is known, what to do.
  std::string text;
};

/// True when these are the first bytes of a stream that speaks TLS. Frames (frame.hpp) never begin so: their first byte
/// is a multiple of 8.
[[nodiscard]] constexpr bool looks_like_tls(byte_view first) noexcept {
  constexpr std::byte alert{21}, handshake{22};
  return !first.empty() && (first[0] == handshake || first[0] == alert);
}

class tls_session {
public:
  /// The client is the one who dialled.
  enum class side { client, server };

  /// REQUIRES: `context` is not null.
  tls_session(std::shared_ptr<const tls_context> context, side which, bytes& out);
  tls_session(tls_session&&) noexcept;
  tls_session& operator=(tls_session&&) noexcept;
  ~tls_session();

  /// Consumes `wire` from its front and gives the next plaintext, in `scratch`; when that is not full, `wire` is used
  /// up and nothing more is to be had. Appends to `out` what has to be sent: handshake, alerts.
  /// @error the connection is of no more use. Cost: copies each byte twice, decryption about 0.3 ns a byte.
  /// REQUIRES: `scratch` is not empty; 16 KiB or more hold a whole record.
  [[nodiscard]] expected<byte_view, tls_error> receive(byte_view& wire, std::span<std::byte> scratch, bytes& out);

  /// Appends `plain`, sealed, in records of up to 16 KiB: 22 bytes are added to each. Nothing after close() or an
  /// error. REQUIRES: established().
  void send(byte_view plain, bytes& out);

  /// Tells the peer that nothing more will be sent (close_notify).
  void close(bytes& out);

  /// The handshake is over on this side: `send` may be called. A client may still learn that it is refused.
  [[nodiscard]] bool established() const noexcept;
  /// The peer said that it sends nothing more: the stream was not cut off.
  [[nodiscard]] bool peer_closed() const noexcept;

  /// Whether the peer's certificate is that of `node` of this cluster. REQUIRES: established().
  [[nodiscard]] bool certifies(std::string_view node) const;
  /// `TLSv1.3 TLS_AES_128_GCM_SHA256`; empty before it is established.
  [[nodiscard]] std::string description() const;
  /// What the peer's certificate names, for messages: `dc1.figure3`. REQUIRES: established().
  [[nodiscard]] std::string peer_names() const;

private:
  struct parts;
  [[nodiscard]] tls_error failure();

  std::unique_ptr<parts> parts_;
};

} // namespace glocal::runtime
