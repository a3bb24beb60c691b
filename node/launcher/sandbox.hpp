#pragma once
// The place a cluster on one machine lives in: mount, network and PID namespaces of its own, and a user namespace when
// the caller may not make them otherwise. A holder process, the sandbox's init, keeps them; when it dies the kernel
// takes down every process, interface, namespace and mount inside. So there is one thing to own and to remove.
//
// Inside: /run is a tmpfs of its own (`ip netns` keeps its names in /run/netns), /proc shows the sandbox's processes.
// The rest of the file system is the machine's.
// Threading: `create` forks and so wants a single-threaded caller; the rest is a value.

#include "base/expected.hpp"
#include "node/process.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

class sandbox {
public:
  /// The holder is known but has not done anything yet: the place to record it. False calls the creation off.
  using recorder = std::function<bool(const sandbox& made)>;

  /// @param kept directory that must stay visible inside even if it lies below /run. @error what failed, for people.
  [[nodiscard]] static expected<sandbox, std::string> create(const std::filesystem::path& kept, const recorder& record);

  /// The sandbox an earlier `create` made, from what its recorder wrote down.
  sandbox(process_identity holder, bool user_namespace) : holder_{holder}, user_namespace_{user_namespace} {}

  [[nodiscard]] const process_identity& holder() const noexcept { return holder_; }
  [[nodiscard]] bool has_user_namespace() const noexcept { return user_namespace_; }
  [[nodiscard]] bool exists() const { return alive(holder_); }

  /// `argv` as a command line that runs inside: in the named network namespace, or the sandbox's own for "".
  /// REQUIRES: exists().
  [[nodiscard]] std::vector<std::string> enter(const std::vector<std::string>& argv,
                                               std::string_view network_namespace = {},
                                               const std::filesystem::path& working_directory = "/") const;

  /// Asks all processes inside to end, waits for them up to `grace`, then has the kernel kill what is left.
  /// False when the holder could not be killed. Nothing happens when it is gone already.
  [[nodiscard]] bool destroy(std::chrono::milliseconds grace) const;

private:
  process_identity holder_;
  bool user_namespace_ = false;
};

} // namespace glocal::node
