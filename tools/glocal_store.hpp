#pragma once
// The commands that read and change the global state itself. They use the nodes' HTTP API (docs/store-api.md), any node
// that answers.

#include "node/launcher/cluster_state.hpp"
#include "tools/glocal_commands.hpp"
#include "tools/store_health.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace glocal::cli {

struct store_options {
  std::string cluster;
  /// Only this one is asked; empty: any.
  std::string node;
  output format = output::table;
  double timeout_s = 5;
  std::string table;
  /// Keys and values are base64, as arguments and as they are shown.
  bool base64 = false;
};

int store_get(const store_options& options, const std::string& key, bool raw);
struct store_put_options {
  std::string key;
  /// `-`: standard input.
  std::string value;
  bool if_absent = false;
  std::optional<std::uint64_t> if_revision;
};
int store_put(const store_options& options, const store_put_options& what);
int store_erase(const store_options& options, const std::string& key, std::optional<std::uint64_t> if_revision);
struct store_scan_options {
  std::string prefix;
  /// 0: all.
  std::size_t limit = 0;
  bool only_keys = false;
};
int store_scan(const store_options& options, const store_scan_options& what);
struct store_watch_options {
  /// Empty: all with `prefix`.
  std::string key, prefix;
  /// An id of an earlier watch; empty: from the rows there are.
  std::string from;
  /// Changes, and seconds; 0: without end.
  std::size_t count = 0;
  double seconds = 0;
};
int store_watch(const store_options& options, const store_watch_options& what);

struct store_status_options {
  view_options view;
  /// Only slots that something is wrong with.
  bool only_wrong = false;
};
int store_status(const store_status_options& options);

/// What its store nodes say.
[[nodiscard]] store_health ask_health(const node::cluster_state& state);

struct store_steer_options {
  store_options how;
  /// Returns when every slot is where it should be.
  bool wait = false;
  /// Of drain: which node; the mark is taken off.
  std::string drained;
  bool undo = false;
  /// Of rebalance: says what would move, and moves nothing.
  bool dry_run = false;
};
int store_drain(const store_steer_options& options);
int store_rebalance(const store_steer_options& options);

/// The nodes of a running cluster as one way to its store.
class store_nodes {
public:
  /// Nothing, and the reason printed, when there is no such cluster or node.
  [[nodiscard]] static std::optional<store_nodes> find(const store_options& options, int& code);

  struct reply {
    int status = 0;
    nlohmann::json body;
    /// For people, when there is no status: what became of it.
    std::string failure;
    /// It may have been carried out.
    bool unknown = false;
  };
  /// `GET target`, or POST with `body`: of the first node that has an answer. What may have happened is repeated only
  /// when `is_safe`. Returns when `timeout_s` have passed, or a signal came.
  [[nodiscard]] reply call(const std::string& target, const std::optional<std::string>& body, bool is_safe);

  [[nodiscard]] std::filesystem::path socket() const;
  /// The present node failed: another one is next.
  void next() { at_ = (at_ + 1) % nodes_.size(); }
  [[nodiscard]] const std::string& name() const { return nodes_[at_]; }
  [[nodiscard]] const node::cluster_state& state() const { return state_; }

private:
  store_nodes(node::cluster_state state, std::vector<std::string> nodes, double timeout_s)
      : state_{std::move(state)}, nodes_{std::move(nodes)}, timeout_s_{timeout_s} {}

  node::cluster_state state_;
  std::vector<std::string> nodes_;
  double timeout_s_;
  std::size_t at_ = 0;
};

/// Exit code of an answer that is not 200, its text printed.
[[nodiscard]] int complain_of(const store_nodes::reply& reply);

} // namespace glocal::cli
