#pragma once
// One node, composed: everything a glocald is made of is constructed, wired and ended here, and nowhere else.
//
// Order of construction, and the reverse at the end: actor system → transport → store client and roles under one
// supervision tree → HTTP API. The tree:
//
//   node (rest for one)
//   ├─ client               the store, as this node's actors see it
//   ├─ store role           actors/store
//   ├─ cache                of the edge's reads
//   ├─ edge/N (one for one) switch agent, controller, VNF host, then service modules and monitors as they come
//   └─ mano
//
// Threading: constructed, waited for and destroyed by one thread.

#include "base/expected.hpp"
#include "node/config.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace glocal::node {

struct daemon_options {
  /// For the socket (NAME.sock), the store's data and the records of what the VNF driver made.
  std::filesystem::path run_dir;
  /// In place of the cluster file's `security.certificates`; empty: that.
  std::filesystem::path certificates = {};
};

class daemon {
public:
  /// Starts the node `name` of `config`. @param on_failure called once, on any thread, when the supervision tree has
  /// given up: the process should end with a failure. @error text for the operator: what could not be started and why.
  /// REQUIRES: `config` outlives the daemon; `name` is one of its nodes.
  [[nodiscard]] static expected<std::unique_ptr<daemon>, std::string>
  start(const cluster_config& config, const std::string& name, const daemon_options& options,
        std::function<void(std::string)> on_failure);

  /// Stops actors, lcore and VNF instances of this node, in this order.
  ~daemon();
  daemon(const daemon&) = delete;
  daemon& operator=(const daemon&) = delete;

private:
  struct parts;
  explicit daemon(std::unique_ptr<parts> made);

  std::unique_ptr<parts> parts_;
};

} // namespace glocal::node
