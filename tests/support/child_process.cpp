#include "tests/support/child_process.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal::test {
namespace {

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
  for (int i = 0; i < 500; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_)
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
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
