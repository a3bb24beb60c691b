#include "store/log_disk.hpp"

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal::store {
namespace {

/// What a new segment is filled with at a time.
constexpr std::size_t zeros_bytes = std::size_t{1} << 20;

class descriptor {
public:
  explicit descriptor(int fd = -1) noexcept : fd_{fd} {}
  descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

log_failure failure(const std::filesystem::path& file, const std::string& doing, int error) {
  std::string text = file.string() + ": cannot " + doing + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    text += "; make room on its file system and restart the node";
  else if (error == EIO || error == EROFS)
    text += "; its disk or file system is broken: replace it and restart the node, which then gets its slots from the "
            "others";
  else if (error == EACCES || error == EPERM)
    text += "; give the node's user the directory";
  return {std::move(text)};
}

class directory_disk final : public log_disk {
public:
  directory_disk(std::filesystem::path directory, descriptor held)
      : directory_{std::move(directory)}, held_{std::move(held)} {}

  expected<std::vector<std::string>, log_failure> list() override {
    std::error_code error;
    std::vector<std::string> out;
    for (std::filesystem::directory_iterator at{directory_, error}, end; !error && at != end; at.increment(error))
      out.push_back(at->path().filename().string());
    if (error)
      return unexpected{failure(directory_, "list", error.value())};
    return out;
  }

  expected<bytes, log_failure> read(const std::string& name, std::size_t limit) override {
    const auto fd = open(name, "open");
    if (!fd)
      return unexpected{fd.error()};
    struct stat status {};
    if (::fstat(*fd, &status) != 0)
      return unexpected{failure(directory_ / name, "look at", errno)};
    if (!S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > limit)
      return unexpected{log_failure{(directory_ / name).string() + ": is no segment of at most " +
                                    std::to_string(limit) + " bytes; move it out of the way"}};
    bytes out(static_cast<std::size_t>(status.st_size));
    for (std::size_t done = 0; done < out.size();) {
      const auto got = ::pread(*fd, out.data() + done, out.size() - done, static_cast<off_t>(done));
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return unexpected{failure(directory_ / name, "read", errno)};
      if (got == 0)
        out.resize(done); // it shrank meanwhile; what is missing fails its checksum
      done += static_cast<std::size_t>(got);
    }
    return out;
  }

  expected<void, log_failure> create(const std::string& name, std::size_t size) override {
    open_.erase(name);
    descriptor fd{::open((directory_ / name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (fd.get() < 0)
      return unexpected{failure(directory_ / name, "create", errno)};
    open_.insert_or_assign(name, std::move(fd));
    const bytes zeros(std::min(zeros_bytes, size));
    for (std::size_t done = 0; done < size;) {
      const auto part = std::min(zeros.size(), size - done);
      if (auto written = write(name, done, {zeros.data(), part}); !written)
        return written;
      done += part;
    }
    return sync(name);
  }

  expected<void, log_failure> write(const std::string& name, std::size_t offset, byte_view what) override {
    const auto fd = open(name, "open");
    if (!fd)
      return unexpected{fd.error()};
    while (!what.empty()) {
      const auto put = ::pwrite(*fd, what.data(), what.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR)
        continue;
      if (put <= 0)
        return unexpected{failure(directory_ / name, "write " + std::to_string(what.size()) + " bytes", errno)};
      what = what.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::size_t>(put);
    }
    return {};
  }

  expected<void, log_failure> sync(const std::string& name) override {
    const auto fd = open(name, "open");
    if (!fd)
      return unexpected{fd.error()};
    if (::fdatasync(*fd) != 0)
      return unexpected{failure(directory_ / name, "sync", errno)};
    return {};
  }

  expected<void, log_failure> rename(const std::string& from, const std::string& to) override {
    if (::renameat(held_.get(), from.c_str(), held_.get(), to.c_str()) != 0)
      return unexpected{failure(directory_ / from, "rename to " + to, errno)};
    if (auto moved = open_.extract(from); !moved.empty()) {
      open_.erase(to);
      moved.key() = to;
      open_.insert(std::move(moved));
    }
    return sync_directory();
  }

  expected<void, log_failure> remove(const std::string& name) override {
    open_.erase(name);
    if (::unlinkat(held_.get(), name.c_str(), 0) != 0)
      return unexpected{failure(directory_ / name, "remove", errno)};
    return sync_directory();
  }

private:
  expected<int, log_failure> open(const std::string& name, const char* doing) {
    if (const auto known = open_.find(name); known != open_.end())
      return known->second.get();
    descriptor fd{::openat(held_.get(), name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (fd.get() < 0)
      return unexpected{failure(directory_ / name, doing, errno)};
    return open_.emplace(name, std::move(fd)).first->second.get();
  }
  expected<void, log_failure> sync_directory() {
    if (::fsync(held_.get()) != 0)
      return unexpected{failure(directory_, "sync", errno)};
    return {};
  }

  std::filesystem::path directory_;
  descriptor held_;
  std::map<std::string, descriptor> open_;
};

} // namespace

expected<std::unique_ptr<log_disk>, log_failure> open_log_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return unexpected{failure(directory, "create", error.value())};
  descriptor held{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (held.get() < 0)
    return unexpected{failure(directory, "open", errno)};
  if (::flock(held.get(), LOCK_EX | LOCK_NB) != 0)
    return unexpected{log_failure{directory.string() + ": another process has this log open; stop it first"}};
  return std::unique_ptr<log_disk>{std::make_unique<directory_disk>(directory, std::move(held))};
}

} // namespace glocal::store
