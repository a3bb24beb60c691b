#pragma once
// The transport within one process, for simulation and tests: the same rules as TCP, without sockets.
//
// Frames are encoded and decoded as on a socket, so what works here works there. Connections are instantaneous and
// per pair of nodes; each direction is first in, first out, also when delayed. Routers take what comes from peers, so
// that the scheduler's seed decides in which order connections are served. Under the deterministic scheduler a run
// is a function of the seed: no clock and no random source but the actor system's virtual time and the fault plan.
// Threading: thread-safe; fault plans are called from the senders' threads, one call at a time.

#include "runtime/transport.hpp"

#include <caf/actor_system.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace glocal::runtime {

/// A message about to cross the network. What the two ends of a connection say to each other is not subject to faults.
struct frame_event {
  std::string from, to;
  /// Kind of the message; reply says whether it answers a request.
  std::uint16_t kind = 0;
  bool reply = false;
  std::size_t bytes = 0;
};

struct frame_verdict {
  bool drop = false;
  /// Later frames of the same direction wait behind it, as on a TCP connection.
  std::chrono::milliseconds delay{0};
  /// It arrives twice.
  bool duplicate = false;
};

/// Decides about each frame; deterministic plans make deterministic runs.
using fault_plan = std::function<frame_verdict(const frame_event&)>;

class in_memory_network {
public:
  in_memory_network();
  ~in_memory_network();
  in_memory_network(const in_memory_network&) = delete;
  in_memory_network& operator=(const in_memory_network&) = delete;

  /// The router of one more node. Nodes reach each other as soon as both are here and of one cluster.
  [[nodiscard]] transport spawn_router(caf::actor_system& system, const transport_identity& self,
                                       std::shared_ptr<directory> actors, const transport_limits& limits = {});

  void set_faults(fault_plan plan);
  /// Breaks the connection of the two: outstanding requests fail, frames in flight are lost. They may connect again.
  void disconnect(const std::string& a, const std::string& b);
  /// Nodes in different groups can't reach each other until `heal`; a node in no group reaches all.
  void partition(const std::vector<std::vector<std::string>>& groups);
  void heal();

  /// Shared by the routers; they know how to use it.
  struct state;

private:
  std::shared_ptr<state> state_;
};

} // namespace glocal::runtime
