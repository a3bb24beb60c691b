#pragma once
// A cluster of store nodes as real processes: glocald programs on loopback addresses, and in this process another node
// of the cluster, which is their client.
//
// Threading: one thread.

#include "runtime/system.hpp"
#include "runtime/transport.hpp"
#include "store/hash_ring.hpp"
#include "tests/store/link_relays.hpp"
#include "tests/support/child_process.hpp"

#include <caf/actor_system.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace glocal::test {

struct store_processes_options {
  /// glocald.
  std::string program;
  std::size_t nodes = 3;
  std::size_t slots = 16;
  /// Endpoints of an etcd that has the register; none: embedded at the first node.
  std::vector<std::string> etcd{};
  /// Links between nodes lead over relays, and can be cut.
  bool relays = false;
};

class store_processes {
public:
  /// Starts all nodes, with their data in a temporary directory that goes with this.
  explicit store_processes(store_processes_options options);
  ~store_processes();
  store_processes(const store_processes&) = delete;
  store_processes& operator=(const store_processes&) = delete;

  /// Until each slot has a primary and all its copies, as the nodes say. Throws std::runtime_error when that takes
  /// longer.
  void await_whole(std::chrono::seconds patience) const;

  [[nodiscard]] std::size_t size() const noexcept { return options_.nodes; }
  /// SIGKILL, and what the node was is gone.
  void kill(std::size_t node);
  void start(std::size_t node);
  /// Removes all that a node has on disk. REQUIRES: it was killed.
  void wipe(std::size_t node) const;
  /// No packet passes between the two. REQUIRES: options.relays.
  void cut_link(std::size_t one, std::size_t other) { relays_->cut(one, other); }
  /// None of all others'.
  void isolate(std::size_t node);
  void mend_links() { relays_->mend_all(); }
  [[nodiscard]] const child_process& at(std::size_t node) const { return *processes_.at(node); }
  /// Slots whose primary it is; none when it does not answer.
  [[nodiscard]] std::size_t primaries(std::size_t node) const;
  /// Slots that have to move yet, as the node says.
  [[nodiscard]] std::size_t to_move(std::size_t node) const;
  /// POST to /api/v1/store/ of the node; the status of its answer, 0 when there is none.
  int post(std::size_t node, const std::string& what, const std::string& body) const;
  /// Until `node` is primary of so many slots, and no slot has to move.
  void await_share(std::size_t node, std::size_t slots, std::chrono::seconds patience) const;
  [[nodiscard]] std::filesystem::path log_of(std::size_t node) const;

  /// This process's node, and its actor_store's client.
  [[nodiscard]] caf::actor_system& system() noexcept { return *system_; }
  [[nodiscard]] const caf::actor& client() const noexcept { return client_; }
  [[nodiscard]] const runtime::transport& transport() const noexcept { return transport_; }
  [[nodiscard]] const store::hash_ring& ring() const noexcept { return *ring_; }

private:
  [[nodiscard]] std::string name(std::size_t node) const { return "s" + std::to_string(node + 1); }
  [[nodiscard]] std::size_t number(std::size_t node, const std::string& key,
                                   const std::string& kind = "store node") const;
  [[nodiscard]] std::filesystem::path config_of(std::size_t node) const;
  void write_config(std::size_t reader, const std::vector<std::uint16_t>& ports);
  void await(std::chrono::seconds patience, const std::function<std::string()>& missing) const;
  [[nodiscard]] std::string last_words() const;
  void start_client(const std::vector<std::uint16_t>& ports);

  const store_processes_options options_;
  std::filesystem::path directory_;
  std::unique_ptr<link_relays> relays_;
  std::vector<std::unique_ptr<child_process>> processes_;
  std::unique_ptr<runtime::system_config> system_options_;
  std::unique_ptr<caf::actor_system> system_;
  std::shared_ptr<const store::hash_ring> ring_;
  runtime::transport transport_;
  caf::actor client_;
};

} // namespace glocal::test
