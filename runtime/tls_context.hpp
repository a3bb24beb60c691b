#pragma once
// What a node proves itself with, and whom it believes: its certificate, its key and its cluster's authority, ready for
// TLS 1.3 with authentication of both sides. Shared by all sessions of a node.
//
// Immutable after construction, so thread-safe. Nothing of a key is ever printed.

#include "base/expected.hpp"
#include "base/secret_file.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace glocal::runtime {

struct tls_files {
  std::filesystem::path certificate, key, authority;
};

/// The same as PEM text, with the names that errors carry.
struct tls_material {
  std::string certificate, key, authority;
  tls_files names{"certificate", "key", "authority"};
};

class tls_context {
public:
  using result = expected<std::shared_ptr<const tls_context>, std::vector<file_problem>>;

  /// Reads and checks everything node `node` of `cluster` needs, as a peer would: the key is the certificate's, the
  /// authority signed it, it is valid and names NODE.CLUSTER. @error all that is wrong, never none.
  [[nodiscard]] static result load(const tls_files& files, const std::string& node, const std::string& cluster);
  /// @param now when it has to be valid.
  [[nodiscard]] static result make(const tls_material& material, const std::string& node, const std::string& cluster,
                                   std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

  ~tls_context();
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

  [[nodiscard]] const std::string& cluster() const noexcept { return cluster_; }
  /// When the certificate or, if earlier, its authority expires.
  [[nodiscard]] std::chrono::system_clock::time_point not_after() const noexcept { return not_after_; }

private:
  friend class tls_session;
  struct parts;
  explicit tls_context(std::unique_ptr<parts> made);

  std::unique_ptr<parts> parts_;
  std::string cluster_;
  std::chrono::system_clock::time_point not_after_;
};

/// What a certificate says of itself, for people.
struct certificate_summary {
  std::string subject, issuer;
  /// Its DNS names.
  std::vector<std::string> names;
  bool is_authority = false;
  std::chrono::system_clock::time_point not_before, not_after;
};
/// @error OpenSSL's reason.
[[nodiscard]] expected<certificate_summary, std::string> summarise_certificate(const std::string& pem);

/// `2036-11-21 22:00 UTC`
[[nodiscard]] std::string date_text(std::chrono::system_clock::time_point time);

} // namespace glocal::runtime
