#pragma once
// Child processes: the one place that spawns them. No shell unless a caller names one.
//
// Threading: every function may be called from any thread; `run` blocks the caller for at most its time bound plus the
// time a SIGKILL takes. Built on posix_spawn, so a large multi-threaded process does not copy its page tables.

#include "base/expected.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace glocal::node {

struct command {
  /// Program (looked up in PATH) and its arguments.
  std::vector<std::string> argv{};
  /// Standard input.
  std::string input{};
  /// When it is over, the child's process group is killed.
  std::chrono::milliseconds timeout{10'000};
  /// File that standard output and error are appended to instead of being captured; empty: captured.
  std::string log{};
  /// Descriptor the child inherits as its descriptor 3; -1: none.
  int inherited = -1;
};

struct command_output {
  /// Exit status, or 128 + signal as shells have it.
  int status = 0;
  /// At most `max_captured_bytes` each; the rest is read and forgotten.
  std::string output, errors;

  [[nodiscard]] bool ok() const noexcept { return status == 0; }
};

inline constexpr std::size_t max_captured_bytes = 1u << 20;

/// The program could not be started, ran out of its time or, for `run_checked`, failed.
struct process_error {
  enum class kind { not_started, timed_out, failed } what;
  /// For people: the command and why.
  std::string message;
};

/// Runs a command to its end with captured output. A status other than 0 is not an error here.
[[nodiscard]] expected<command_output, process_error> run(const command& what);

/// The same, a failing status also being an error: the message then carries the command and what it said.
[[nodiscard]] expected<std::string, process_error> run_checked(const command& what);

/// Whether PATH has such a program.
[[nodiscard]] bool in_path(const std::string& program);

/// The command as one would type it.
[[nodiscard]] std::string shown(const std::vector<std::string>& argv);

/// A process for as long as the kernel knows it: a pid alone may be recycled, a pid with its start time is not.
struct process_identity {
  pid_t pid = 0;
  /// Clock ticks after boot, /proc/PID/stat field 22.
  unsigned long long start_time = 0;

  bool operator==(const process_identity&) const = default;
};

/// Nothing when there is no such process, or only its zombie.
[[nodiscard]] std::optional<process_identity> identify(pid_t pid);
[[nodiscard]] inline bool alive(const process_identity& who) {
  return who.pid > 0 && identify(who.pid) == who;
}

} // namespace glocal::node
