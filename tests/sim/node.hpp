#pragma once
// A store node: drives one replica as the shard actor will, over the simulated clock, disk, network and register.

#include "store/replica.hpp"
#include "tests/sim/checks.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/sim_disk.hpp"
#include "tests/sim/sim_register.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>

namespace glocal::sim {

/// Nothing came in time.
struct unanswered {};
struct refused {
  store::store_error why{};
};
struct redirected {
  std::optional<store::node_name> primary;
};
using results = std::vector<store::op_result>;
/// What a client hears from a node.
using answer = std::variant<unanswered, results, refused, redirected>;

/// What all nodes of a run share.
struct surroundings {
  scheduler& time;
  dice& rolls;
  network& net;
  sim_register& config;
  checks& must;
  store::replica_options options;
  std::function<void(const std::string&)> log;
  /// Brings a message to a node by its name.
  std::function<void(std::size_t from, const store::replica_message&)> post;
  std::function<std::size_t(const store::log_position&)> durable_copies;
  std::function<void(store::lease_id)> lease_expired;
};

class node {
public:
  using answer_callback = std::function<void(answer)>;
  using records_callback = std::function<void(const std::vector<store::watch_record>&)>;

  node(surroundings& world, std::size_t number);

  void start();
  /// kill -9 and loss of power: the disk keeps what a crash leaves.
  void crash();
  void pause() { paused_ = true; }
  void resume();
  void wipe();
  void place(store::placement_event where);

  void receive(const store::replica_message& message);
  void hear_of(const store::register_value& value);
  /// `asked` is a batch_event, renew_leases_event or scan_event; its request id is chosen here.
  void ask(store::replica_event asked, answer_callback done);
  void subscribe(store::subscription_id id, store::table of, std::string prefix, std::optional<store::revision> from,
                 records_callback records);
  void unsubscribe(store::subscription_id id);

  [[nodiscard]] const store::node_name& name() const noexcept { return name_; }
  [[nodiscard]] bool up() const noexcept { return process_ != nullptr; }
  [[nodiscard]] bool paused() const noexcept { return paused_; }
  [[nodiscard]] sim_disk& disk() noexcept { return disk_; }
  [[nodiscard]] const store::replica* current() const noexcept { return process_.get(); }
  void jump(duration by) { offset_ += by; }

private:
  void feed(store::replica_event event);
  void step(store::replica_event event);
  void carry_out(store::replica_action& action);
  void write(sim_disk::write what, std::function<store::replica_event()> then);
  void tick();
  void flush_later();
  [[nodiscard]] store::timestamp clock() const;
  /// Runs `what` unless the process that asked for it is gone.
  template <class What>
  auto if_alive(What what) {
    return [this, life = life_, what = std::move(what)](auto&&... args) {
      if (life == life_)
        what(std::forward<decltype(args)>(args)...);
    };
  }

  surroundings& world_;
  const std::size_t number_;
  const store::node_name name_;
  sim_disk disk_;
  double rate_;
  duration offset_;
  store::placement_event placement_;
  store::replica_options options_;

  std::unique_ptr<store::replica> process_;
  std::uint64_t life_ = 0;
  bool paused_ = false;
  std::deque<std::function<void()>> backlog_;
  store::request_id next_request_ = 1;
  struct question {
    answer_callback done;
    bool writes = false;
  };
  std::map<store::request_id, question> asked_;
  std::map<store::subscription_id, records_callback> watchers_;
  store::log_position last_applied_;
};

} // namespace glocal::sim
