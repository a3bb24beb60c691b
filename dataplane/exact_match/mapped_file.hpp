#pragma once
// A file in memory that outlives the process: what is stored in it is there for the next one, also after kill -9.
//
// One process has it at a time (flock). Its blocks are allocated before they are mapped, so that a full file system is
// an error here and not a SIGBUS later. Without a path the memory is anonymous and nothing outlives anything.
// Threading: a resource; the memory itself is for the owner to share.

#include "base/expected.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace glocal::dataplane {

enum class file_error : std::uint8_t {
  /// It can't be opened, mapped or locked; the path is wrong, or not ours.
  unusable,
  /// Another process has it.
  in_use,
  no_space
};

class mapped_file {
public:
  /// `bytes` of `path`, created if need be (mode 0600). A file of another size is made anew, all zero.
  [[nodiscard]] static expected<mapped_file, file_error> open(const std::string& path, std::size_t bytes);
  /// As open(), of no file.
  [[nodiscard]] static expected<mapped_file, file_error> anonymous(std::size_t bytes);

  mapped_file() = default;
  mapped_file(mapped_file&& other) noexcept;
  mapped_file& operator=(mapped_file&& other) noexcept;
  ~mapped_file();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Zero throughout: nothing of a former process is in it.
  [[nodiscard]] bool is_new() const noexcept { return is_new_; }

  /// Makes it all zero, without touching pages that are. False, and unusable, when there is no space.
  [[nodiscard]] bool clear() noexcept;

private:
  [[nodiscard]] bool allocate() const noexcept;

  int descriptor_ = -1;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool is_new_ = true;
};

} // namespace glocal::dataplane
