#pragma once
// How an actor system of glocal is set up and stopped.
//
// Threading: constructed and stopped by one thread (main or a test).

#include "runtime/observatory.hpp"

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace glocal::runtime {

struct system_options {
  /// Name of the node, in every record.
  std::string node;
  /// Actors are cooperative and short; what blocks is a detached actor and has its own thread.
  std::size_t worker_threads = 2;
  /// Messages an actor handles before the next one has its turn. Unlimited would let an actor that sends to itself
  /// starve all others of its worker.
  std::size_t max_throughput = 100;
  /// caf::scheduler::test_coordinator instead of threads: one message at a time, virtual time.
  bool deterministic = false;
};

/// The configuration every actor system here is made of; owns the observatory of its actors.
/// Must outlive the actor system: `system_config config{options}; caf::actor_system system{config};`
class system_config : public caf::actor_system_config {
public:
  explicit system_config(const system_options& options);

  [[nodiscard]] glocal::runtime::observatory& observatory() const noexcept { return *observatory_; }

private:
  std::unique_ptr<glocal::runtime::observatory> observatory_;
};

/// Asks `actor` to shut down and waits for its end. False when it did not end in time; the actor system's destructor
/// would then wait for ever, so main exits without it. Not from within an actor.
[[nodiscard]] bool stop_and_wait(caf::actor_system& system, const caf::actor& actor,
                                 std::chrono::milliseconds patience);

/// Waits until `actor` ends by itself; its exit reason, or nothing when `patience` is over first.
/// main() watches the top supervisor with it: an end nobody asked for makes the process exit non-zero.
[[nodiscard]] std::unique_ptr<caf::error> wait_for_end(caf::actor_system& system, const caf::actor& actor,
                                                       std::chrono::milliseconds patience);

} // namespace glocal::runtime
