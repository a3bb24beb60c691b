#include "tests/support/child_process.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal::test {
namespace {

/// How long a child that was told to end may take for it.
constexpr std::chrono::milliseconds patience{5000};

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

std::uint64_t status_kib(pid_t pid, const std::string& field) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ':'))
      return std::stoull(line.substr(field.size() + 1));
  return 0;
}

} // namespace

child_process::child_process(const std::string& program, const std::vector<std::string>& arguments) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0)
    fail("pipe");
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0)
    fail("fork");
  if (pid_ == 0) {
    // However the parent ends, nobody is left behind.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  to_child_ = in[1];
  from_child_ = out[0];
}

child_process::~child_process() {
  ::close(to_child_);
  ::close(from_child_);
  resume();
  // Readable when the process has ended.
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  pollfd end{process, POLLIN, 0};
  if (process < 0 || ::poll(&end, 1, static_cast<int>(patience.count())) != 1)
    ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  if (process >= 0)
    ::close(process);
}

std::string child_process::read_line() {
  std::string line;
  for (char c = 0;;) {
    const auto count = ::read(from_child_, &c, 1);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      throw std::runtime_error{"the other process ended"};
    if (c == '\n')
      return line;
    line += c;
  }
}

void child_process::stop() const {
  ::kill(pid_, SIGSTOP);
}

void child_process::resume() const {
  ::kill(pid_, SIGCONT);
}

void child_process::kill() const {
  ::kill(pid_, SIGKILL);
}

void wait_for_parent() {
  char c = 0;
  while (::read(STDIN_FILENO, &c, 1) > 0 || errno == EINTR)
    errno = 0;
}

std::uint64_t resident_bytes(pid_t pid) {
  return status_kib(pid, "VmRSS") * 1024;
}

std::uint64_t peak_resident_bytes(pid_t pid) {
  return status_kib(pid, "VmHWM") * 1024;
}

void forget_peak(pid_t pid) {
  // proc(5), clear_refs: 5 resets the peak to the current value.
  std::ofstream{"/proc/" + std::to_string(pid) + "/clear_refs"} << 5;
}

} // namespace glocal::test
