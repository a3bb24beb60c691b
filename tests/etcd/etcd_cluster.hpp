#pragma once
// Three real etcd processes on free ports of this machine, with data in a directory that goes with them.

#include "tests/support/child_process.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <filesystem>

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::test {

class etcd_cluster {
public:
  explicit etcd_cluster(std::size_t size = 3) {
    char name[] = "/tmp/glocal-etcd-XXXXXX";
    if (::mkdtemp(name) == nullptr)
      throw std::runtime_error{"no temporary directory"};
    directory_ = name;
    const auto ports = free_ports(2 * size);
    std::string members;
    for (std::size_t i = 0; i < size; ++i) {
      endpoints_.push_back("http://127.0.0.1:" + std::to_string(ports[i]));
      members += (i == 0 ? "" : ",") + ("m" + std::to_string(i)) + "=" + peer(ports[size + i]);
    }
    for (std::size_t i = 0; i < size; ++i) {
      const auto own = "m" + std::to_string(i);
      // 100 ms and 1 s are etcd's own; shorter ones elect at random on a machine that is busy.
      processes_.push_back(
          std::make_unique<child_process>("/usr/bin/etcd", std::vector<std::string>{"--name",
                                                                                    own,
                                                                                    "--data-dir",
                                                                                    directory_ / own,
                                                                                    "--listen-client-urls",
                                                                                    endpoints_[i],
                                                                                    "--advertise-client-urls",
                                                                                    endpoints_[i],
                                                                                    "--listen-peer-urls",
                                                                                    peer(ports[size + i]),
                                                                                    "--initial-advertise-peer-urls",
                                                                                    peer(ports[size + i]),
                                                                                    "--initial-cluster",
                                                                                    members,
                                                                                    "--initial-cluster-token",
                                                                                    directory_.string(),
                                                                                    "--logger",
                                                                                    "zap",
                                                                                    "--log-outputs",
                                                                                    directory_ / (own + ".log")}));
    }
  }
  ~etcd_cluster() {
    for (const auto& each : processes_)
      each->kill();
    processes_.clear();
    std::filesystem::remove_all(directory_);
  }
  etcd_cluster(const etcd_cluster&) = delete;
  etcd_cluster& operator=(const etcd_cluster&) = delete;

  [[nodiscard]] const std::vector<std::string>& endpoints() const { return endpoints_; }
  [[nodiscard]] child_process& at(std::size_t i) { return *processes_.at(i); }

private:
  static std::string peer(int port) { return "http://127.0.0.1:" + std::to_string(port); }

  /// All at once, so that they differ.
  static std::vector<int> free_ports(std::size_t count) {
    std::vector<int> sockets, out;
    for (std::size_t i = 0; i < count; ++i) {
      const int sock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      if (sock < 0 || ::bind(sock, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
          ::getsockname(sock, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error{"no free port"};
      sockets.push_back(sock);
      out.push_back(ntohs(address.sin_port));
    }
    for (const int sock : sockets)
      ::close(sock);
    return out;
  }

  std::filesystem::path directory_;
  std::vector<std::string> endpoints_;
  std::vector<std::unique_ptr<child_process>> processes_;
};

} // namespace glocal::test
