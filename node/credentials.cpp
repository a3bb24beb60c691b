#include "node/credentials.hpp"

#include "runtime/tls_authority.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal::node {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::system_clock;

constexpr mode_t open_mode = 0644, secret_mode = 0600;

file_problem failed(const fs::path& file, const char* what) {
  return {file, std::string{what} + ": " + std::strerror(errno), "check the path and your rights to it"};
}

/// Whole or not at all, also after a crash.
expected<void, file_problem> write_whole(const fs::path& file, const std::string& text, mode_t mode) {
  const auto fresh = fs::path{file}.concat(".new");
  ::unlink(fresh.c_str()); // what an earlier run that died left
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0)
    return unexpected{failed(fresh, "cannot be made")};
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  ::close(fd);
  if (!written || ::rename(fresh.c_str(), file.c_str()) != 0) {
    const auto problem = failed(file, "cannot be written");
    ::unlink(fresh.c_str());
    return unexpected{problem};
  }
  return {};
}

/// The key first: a certificate without its key would be a node that can't start and does not know why.
expected<void, file_problem> write_pair(const fs::path& certificate, const fs::path& key,
                                        const runtime::tls_credentials& what) {
  if (auto done = write_whole(key, what.key, secret_mode); !done)
    return done;
  return write_whole(certificate, what.certificate, open_mode);
}

expected<void, file_problem> make_directory(const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return unexpected{failed(directory, "cannot be made")};
  return {};
}

unexpected<file_problem> by_openssl(const fs::path& file, const std::string& reason) {
  return unexpected{file_problem{file, "cannot be made: " + reason, "check the OpenSSL installed"}};
}

runtime::tls_validity valid_for(std::chrono::days days) {
  return runtime::tls_validity::for_next(days);
}

runtime::tls_context::result context_of(const cluster_config& config, const std::string& node) {
  return runtime::tls_context::load(certificate_files(config.security.certificates, node), node, config.name);
}

} // namespace

runtime::tls_files certificate_files(const fs::path& directory, const std::string& node) {
  return {directory / (node + ".crt"), directory / (node + ".key"), directory / "ca.crt"};
}

expected<void, file_problem> make_authority(const fs::path& directory, const std::string& cluster,
                                            std::chrono::days validity) {
  if (auto made = make_directory(directory); !made)
    return made;
  const auto certificate = directory / "ca.crt", key = directory / "ca.key";
  std::error_code failure;
  for (const auto& file : {key, certificate})
    if (fs::exists(file, failure))
      return unexpected{file_problem{file, "is there already",
                                     "a new authority makes all certificates it issued worthless; to want that, "
                                     "move it away first"}};
  const auto made = runtime::tls_authority::make(cluster, valid_for(validity));
  if (!made)
    return by_openssl(certificate, made.error());
  return write_pair(certificate, key, made->credentials());
}

expected<void, file_problem> issue_certificate(const fs::path& directory, const std::string& node,
                                               const std::string& cluster, std::chrono::days validity, bool renew) {
  const auto certificate_of_authority = directory / "ca.crt", key_of_authority = directory / "ca.key";
  const auto files = certificate_files(directory, node);
  std::error_code failure;
  if (!renew)
    for (const auto& file : {files.certificate, files.key})
      if (fs::exists(file, failure))
        return unexpected{file_problem{file, "is there already", "replace it with --renew"}};
  auto certificate = read_small_file(certificate_of_authority, secrecy::open);
  auto key = read_small_file(key_of_authority, secrecy::secret);
  for (auto* read : {&certificate, &key})
    if (!*read) {
      if (!fs::exists(read->error().file, failure))
        read->error().remedy = "make an authority with 'glocal certs init', or say where it is with --dir";
      return unexpected{read->error()};
    }
  const auto authority = runtime::tls_authority::from({std::move(*certificate), std::move(*key)});
  if (!authority)
    return unexpected{file_problem{key_of_authority, authority.error(), "restore both files of the authority"}};
  const auto issued = authority->issue(runtime::certified_name(node, cluster), valid_for(validity));
  if (!issued)
    return by_openssl(files.certificate, issued.error());
  return write_pair(files.certificate, files.key, *issued);
}

expected<void, file_problem> make_cluster_certificates(const fs::path& directory, const cluster_config& config) {
  if (auto made = make_directory(directory); !made)
    return made;
  const auto validity = valid_for(authority_validity);
  const auto authority = runtime::tls_authority::make(config.name, validity);
  if (!authority)
    return by_openssl(directory / "ca.crt", authority.error());
  if (auto done = write_whole(directory / "ca.crt", authority->credentials().certificate, open_mode); !done)
    return done;
  for (const auto& node : config.nodes) {
    const auto files = certificate_files(directory, node.name);
    const auto issued = authority->issue(runtime::certified_name(node.name, config.name), validity);
    if (!issued)
      return by_openssl(files.certificate, issued.error());
    if (auto done = write_pair(files.certificate, files.key, *issued); !done)
      return done;
  }
  return {};
}

std::vector<file_problem> problems_of_files(const cluster_config& config, const std::string& node) {
  std::vector<file_problem> out;
  if (config.uses_tls())
    if (auto loaded = context_of(config, node); !loaded)
      out = std::move(loaded.error());
  const auto& api = config.find_node(node)->api;
  if (api && !api->token_file.empty())
    if (auto token = read_api_token(api->token_file); !token)
      out.push_back(std::move(token.error()));
  return out;
}

std::string certificate_expiry(const cluster_config& config, const std::string& node) {
  const auto loaded = context_of(config, node);
  return loaded ? expiry_text((*loaded)->not_after()) : std::string{};
}

std::string expiry_text(clock::time_point not_after) {
  const auto left = std::chrono::floor<std::chrono::days>(not_after - clock::now());
  const auto date = runtime::date_text(not_after);
  if (left < std::chrono::days{0})
    return date + " (EXPIRED)";
  return date + " (in " + std::to_string(left.count()) + " days" + (left < renewal_notice ? ": renew it soon)" : ")");
}

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
