#pragma once
// The etcd of clusters whose file says `register: {etcd: local}`: one member beside each of the first three store
// nodes, in its namespace, with its data in the cluster's directory, so that it ends and goes with the cluster.
//
// Pure: which commands, not running them.

#include "node/config.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace glocal::node {

/// REQUIRES: `host` is one of config.etcd_hosts().
[[nodiscard]] std::vector<std::string> etcd_command(const cluster_config& config, const node_config& host,
                                                    const std::filesystem::path& directory);
/// Succeeds, printing what `says_healthy` likes, while the member at `host` sees most of the others.
[[nodiscard]] std::vector<std::string> etcd_health_command(const node_config& host);
[[nodiscard]] bool says_healthy(const std::string& answer);

/// Programs these commands need, and the Debian packages they come with.
inline constexpr std::string_view etcd_program = "etcd", etcd_package = "etcd-server", health_program = "curl";

} // namespace glocal::node
