#pragma once
// A cluster's certificate authority: makes itself and the certificates of nodes.
//
// A node's certificate is bound to its name by one DNS name, NODE.CLUSTER (RFC 6125): both are names of the cluster
// file and so valid DNS labels. Keys are ECDSA P-256, serial numbers 127 random bits, extensions as RFC 5280 wants
// them: whoever prefers openssl(1) or an authority of their own can make the same. Threading: values; const members may
// be called from any thread.

#include "base/expected.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace glocal::runtime {

/// A certificate and its private key, both PEM. The key is a secret: never log it.
struct tls_credentials {
  std::string certificate, key;
};

/// `dc1.figure3`: what node `dc1` of cluster `figure3` is certified as.
[[nodiscard]] std::string certified_name(std::string_view node, std::string_view cluster);

struct tls_validity {
  std::chrono::system_clock::time_point not_before, not_after;

  /// From five minutes ago, as clocks of machines differ, for so long from now on.
  [[nodiscard]] static tls_validity for_next(std::chrono::hours duration);
};

class tls_authority {
public:
  /// A new authority with a key of its own. @error OpenSSL's reason.
  [[nodiscard]] static expected<tls_authority, std::string> make(std::string_view cluster, tls_validity validity);
  /// An authority that was made before. @error what is wrong with the two.
  [[nodiscard]] static expected<tls_authority, std::string> from(tls_credentials credentials);

  tls_authority(tls_authority&&) noexcept;
  tls_authority& operator=(tls_authority&&) noexcept;
  ~tls_authority();

  /// A certificate for `name` (certified_name) with a new key, for both ends of a connection.
  /// @error OpenSSL's reason. Cost: about 100 us.
  [[nodiscard]] expected<tls_credentials, std::string> issue(const std::string& name, tls_validity validity) const;

  [[nodiscard]] const tls_credentials& credentials() const noexcept { return credentials_; }

private:
  struct parts;
  tls_authority(tls_credentials credentials, std::unique_ptr<parts> opened);

  tls_credentials credentials_;
  std::unique_ptr<parts> parts_;
};

} // namespace glocal::runtime
