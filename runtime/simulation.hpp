#pragma once
// An actor system that runs only when told to, in virtual time: for tests of everything that is an actor.
//
//   runtime::simulation sim;
//   auto a = sim.node("a"), b = sim.node("b");           // two nodes on an in-memory network
//   auto echo = sim.own(sim.system().spawn<echo_actor>());
//   b.directory->add("echo", echo);
//   auto answer = sim.ask(a, {"b", "echo"}, message);
//   sim.run();                                           // until nobody has anything to do
//   sim.advance(500ms);                                  // time-outs and delayed messages of that span, in order
//   REQUIRE(answer->reply);
//
// Not for detached actors or sockets. Threading: one thread.

#include "runtime/in_memory_network.hpp"
#include "runtime/system.hpp"

#include <caf/actor_clock.hpp>
#include <caf/actor_system.hpp>
#include <caf/error.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace caf::scheduler {
class test_coordinator;
}

namespace glocal::runtime {

/// What came of a request; both empty while it is outstanding.
struct outcome {
  std::optional<wire_message> reply;
  std::optional<caf::error> error;
};

class simulation {
public:
  /// @param seed with one, the next actor to run is drawn at random; else actors run in the order they were woken.
  explicit simulation(std::optional<std::uint64_t> seed = std::nullopt);
  /// Kills all actors it owns.
  ~simulation();
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;

  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }
  [[nodiscard]] glocal::runtime::observatory& observatory() const noexcept { return config_.observatory(); }
  [[nodiscard]] in_memory_network& network() noexcept { return network_; }

  /// A router and a directory for a node called `name`.
  [[nodiscard]] transport node(const std::string& name, const transport_limits& limits = {},
                               const std::string& cluster = "test");
  /// Keeps `actor` alive until the simulation ends, and ends it then.
  caf::actor own(caf::actor actor);

  /// Sends a request from an actor of its own.
  [[nodiscard]] std::shared_ptr<outcome> ask(const transport& from, const address& to, const wire_message& message,
                                             std::chrono::milliseconds timeout = default_timeout);
  void tell(const transport& from, const address& to, const wire_message& message);

  /// Handles one message of one actor; false when there is none.
  bool step();
  /// Until no actor has a message; time stands still. @return messages handled, at most `limit`.
  std::size_t run(std::size_t limit = 1'000'000);
  [[nodiscard]] caf::actor_clock::time_point now() const noexcept;
  /// Lets `span` pass: what falls due happens in its order, each followed by run().
  void advance(std::chrono::milliseconds span);

private:
  system_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  std::optional<std::mt19937_64> random_;
  in_memory_network network_;
  std::vector<caf::actor> owned_;
};

} // namespace glocal::runtime
