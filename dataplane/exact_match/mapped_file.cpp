#include "dataplane/exact_match/mapped_file.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal::dataplane {

expected<mapped_file, file_error> mapped_file::open(const std::string& path, std::size_t bytes) {
  mapped_file out;
  out.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat status {};
  if (out.descriptor_ < 0 || ::fstat(out.descriptor_, &status) != 0 || !S_ISREG(status.st_mode))
    return unexpected{errno == ENOSPC ? file_error::no_space : file_error::unusable};
  if (::flock(out.descriptor_, LOCK_EX | LOCK_NB) != 0)
    return unexpected{errno == EWOULDBLOCK ? file_error::in_use : file_error::unusable};
  out.size_ = bytes;
  out.is_new_ = static_cast<std::size_t>(status.st_size) != bytes;
  if (out.is_new_ && (::ftruncate(out.descriptor_, 0) != 0 || !out.allocate()))
    return unexpected{file_error::no_space};
  auto* raw = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, out.descriptor_, 0);
  if (raw == MAP_FAILED)
    return unexpected{file_error::unusable};
  out.data_ = static_cast<std::byte*>(raw);
  (void)::madvise(raw, bytes, MADV_HUGEPAGE); // a file in /dev/shm may have huge pages, one on a disk not
  return out;
}

expected<mapped_file, file_error> mapped_file::anonymous(std::size_t bytes) {
  mapped_file out;
  auto* raw = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED)
    return unexpected{file_error::no_space};
  out.data_ = static_cast<std::byte*>(raw);
  out.size_ = bytes;
  (void)::madvise(raw, bytes, MADV_HUGEPAGE);
  return out;
}

mapped_file::mapped_file(mapped_file&& other) noexcept
    : descriptor_{std::exchange(other.descriptor_, -1)}, data_{std::exchange(other.data_, nullptr)},
      size_{std::exchange(other.size_, 0)}, is_new_{other.is_new_} {}

mapped_file& mapped_file::operator=(mapped_file&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(is_new_, other.is_new_);
  return *this;
}

mapped_file::~mapped_file() {
  if (data_ != nullptr)
    ::munmap(data_, size_);
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

bool mapped_file::allocate() const noexcept {
  return ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size_)) == 0;
}

bool mapped_file::clear() noexcept {
  is_new_ = true;
  if (descriptor_ < 0)
    return ::madvise(data_, size_, MADV_DONTNEED) == 0;
  return ::ftruncate(descriptor_, 0) == 0 && allocate();
}

} // namespace glocal::dataplane
