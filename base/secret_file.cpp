#include "base/secret_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal {

std::string to_string(const file_problem& problem) {
  return problem.file.string() + ": " + problem.reason + (problem.remedy.empty() ? "" : "; " + problem.remedy);
}

expected<std::string, file_problem> read_small_file(const std::filesystem::path& file, secrecy how) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return unexpected{file_problem{file, std::string{"cannot be read: "} + std::strerror(errno),
                                   errno == ENOENT ? "make it, or correct the path in the cluster file"
                                                   : "the node's user must be able to read it"}};
  std::string text;
  file_problem wrong{file, {}, {}};
  struct stat about {};
  ::fstat(fd, &about);
  // As PostgreSQL and ssh have it: a secret is its owner's; of root's files a group may have been given the use.
  const auto forbidden = about.st_uid == 0 && ::geteuid() != 0 ? 0037u : 0077u;
  if (!S_ISREG(about.st_mode)) {
    wrong.reason = "is no regular file", wrong.remedy = "correct the path in the cluster file";
  } else if (how == secrecy::secret && (about.st_mode & forbidden) != 0) {
    wrong.reason = "is a secret that other users may read", wrong.remedy = "run: chmod 600 " + file.string();
  } else if (static_cast<std::size_t>(about.st_size) > max_small_file_bytes) {
    wrong.reason = "is larger than " + std::to_string(max_small_file_bytes >> 10) + " KiB",
    wrong.remedy = "correct the path in the cluster file";
  } else {
    text.resize(static_cast<std::size_t>(about.st_size));
    std::size_t have = 0;
    for (ssize_t got = 1; have < text.size() && got > 0; have += static_cast<std::size_t>(std::max<ssize_t>(got, 0)))
      got = ::read(fd, text.data() + have, text.size() - have);
    text.resize(have);
  }
  ::close(fd);
  if (!wrong.reason.empty())
    return unexpected{std::move(wrong)};
  return text;
}

} // namespace glocal
