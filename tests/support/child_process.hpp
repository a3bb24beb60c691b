#pragma once
// The other process of a test or benchmark.
//
// What it writes to its standard output are lines for the parent; the end of its standard input tells it to end.
// Threading: one thread.

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace glocal::test {

class child_process {
public:
  /// Starts `program` with `arguments`. Throws std::system_error when it can't.
  child_process(const std::string& program, const std::vector<std::string>& arguments);
  /// Closes its standard input and waits for its end; kills it when it takes longer than five seconds.
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Its next line, without the line's end. Throws std::runtime_error when it ends instead.
  [[nodiscard]] std::string read_line();
  /// Lets it stand still, and go on; ends it without a word.
  void stop() const;
  void resume() const;
  void kill() const;

private:
  pid_t pid_ = -1;
  int to_child_ = -1, from_child_ = -1;
};

/// This program itself, for `child_process`.
inline constexpr const char* this_program = "/proc/self/exe";

/// In the child: blocks until the parent wants it to end.
void wait_for_parent();

/// Resident memory in bytes: of now, or the most there ever was.
[[nodiscard]] std::uint64_t resident_bytes(pid_t pid);
[[nodiscard]] std::uint64_t peak_resident_bytes(pid_t pid);
/// From now on the peak is that of what follows.
void forget_peak(pid_t pid);

} // namespace glocal::test
