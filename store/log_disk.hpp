#pragma once
// The files a segment log is made of: an interface, so that tests can lose power, tear writes and fill the disk.
//
// Threading: one thread at a time. Every failure is a sentence for the operator: what happened, to which file, what to
// do. Implementations: open_log_directory (files of a directory), and the tests' disk.

#include "base/bytes.hpp"
#include "base/expected.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace glocal::store {

/// Why the log can't go on. Its replicas stop; only a restart, on a disk that works, helps.
struct log_failure {
  std::string message;
};

class log_disk {
public:
  virtual ~log_disk() = default;

  /// Names of all files, in no order.
  [[nodiscard]] virtual expected<std::vector<std::string>, log_failure> list() = 0;
  /// Everything in a file, at most `limit` bytes. @error also when it is longer.
  [[nodiscard]] virtual expected<bytes, log_failure> read(const std::string& name, std::size_t limit) = 0;
  /// A new file of `size` zeros that are on the disk, so that later writes need no new block. A leftover of that name
  /// is overwritten.
  [[nodiscard]] virtual expected<void, log_failure> create(const std::string& name, std::size_t size) = 0;
  /// REQUIRES: it lies within the file.
  [[nodiscard]] virtual expected<void, log_failure> write(const std::string& name, std::size_t offset,
                                                          byte_view what) = 0;
  /// What was written to the file before survives a loss of power.
  [[nodiscard]] virtual expected<void, log_failure> sync(const std::string& name) = 0;
  /// Survives a loss of power when it returns.
  [[nodiscard]] virtual expected<void, log_failure> rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual expected<void, log_failure> remove(const std::string& name) = 0;
};

/// The files of `directory`, which is made if it is not there; held by one process at a time.
[[nodiscard]] expected<std::unique_ptr<log_disk>, log_failure>
open_log_directory(const std::filesystem::path& directory);

} // namespace glocal::store
