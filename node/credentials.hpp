#pragma once
// What nodes prove themselves with, as files: tokens of the API.
//
// Threading: any thread. Secrets are never part of a message.

#include "base/secret_file.hpp"

#include <string>

namespace glocal::node {

/// A token shorter than this can be guessed.
inline constexpr std::size_t min_token_chars = 16, max_token_chars = 512;

/// The token in `file`: one word of printable ASCII. @error the file can't be read, others may read it, or it holds
/// none.
[[nodiscard]] expected<std::string, file_problem> read_api_token(const std::string& file);

} // namespace glocal::node
