#include "node/launcher/local_etcd.hpp"

namespace glocal::node {
namespace {

std::string url(const node_config& host, std::uint16_t port) {
  return "http://" + to_string(endpoint{host.control.address, port});
}

} // namespace

std::vector<std::string> etcd_command(const cluster_config& config, const node_config& host,
                                      const std::filesystem::path& directory) {
  std::string members;
  for (const auto* each : config.etcd_hosts())
    members += (members.empty() ? "" : ",") + each->name + "=" + url(*each, etcd_peer_port);
  const auto clients = url(host, etcd_client_port), peers = url(host, etcd_peer_port);
  return {std::string{etcd_program}, "--name", host.name, "--data-dir", (directory / (host.name + ".etcd")).string(),
          "--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
          "--initial-advertise-peer-urls", peers, "--initial-cluster", members, "--initial-cluster-token", config.name,
          // The register is small, and its history of no use; a store's is what watches go on from.
          "--auto-compaction-mode", "revision", "--auto-compaction-retention",
          config.store.backend == store_backend::etcd ? "100000" : "10000", "--logger", "zap", "--log-outputs",
          "stderr"};
}

std::vector<std::string> etcd_health_command(const node_config& host) {
  return {std::string{health_program},
          "--silent",
          "--noproxy",
          "*",
          "--max-time",
          "1",
          url(host, etcd_client_port) + "/health"};
}

bool says_healthy(const std::string& answer) {
  return answer.find(R"("health":"true")") != std::string::npos;
}

} // namespace glocal::node
