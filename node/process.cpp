#include "node/process.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using clock = std::chrono::steady_clock;

/// Owns a descriptor.
class descriptor {
public:
  descriptor() = default;
  explicit descriptor(int fd) : fd_{fd} {}
  descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_ = -1;
};

struct pipe_ends {
  descriptor read, write;
};

pipe_ends make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return {};
  return {descriptor{ends[0]}, descriptor{ends[1]}};
}

/// Standard input as a file: nothing to feed while the child runs, and no SIGPIPE when it does not read.
descriptor input_file(const std::string& text) {
  if (text.empty())
    return descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  descriptor file{::memfd_create("stdin", MFD_CLOEXEC)};
  if (file && (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
               ::lseek(file.get(), 0, SEEK_SET) != 0))
    file.reset();
  return file;
}

/// Reads what is there. False at the end of the stream.
bool drain(int fd, std::string& to) {
  char buffer[16384];
  for (;;) {
    const auto size = ::read(fd, buffer, sizeof buffer);
    if (size > 0)
      to.append(buffer, std::min(static_cast<std::size_t>(size), max_captured_bytes - to.size()));
    else if (size == 0)
      return false;
    else if (errno != EINTR)
      return errno == EAGAIN;
  }
}

int milliseconds_left(clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

struct spawned {
  pid_t pid = -1;
  descriptor output, errors;
};

expected<spawned, process_error> spawn(const command& what) {
  const auto failed = [&](int code, const char* at) {
    return unexpected{
        process_error{process_error::kind::not_started, shown(what.argv) + ": " + at + ": " + std::strerror(code)}};
  };
  if (what.argv.empty())
    return failed(EINVAL, "no program");
  const auto input = input_file(what.input);
  auto output = make_pipe(), errors = make_pipe();
  if (!input || !output.read || !errors.read)
    return failed(errno, "no descriptors");
  descriptor log;
  if (!what.log.empty()) {
    log = descriptor{::open(what.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!log)
      return failed(errno, what.log.c_str());
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, log ? log.get() : output.write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, log ? log.get() : errors.write.get(), 2);
  if (what.inherited >= 0)
    posix_spawn_file_actions_adddup2(&actions, what.inherited, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0); // what a time-out kills; and Ctrl-C is for the caller to handle
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  for (const auto& word : what.argv)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  spawned out;
  const auto code = ::posix_spawnp(&out.pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (code != 0)
    return failed(code, "cannot be started");
  out.output = std::move(output.read);
  out.errors = std::move(errors.read);
  return out;
}

int shell_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

pid_t wait_for(pid_t pid, int& wait_status) {
  pid_t done = -1;
  do
    done = ::waitpid(pid, &wait_status, 0);
  while (done < 0 && errno == EINTR);
  return done;
}

std::string without_last_newlines(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  return text;
}

} // namespace

expected<command_output, process_error> run(const command& what) {
  const auto deadline = clock::now() + what.timeout;
  auto child = spawn(what);
  if (!child)
    return unexpected{child.error()};
  const descriptor exited{static_cast<int>(::syscall(SYS_pidfd_open, child->pid, 0))};
  ::fcntl(child->output.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(child->errors.get(), F_SETFL, O_NONBLOCK);
  command_output out;
  bool running = static_cast<bool>(exited);
  while (running) {
    pollfd watched[3]{{exited.get(), POLLIN, 0}, {child->output.get(), POLLIN, 0}, {child->errors.get(), POLLIN, 0}};
    const auto left = milliseconds_left(deadline);
    const auto ready = ::poll(watched, 3, left);
    if (left == 0 && ready <= 0) {
      ::kill(-child->pid, SIGKILL);
      int ignored = 0;
      wait_for(child->pid, ignored);
      return unexpected{process_error{process_error::kind::timed_out,
                                      shown(what.argv) + ": not done after " + std::to_string(what.timeout.count()) +
                                          " ms" +
                                          (out.errors.empty() ? "" : ": " + without_last_newlines(out.errors))}};
    }
    if (ready < 0)
      continue; // EINTR: the caller's signal handler has noted what matters to it
    if (watched[1].revents != 0 && !drain(child->output.get(), out.output))
      child->output.reset();
    if (watched[2].revents != 0 && !drain(child->errors.get(), out.errors))
      child->errors.reset();
    running = watched[0].revents == 0;
  }
  int wait_status = 0;
  if (wait_for(child->pid, wait_status) < 0)
    return unexpected{process_error{process_error::kind::not_started, shown(what.argv) + ": " + std::strerror(errno)}};
  // Its own children may hold the pipes open for ever: what is in them now is what the command said.
  if (child->output)
    drain(child->output.get(), out.output);
  if (child->errors)
    drain(child->errors.get(), out.errors);
  out.status = shell_status(wait_status);
  return out;
}

expected<std::string, process_error> run_checked(const command& what) {
  auto done = run(what);
  if (!done)
    return unexpected{done.error()};
  if (done->ok())
    return std::move(done->output);
  auto said = without_last_newlines(done->errors.empty() ? done->output : done->errors);
  return unexpected{
      process_error{process_error::kind::failed,
                    shown(what.argv) + ": status " + std::to_string(done->status) + (said.empty() ? "" : ": " + said)}};
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto colon = std::min(rest.find(':'), rest.size());
    if (::access((std::string{rest.substr(0, colon)} + "/" + program).c_str(), X_OK) == 0)
      return true;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return false;
}

std::string shown(const std::vector<std::string>& argv) {
  constexpr std::size_t longest = 400;
  std::string out;
  for (const auto& word : argv) {
    const bool plain = !word.empty() && word.find_first_of(" \t\n'\"\\$&|;<>()*?#~`") == std::string::npos;
    out += (out.empty() ? "" : " ") + (plain ? word : "'" + word + "'");
  }
  if (out.size() > longest)
    out.replace(longest, std::string::npos, "...");
  return out;
}

std::optional<process_identity> identify(pid_t pid) {
  std::ifstream stream{"/proc/" + std::to_string(pid) + "/stat"};
  const std::string line{std::istreambuf_iterator<char>{stream}, {}};
  // The name, field 2, is in brackets and may hold anything, brackets too: fields count from the last one.
  const auto close = line.rfind(')');
  if (close == std::string::npos)
    return std::nullopt;
  std::istringstream fields{line.substr(close + 1)};
  std::string state, skipped;
  process_identity out{pid, 0};
  fields >> state;
  for (int field = 4; field < 22; ++field)
    fields >> skipped;
  if (!(fields >> out.start_time) || state == "Z" || state == "X")
    return std::nullopt;
  return out;
}

} // namespace glocal::node
