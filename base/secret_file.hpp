#pragma once
// Small files a node is configured with: certificates, and secrets that nobody else may read.
//
// Threading: any thread. What was read is never part of a message.

#include "base/expected.hpp"

#include <filesystem>
#include <string>

namespace glocal {

/// One thing wrong with a file a node was given.
struct file_problem {
  std::filesystem::path file;
  std::string reason, remedy;
};
/// `FILE: reason; remedy`
[[nodiscard]] std::string to_string(const file_problem& problem);

enum class secrecy {
  open,
  /// Refused when others than its owner may read it; a file of root's may also be readable for its group.
  secret
};

/// Certificates and keys are a few hundred bytes, chains a few KiB.
inline constexpr std::size_t max_small_file_bytes = std::size_t{256} << 10;

/// The whole of a regular file. @error not there, not readable, too large, or a secret that others may read.
[[nodiscard]] expected<std::string, file_problem> read_small_file(const std::filesystem::path& file, secrecy how);

} // namespace glocal
