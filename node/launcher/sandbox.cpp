#include "node/launcher/sandbox.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;

/// What the children say to the creator, one after the other on one pipe.
struct message {
  enum class kind : int { holder, ready, failed } what;
  pid_t holder;
  bool user_namespace;
  int code;
  char at[64];
};

constexpr auto creation_timeout = 10s;
/// How long the holder lets processes end by themselves.
constexpr auto holder_grace = 5s;

void tell(int fd, message what) {
  (void)!::write(fd, &what, sizeof what);
}

[[noreturn]] void fail(int fd, const char* at) {
  message what{message::kind::failed, 0, false, errno, {}};
  std::snprintf(what.at, sizeof what.at, "%s", at);
  tell(fd, what);
  ::_exit(1);
}

bool write_file(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  const bool ok = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return ok;
}

/// Root of a user namespace that maps to the caller (user_namespaces(7)).
bool become_namespace_root(uid_t user, gid_t group) {
  return write_file("/proc/self/setgroups", "deny") &&
         write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1") &&
         write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
}

bool make_directories(const std::string& path) {
  for (auto slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const auto part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST)
      return false;
    if (slash == std::string::npos)
      return true;
  }
}

void mount_all(int said, const std::string& kept) {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    fail(said, "making mounts private");
  // Held across the tmpfs, which hides it when it lies below /run.
  const bool hidden = kept.starts_with("/run/");
  const int directory = hidden ? ::open(kept.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  if (hidden && directory < 0)
    fail(said, kept.c_str());
  if (::mount("glocal", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
    fail(said, "a tmpfs on /run");
  const auto source = "/proc/self/fd/" + std::to_string(directory);
  if (hidden &&
      (!make_directories(kept) || ::mount(source.c_str(), kept.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0))
    fail(said, kept.c_str());
  // Refused where the machine's /proc is partly masked (some containers); the outer one then serves, with outer pids.
  (void)::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
}

/// Init of the sandbox: reaps until it is told to end.
[[noreturn]] void hold() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD})
    sigaddset(&watched, signal);
  ::sigprocmask(SIG_SETMASK, &watched, nullptr);
  for (;;) {
    siginfo_t what;
    if (::sigwaitinfo(&watched, &what) < 0)
      continue;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    if (what.si_signo == SIGTERM)
      break;
  }
  ::kill(-1, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + holder_grace;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto done = ::waitpid(-1, nullptr, WNOHANG);
    if (done < 0 && errno == ECHILD)
      break;
    if (done > 0)
      continue;
    const timespec tick{0, 20'000'000};
    ::sigtimedwait(&watched, nullptr, &tick);
  }
  ::_exit(0); // the kernel kills what is left in the PID namespace
}

[[noreturn]] void be_holder(int said, int go, const std::string& kept) {
  char byte = 0;
  if (::read(go, &byte, 1) != 1)
    ::_exit(0); // the creator died or called it off: nothing was made yet
  ::setsid();
  ::umask(022);
  ::prctl(PR_SET_NAME, "glocal-sandbox");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2})
    ::dup2(null, fd);
  mount_all(said, kept);
  if (::chdir("/") != 0)
    fail(said, "/");
  tell(said, {message::kind::ready, 0, false, 0, {}});
  ::syscall(SYS_close_range, 3u, ~0u, 0u);
  hold();
}

/// Between creator and holder: its PID namespace only takes effect for children. Ends at once.
[[noreturn]] void make_namespaces(int said, int go, const std::string& kept) {
  constexpr int namespaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC;
  const auto user = ::geteuid();
  const auto group = ::getegid();
  bool user_namespace = false;
  if (::unshare(namespaces) != 0) {
    if (errno != EPERM || ::unshare(CLONE_NEWUSER) != 0)
      fail(said, "new namespaces");
    user_namespace = true;
    if (!become_namespace_root(user, group) || ::unshare(namespaces) != 0)
      fail(said, "new namespaces in a user namespace");
  }
  const auto holder = ::fork();
  if (holder < 0)
    fail(said, "fork");
  if (holder == 0)
    be_holder(said, go, kept);
  tell(said, {message::kind::holder, holder, user_namespace, 0, {}});
  ::_exit(0);
}

std::optional<message> hear(int fd) {
  pollfd watched{fd, POLLIN, 0};
  const auto deadline = std::chrono::steady_clock::now() + creation_timeout;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0)
      return std::nullopt;
    const auto ready = ::poll(&watched, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR)
      continue;
    message what;
    if (ready <= 0 || ::read(fd, &what, sizeof what) != static_cast<ssize_t>(sizeof what))
      return std::nullopt;
    return what;
  }
}

std::string reason(const std::optional<message>& what) {
  if (!what)
    return "the sandbox's first process does not answer";
  if (what->what != message::kind::failed)
    return "the sandbox's first process speaks out of turn";
  return std::string{what->at} + ": " + std::strerror(what->code);
}

} // namespace

expected<sandbox, std::string> sandbox::create(const std::filesystem::path& kept, const recorder& record) {
  int said[2], go[2];
  if (::pipe2(said, O_CLOEXEC) != 0)
    return unexpected{std::string{std::strerror(errno)}};
  if (::pipe2(go, O_CLOEXEC) != 0) {
    ::close(said[0]);
    ::close(said[1]);
    return unexpected{std::string{std::strerror(errno)}};
  }
  std::fflush(nullptr);
  const auto middle = ::fork();
  if (middle == 0) {
    ::close(said[0]);
    ::close(go[1]);
    make_namespaces(said[1], go[0], kept.string());
  }
  ::close(said[1]);
  ::close(go[0]);
  const auto finish = [&](auto result) {
    ::close(said[0]);
    if (go[1] >= 0)
      ::close(go[1]);
    return result;
  };
  if (middle < 0)
    return finish(expected<sandbox, std::string>{unexpected{std::string{"fork: "} + std::strerror(errno)}});
  const auto first = hear(said[0]);
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!first || first->what != message::kind::holder)
    return finish(expected<sandbox, std::string>{unexpected{reason(first)}});
  const auto holder = identify(first->holder);
  if (!holder)
    return finish(expected<sandbox, std::string>{unexpected{std::string{"the sandbox's first process is gone"}}});
  sandbox made{*holder, first->user_namespace};
  // Until the byte is written the holder does nothing, and ends when this process does: no moment without an owner.
  if (!record(made))
    return finish(expected<sandbox, std::string>{unexpected{std::string{"could not be recorded"}}});
  if (::write(go[1], "", 1) != 1)
    return finish(expected<sandbox, std::string>{unexpected{std::string{std::strerror(errno)}}});
  const auto second = hear(said[0]);
  if (!second || second->what != message::kind::ready) {
    (void)made.destroy(0ms);
    return finish(expected<sandbox, std::string>{unexpected{reason(second)}});
  }
  return finish(expected<sandbox, std::string>{made});
}

std::vector<std::string> sandbox::enter(const std::vector<std::string>& argv, std::string_view network_namespace,
                                        const std::filesystem::path& working_directory) const {
  std::vector<std::string> out{"nsenter", "--target", std::to_string(holder_.pid),           "--mount", "--net",
                               "--ipc",   "--pid",    "--wdns=" + working_directory.string()};
  if (user_namespace_)
    out.insert(out.end(), {"--user", "--preserve-credentials"});
  out.emplace_back("--");
  if (!network_namespace.empty())
    out.insert(out.end(), {"nsenter", "--net=/run/netns/" + std::string{network_namespace}, "--"});
  out.insert(out.end(), argv.begin(), argv.end());
  return out;
}

bool sandbox::destroy(std::chrono::milliseconds grace) const {
  const auto wait = [&](std::chrono::milliseconds bound) {
    const auto deadline = std::chrono::steady_clock::now() + bound;
    while (exists()) {
      if (std::chrono::steady_clock::now() >= deadline)
        return false;
      std::this_thread::sleep_for(10ms);
    }
    return true;
  };
  if (!exists())
    return true;
  if (grace > 0ms && ::kill(holder_.pid, SIGTERM) == 0 && wait(grace))
    return true;
  if (exists() && ::kill(holder_.pid, SIGKILL) != 0 && errno != ESRCH)
    return false;
  return wait(10s);
}

} // namespace glocal::node
