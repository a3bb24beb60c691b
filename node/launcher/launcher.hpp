#pragma once
// Clusters on this machine: `up` makes everything a cluster file says inside one sandbox and starts its nodes; `down`
// removes exactly that. Either can die at any moment: what is recorded is enough for the next one to clean up.
//
// Threading: call from one thread of a process that has no others (`up` forks).

#include "base/expected.hpp"
#include "node/config.hpp"
#include "node/launcher/cluster_state.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace glocal::node {

struct launch_error {
  enum class kind {
    /// The run directory is unusable.
    run_directory,
    /// It runs already.
    already_up,
    /// Another glocal works on it right now.
    busy,
    /// The machine refuses namespaces, links or commands.
    host,
    /// A node died or was not ready in time.
    node,
    interrupted,
  } what;
  /// For people; may have several lines.
  std::string message;
};

struct launch_options {
  /// RUN of cluster_state.hpp.
  std::filesystem::path run = default_run_directory();
  /// The glocald program: absolute path.
  std::filesystem::path daemon{};
  /// Bound on all of `up`, or on how long `down` lets nodes end by themselves.
  std::chrono::milliseconds timeout{60'000};
  /// Called with a line per step.
  std::function<void(const std::string&)> progress = [](const std::string&) {};
  /// Asked between steps and while waiting; true undoes what was done and fails with `interrupted`.
  std::function<bool()> interrupted = [] { return false; };
};

/// Starts the cluster, first its etcd if the file wants a local one (local_etcd.hpp), and returns when every node
/// answers that it is ready. A dead or half-made one of the same name is removed first. On any failure nothing is left.
/// Each node is `daemon --config FILE --node NAME --run-dir RUN/CLUSTER`, in the namespace NAME of the sandbox, its
/// output in NAME.log, with `--certificates RUN/CLUSTER/tls` where nodes speak TLS: made here, for this cluster. Ready
/// means `GET /api/v1/status` on NAME.sock answers with `"ready": true`.
/// @param file the file `config` came from.
[[nodiscard]] expected<cluster_state, launch_error> up(const cluster_config& config, const std::filesystem::path& file,
                                                       const launch_options& options);

/// Stops the cluster of that name and removes what `up` made: SIGTERM to the nodes, then the sandbox, then the files.
/// One that died is tidied up the same way. @return false when there was none.
[[nodiscard]] expected<bool, launch_error> down(const std::string& cluster, const launch_options& options);

} // namespace glocal::node
