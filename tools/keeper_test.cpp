// With real processes: each keeper is a child of the test, its programs are the keeper's.

#include "tools/keeper.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <functional>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal {
namespace {

using namespace std::chrono_literals;

/// Memory that all processes of a test see.
struct shared_counts {
  std::atomic<int> starts = 0, failures = 0, gave_up = 0;
  std::atomic<pid_t> program = 0;

  static shared_counts& make() {
    void* memory = ::mmap(nullptr, sizeof(shared_counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    return *new (memory) shared_counts;
  }
};

pid_t in_child(const std::function<int()>& body) {
  const auto child = ::fork();
  if (child == 0)
    ::_exit(body());
  return child;
}

int status_of(pid_t child) {
  int raw = 0;
  REQUIRE(::waitpid(child, &raw, 0) == child);
  return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

/// Status of a keeper whose program ends, at its nth start, with the nth of `statuses` (128 + n: by signal n).
int keep(shared_counts& counts, const std::vector<int>& statuses, keeper_options options = {}) {
  options.pause = 1ms;
  options.final_statuses = {2, 3, 4};
  options.on_failure = [&](int, bool again) { again ? ++counts.failures : ++counts.gave_up; };
  return status_of(in_child([&] {
    return keep_running(options, [&]() -> int {
      const auto status = statuses.at(static_cast<std::size_t>(counts.starts++));
      if (status > 128)
        ::raise(status - 128);
      ::_exit(status); // not the test program's own destructors
    });
  }));
}

} // namespace

TEST_CASE("a program that fails is started again, one that ends is not") {
  auto& counts = shared_counts::make();
  CHECK(keep(counts, {1, 128 + SIGKILL, 0}) == 0);
  CHECK(counts.starts == 3);
  CHECK(counts.failures == 2);
  CHECK(counts.gave_up == 0);
}

TEST_CASE("a program that fails too often is left ended, with its status") {
  auto& counts = shared_counts::make();
  keeper_options options;
  options.max_restarts = 3;
  CHECK(keep(counts, std::vector(10, 1), options) == 1);
  CHECK(counts.starts == 4);
  CHECK(counts.gave_up == 1);
}

TEST_CASE("failures that are far apart are forgiven") {
  auto& counts = shared_counts::make();
  keeper_options options;
  options.max_restarts = 1;
  options.window = 0ms;
  CHECK(keep(counts, {1, 1, 1, 1, 0}, options) == 0);
  CHECK(counts.starts == 5);
}

TEST_CASE("what a restart does not mend is not tried again") {
  auto& counts = shared_counts::make();
  CHECK(keep(counts, {3, 0}) == 3);
  CHECK(counts.starts == 1);
}

TEST_CASE("a keeper that is told to end hands it to its program and ends with it") {
  auto& counts = shared_counts::make();
  const auto keeper = in_child([&] {
    return keep_running({}, [&]() -> int {
      sigset_t ending;
      sigemptyset(&ending);
      sigaddset(&ending, SIGTERM);
      sigprocmask(SIG_BLOCK, &ending, nullptr);
      counts.program = ::getpid();
      int got = 0;
      sigwait(&ending, &got);
      ::_exit(7); // a failure, were it not asked for
    });
  });
  while (counts.program == 0)
    ::usleep(1000);
  ::kill(keeper, SIGTERM);
  CHECK(status_of(keeper) == 7);
}

TEST_CASE("a keeper that is killed takes its program along") {
  auto& counts = shared_counts::make();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto keeper = in_child([&] {
    ::close(ends[0]);
    return keep_running({}, [&]() -> int {
      counts.program = ::getpid();
      for (;;)
        ::pause();
    });
  });
  ::close(ends[1]);
  while (counts.program == 0)
    ::usleep(1000);
  ::kill(keeper, SIGKILL);
  CHECK(status_of(keeper) == 128 + SIGKILL);
  char nothing = 0;
  CHECK(::read(ends[0], &nothing, 1) == 0); // nobody holds the other end any more
  ::close(ends[0]);
}

} // namespace glocal
