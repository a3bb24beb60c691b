#pragma once
// Which cluster a command means.

#include "node/launcher/cluster_state.hpp"
#include "tools/glocal_commands.hpp"

#include <optional>
#include <string>

namespace glocal::cli {

struct found_cluster {
  std::optional<node::cluster_state> state;
  /// Set, and the reason printed, when there is no state.
  exit_code code = done;
};

/// The running cluster of that name, or the only one that runs for "".
[[nodiscard]] found_cluster find_running(const std::string& name);

/// `glocal: message` on standard error.
void complain(const std::string& message);

} // namespace glocal::cli
