#pragma once
// Keeps a program running: what systemd does for a node on a machine of its own, for a node that `glocal up` starts.
//
// The caller becomes two processes. The child runs the program; the parent waits for it, and starts it again when it
// failed, but not for ever: a node that fails again and again is better seen to have ended. Signals that end the parent
// are handed to the child. Threading: call before any other thread is there, since it forks.

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

namespace glocal {

struct keeper_options {
  /// More restarts than this within `window`, and the keeper gives up with the child's status.
  std::size_t max_restarts = 5;
  std::chrono::milliseconds window{60'000};
  /// Between a failure and the next start.
  std::chrono::milliseconds pause{1000};
  /// Statuses that a restart does not mend: wrong usage, an invalid cluster file, an unfit machine.
  std::vector<int> final_statuses;
  /// Called in the parent, with the child's status as a shell has it (128 + signal) and whether it is started again.
  std::function<void(int status, bool again)> on_failure = [](int, bool) {};
};

/// Runs `program` in a child process, again when it fails; the status it ended with at last, as a shell has it.
/// 0 and the end by a signal the keeper was sent are no failures.
[[nodiscard]] int keep_running(const keeper_options& options, const std::function<int()>& program);

} // namespace glocal
