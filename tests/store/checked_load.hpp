#pragma once
// Clients of a real store that write down what they did and saw, for tests/sim's checker of linearizability.
//
// Each client has one operation under way on a key of a few; values are numbers, each written at most once.
// Threading: clients run in an actor of their own; the results are read when it has ended.

#include "actors/store/actor_store.hpp"
#include "runtime/observed.hpp"
#include "tests/sim/history.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace glocal::test {

/// What clients did, by key.
struct load_history {
  std::map<std::string, std::vector<sim::operation>> operations;
  /// Read by others while it runs.
  std::atomic<std::size_t> acknowledged{0};
  /// Notified after each that is acknowledged, which is counted under the mutex.
  std::condition_variable progressed;
  std::mutex mutex;
  std::size_t unknown = 0, refused = 0;
  /// The longest time in which no operation of any client was acknowledged.
  std::chrono::milliseconds longest_gap{};
};

class checked_load final : public runtime::observed_actor {
public:
  struct options {
    /// Operations on a key before a fresh one takes its place: the search for an order grows with them.
    std::size_t clients = 8, keys = 6, operations_per_key = 150;
    std::uint64_t seed = 1;
    /// Of one operation.
    std::chrono::milliseconds deadline{8000};
  };

  /// Runs until it is sent tick_atom; then reads every key once more, and ends.
  checked_load(caf::actor_config& config, caf::actor client, const options& how, std::shared_ptr<load_history> out);

  caf::behavior make_behavior() override;

private:
  struct remembered {
    sim::value_id value = 0;
    store::revision version = 0;
  };

  void go_on(std::uint32_t client);
  void read_back();
  [[nodiscard]] sim::duration now() const;
  void answered(std::uint32_t client, const std::string& key, sim::operation done,
                const expected<store::op_result, store::store_error>& result);

  const options options_;
  actors::actor_store store_;
  const std::shared_ptr<load_history> out_;
  std::mt19937_64 random_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  sim::duration last_acknowledged_{};
  /// What somebody saw last of each key, to compare and set.
  std::map<std::string, remembered> seen_;
  sim::value_id next_value_ = 1;
  /// Per place of a key: which one it is now, and operations on it.
  std::vector<std::pair<std::size_t, std::size_t>> current_;
  std::size_t under_way_ = 0;
  bool ending_ = false;
};

} // namespace glocal::test
