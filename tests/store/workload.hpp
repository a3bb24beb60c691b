#pragma once
// A checked_load at work on a cluster of processes, and what was wrong about it in the end.
//
// Threading: one thread.

#include "tests/store/checked_load.hpp"
#include "tests/store/store_processes.hpp"

#include <caf/actor.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace glocal::test {

class workload {
public:
  /// Begins.
  workload(store_processes& cluster, const checked_load::options& how);
  ~workload();
  workload(const workload&) = delete;
  workload& operator=(const workload&) = delete;

  /// Operations acknowledged so far.
  [[nodiscard]] std::size_t acknowledged() const noexcept { return history_->acknowledged; }
  /// Until so many more operations were acknowledged. Throws std::runtime_error when that takes longer.
  void await_progress(std::size_t operations, std::chrono::seconds patience) const;

  struct outcome {
    /// Keys whose history no single copy could have answered, each with the shortest beginning that shows it.
    std::vector<std::string> violations;
    std::size_t operations = 0, keys = 0, unknown = 0, refused = 0, undecided = 0;
    std::chrono::milliseconds longest_gap{};
  };
  /// Ends the load, reads every key once more, and looks whether all of it holds together. Throws std::runtime_error
  /// when clients do not end within `patience`.
  [[nodiscard]] outcome end(std::chrono::seconds patience);

private:
  store_processes& cluster_;
  std::shared_ptr<load_history> history_ = std::make_shared<load_history>();
  caf::actor actor_;
};

[[nodiscard]] std::string describe(const workload::outcome& what);

/// The node with the most primaries.
[[nodiscard]] std::size_t busiest(const store_processes& cluster);

} // namespace glocal::test
