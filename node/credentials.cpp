#include "node/credentials.hpp"

#include <algorithm>

namespace glocal::node {

expected<std::string, file_problem> read_api_token(const std::string& file) {
  auto text = read_small_file(file, secrecy::secret);
  if (!text)
    return text;
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r'))
    text->pop_back();
  const bool word = std::all_of(text->begin(), text->end(), [](char c) { return '!' <= c && c <= '~'; });
  if (!word || text->size() < min_token_chars || text->size() > max_token_chars)
    return unexpected{file_problem{file,
                                   "holds no token, which is one word of " + std::to_string(min_token_chars) + " to " +
                                       std::to_string(max_token_chars) + " printable ASCII characters",
                                   "make one: (umask 077; openssl rand -hex 32 > " + file + ')'}};
  return text;
}

} // namespace glocal::node
