#include "tools/keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal {
namespace {

using clock = std::chrono::steady_clock;

constexpr int ending_signals[] = {SIGTERM, SIGINT, SIGHUP};

/// Blocked in the parent for as long as it keeps, so that each is taken by sigtimedwait and none is lost.
class blocked_signals {
public:
  blocked_signals() {
    sigemptyset(&taken_);
    for (const int number : ending_signals)
      sigaddset(&taken_, number);
    sigaddset(&taken_, SIGCHLD);
    sigprocmask(SIG_BLOCK, &taken_, &former_);
  }
  ~blocked_signals() { restore(); }
  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;

  void restore() const { sigprocmask(SIG_SETMASK, &former_, nullptr); }

  /// The next of them; 0 when none came within `patience`.
  [[nodiscard]] int wait(std::chrono::nanoseconds patience) const {
    const timespec limit{patience.count() / 1'000'000'000, patience.count() % 1'000'000'000};
    const int got = sigtimedwait(&taken_, nullptr, &limit);
    return got < 0 ? 0 : got;
  }
  [[nodiscard]] int wait() const {
    int got = 0;
    return sigwait(&taken_, &got) == 0 ? got : 0;
  }

private:
  sigset_t taken_{}, former_{};
};

int status_of(int raw) {
  return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

/// Starts the program; does not return in the child.
pid_t start(const blocked_signals& signals, const std::function<int()>& program) {
  const auto parent = ::getpid();
  const auto child = ::fork();
  if (child == 0) {
    signals.restore();
    // A keeper that is killed takes its program along: nobody would know of it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
      ::_exit(EXIT_FAILURE);
    std::exit(program());
  }
  return child;
}

/// Until the child has ended: its status. Hands on what ends; `asked` says whether anything was.
int wait_for(pid_t child, const blocked_signals& signals, bool& asked) {
  for (;;) {
    if (const int got = signals.wait(); got != SIGCHLD && got != 0) {
      asked = true;
      ::kill(child, got);
    }
    int raw = 0;
    if (::waitpid(child, &raw, WNOHANG) == child)
      return status_of(raw);
  }
}

/// False when a signal that ends came meanwhile.
bool pause_for(std::chrono::nanoseconds pause, const blocked_signals& signals) {
  const auto until = clock::now() + pause;
  for (auto left = pause; left.count() > 0; left = until - clock::now())
    if (const int got = signals.wait(left); got != 0 && got != SIGCHLD)
      return false;
  return true;
}

} // namespace

int keep_running(const keeper_options& options, const std::function<int()>& program) {
  const blocked_signals signals;
  std::deque<clock::time_point> restarts;
  for (;;) {
    const auto child = start(signals, program);
    if (child < 0)
      return EXIT_FAILURE;
    bool asked = false;
    const auto status = wait_for(child, signals, asked);
    if (status == 0 || asked)
      return status;
    const auto now = clock::now();
    while (!restarts.empty() && now - restarts.front() > options.window)
      restarts.pop_front();
    restarts.push_back(now);
    const bool again =
        restarts.size() <= options.max_restarts &&
        std::find(options.final_statuses.begin(), options.final_statuses.end(), status) == options.final_statuses.end();
    options.on_failure(status, again);
    if (!again || !pause_for(options.pause, signals))
      return status;
  }
}

} // namespace glocal
