#pragma once
// What nodes prove themselves with, as files: certificates for each other, tokens for their APIs.
//
//   DIR/ca.crt     the authority's certificate: on every machine
//   DIR/ca.key     its key: only where certificates are issued. `glocal up` keeps none
//   DIR/NODE.crt   the node's certificate, and its key: on the node's machine
//   DIR/NODE.key
//
// Keys are written with mode 0600, and files appear whole or not at all. Threading: any thread. Secrets are never part
// of a message.

#include "base/secret_file.hpp"
#include "node/config.hpp"
#include "runtime/tls_context.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace glocal::node {

inline constexpr std::chrono::days authority_validity{3650}, certificate_validity{730};
/// A certificate that expires sooner than this is worth a warning.
inline constexpr std::chrono::days renewal_notice{30};

[[nodiscard]] runtime::tls_files certificate_files(const std::filesystem::path& directory, const std::string& node);

/// Makes an authority for `cluster`. @error there is one already, or it can't be written.
[[nodiscard]] expected<void, file_problem> make_authority(const std::filesystem::path& directory,
                                                          const std::string& cluster, std::chrono::days validity);
/// Issues the certificate of `node` by the authority in `directory`. @param renew replace one that is there.
[[nodiscard]] expected<void, file_problem> issue_certificate(const std::filesystem::path& directory,
                                                             const std::string& node, const std::string& cluster,
                                                             std::chrono::days validity, bool renew);
/// A certificate for every node of a cluster that lives and dies on this machine. The authority's key is forgotten:
/// nobody can ever issue another. All are valid as long as the authority, ten years.
[[nodiscard]] expected<void, file_problem> make_cluster_certificates(const std::filesystem::path& directory,
                                                                     const cluster_config& config);

/// What is wrong with the files that `node` needs on this machine: certificates, where nodes speak TLS, and its API's
/// token. REQUIRES: `node` is one of `config`.
[[nodiscard]] std::vector<file_problem> problems_of_files(const cluster_config& config, const std::string& node);
/// When the certificate of `node` expires, and whether that is soon: for people. Empty when it can't be loaded.
[[nodiscard]] std::string certificate_expiry(const cluster_config& config, const std::string& node);
/// `2028-11-23 23:00 UTC (in 729 days)`; soon or past, it says so.
[[nodiscard]] std::string expiry_text(std::chrono::system_clock::time_point not_after);

/// A token shorter than this can be guessed.
inline constexpr std::size_t min_token_chars = 16, max_token_chars = 512;

/// The token in `file`: one word of printable ASCII. @error the file can't be read, others may read it, or it holds
/// none.
[[nodiscard]] expected<std::string, file_problem> read_api_token(const std::string& file);

} // namespace glocal::node
