#pragma once
// A client that reads and writes shared keys, one batch after the other, and writes down what it saw; and an owner that
// keeps an entry on a lease. Both follow the contract of store.hpp: a timeout means unknown.

#include "tests/sim/history.hpp"
#include "tests/sim/node.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::sim {

/// How clients reach nodes.
struct cluster {
  surroundings& world;
  std::vector<std::unique_ptr<node>>& nodes;

  /// `done` runs once with the answer, or with unanswered after `patience`.
  void ask(std::size_t client, std::size_t node, const store::replica_event& what, duration patience,
           std::function<void(const answer&)> done);
  [[nodiscard]] std::optional<std::size_t> find(const store::node_name& name) const;
};

/// What all clients did, by key; "flow" keys start with f and are never erased.
using histories = std::map<std::string, std::vector<operation>>;

class client {
public:
  client(cluster reach, std::size_t number, histories& seen) : reach_{reach}, number_{number}, seen_{seen} {}

  void run();
  /// Stops after the operation under way.
  void stop() { stopped_ = true; }
  /// Reads every key there is, again and again until each was read.
  void read_all();
  [[nodiscard]] bool finished() const noexcept { return to_read_.empty() && !busy_; }
  /// Longest time without an acknowledged write so far.
  [[nodiscard]] duration longest_gap() const noexcept { return longest_gap_; }
  [[nodiscard]] std::size_t acknowledged() const noexcept { return acknowledged_; }

private:
  struct asked {
    std::string key;
    std::size_t place = 0;
  };
  store::operation choose(std::vector<asked>& places);
  void send(store::batch operations, std::vector<asked> places, int attempts);
  void read_next();
  void settle(const std::vector<asked>& places, const results& answers);
  void forget(const std::vector<asked>& places);
  std::size_t note(const std::string& key, operation what);

  cluster reach_;
  std::size_t number_;
  histories& seen_;
  std::map<std::string, store::entry> last_seen_;
  std::vector<std::string> to_read_;
  std::size_t target_ = 0, acknowledged_ = 0;
  duration last_acknowledged_{}, longest_gap_{};
  bool stopped_ = false, busy_ = false;
};

class owner {
public:
  owner(cluster reach, std::size_t number);

  void run();
  void stop() { stopped_ = true; }
  /// Told when the lease's entries were erased for its expiry, anywhere.
  void expired(store::lease_id lease);
  [[nodiscard]] store::lease_id lease() const noexcept { return number_; }

private:
  void put();
  void renew();
  void holds_until(duration sent);
  /// Its own clock, which is wrong by a constant factor.
  [[nodiscard]] duration clock() const;

  cluster reach_;
  std::size_t number_;
  double rate_;
  std::size_t target_ = 0;
  duration valid_until_{};
  bool stopped_ = false;
};

} // namespace glocal::sim
