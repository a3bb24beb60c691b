#pragma once
// What is recorded of a cluster that runs on this machine, and where: RUN/CLUSTER/state.json.
//
//   RUN           $GLOCAL_RUN_DIR, else /tmp/glocal-UID; ours, 0700
//   RUN/CLUSTER   state.json · NODE.sock (control API) · NODE.log · tls/ (certificates) · NODE.etcd and NODE.etcd.log
//                 (the local etcd) · what the nodes keep
//
// Invariants: a holder is recorded before it does anything, with its start time and the boot it belongs to, so a
// recycled pid is never taken for it. Whoever changes a cluster holds the lock on its directory. A run directory that
// is not ours, or lets others in, is refused.

#include "base/expected.hpp"
#include "node/launcher/sandbox.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace glocal::node {

enum class cluster_phase {
  /// `up` works on it, or died doing so.
  starting,
  running,
  /// `down` works on it, or died doing so.
  stopping,
};

struct cluster_state {
  std::string cluster;
  /// Absolute path of the cluster file.
  std::filesystem::path config;
  cluster_phase phase = cluster_phase::starting;
  std::vector<std::string> nodes;
  /// What a command can run in: name in the cluster file (node, router, host, VNF instance) to namespace in the
  /// sandbox.
  std::map<std::string, std::string> places;
  std::optional<process_identity> holder;
  bool user_namespace = false;

  [[nodiscard]] std::optional<sandbox> place() const {
    return holder ? std::optional{sandbox{*holder, user_namespace}} : std::nullopt;
  }
  /// Whether the sandbox is there: false after a crash or reboot.
  [[nodiscard]] bool alive() const { return holder && node::alive(*holder); }
};

[[nodiscard]] std::string_view to_string(cluster_phase phase) noexcept;

/// RUN. Pure: nothing is made or checked.
[[nodiscard]] std::filesystem::path default_run_directory();

/// Makes `run` (and parents of a path from the environment are expected to be there) and checks that it is a directory
/// of ours that nobody else may enter. @error what is wrong, for people.
[[nodiscard]] expected<void, std::string> ensure_private_directory(const std::filesystem::path& run);

/// Nothing when there is no state, or none that can be read.
[[nodiscard]] std::optional<cluster_state> read_state(const std::filesystem::path& directory);
/// Atomic. @error for people.
[[nodiscard]] expected<void, std::string> write_state(const std::filesystem::path& directory,
                                                      const cluster_state& state);

/// Clusters there is a state of, dead ones too, by name.
[[nodiscard]] std::vector<cluster_state> recorded_clusters(const std::filesystem::path& run);

/// The control socket of a node. At most 107 characters (sockaddr_un), which `up` checks.
[[nodiscard]] std::filesystem::path socket_path(const std::filesystem::path& directory, std::string_view node);
[[nodiscard]] std::filesystem::path log_path(const std::filesystem::path& directory, std::string_view node);

/// Exclusive use of a cluster's directory; released when it goes, also by a crash.
class cluster_lock {
public:
  /// Nothing when another process holds it, or the directory is gone.
  [[nodiscard]] static std::optional<cluster_lock> try_take(const std::filesystem::path& directory);

  cluster_lock(cluster_lock&& other) noexcept;
  cluster_lock& operator=(cluster_lock&&) = delete;
  ~cluster_lock();

private:
  explicit cluster_lock(int fd) : fd_{fd} {}
  int fd_;
};

} // namespace glocal::node
