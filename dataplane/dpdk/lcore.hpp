#pragma once
// A thread that runs one edge_switch over DPDK ports, and the southbound border to program it.
//
// The loop: commands; rx burst → process → tx burst, for each port; then time. When nothing happened it blocks in
// epoll on the ports' descriptors, an eventfd for commands, and the switch's next deadline, so an idle edge costs
// nothing; a port without a descriptor is looked at every `blind_poll_interval`. `polling::busy` never blocks.
//
// Ports are opened and closed on the agent's thread, because that takes milliseconds and allocates; the lcore is only
// told of them. A closed port is given back by the lcore first.
//
// Threading: construct, destroy and the southbound half on the agent's thread (one at a time); statistics on any.

#include "dataplane/dpdk/eal.hpp"
#include "dataplane/switch/lcore_channel.hpp"
#include "dataplane/switch/switch_config.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace glocal::dataplane {

enum class polling : std::uint8_t { adaptive, busy };

struct lcore_config {
  /// Thread name, and part of DPDK's names.
  std::string name = "lcore0";
  polling poll = polling::adaptive;
  switch_config tables;
  lcore_channel::sizes rings;
  /// Packet buffers: what may be held (2,048 with the defaults of switch_config), and a burst per port on its way. DPDK
  /// wastes least at a power of two less one; 2.4 KB each.
  unsigned buffers = 4095;
};

enum class lcore_error {
  /// Not enough memory for the packet buffers: eal_config::memory_mb is too small.
  no_buffers,
  /// The kernel or DPDK has no descriptor or thread slot left.
  no_resources
};

/// What the loop does with its time.
struct lcore_activity {
  counter rounds, blocks;
};

class lcore final : public southbound {
public:
  /// Starts the thread. @param environment outlives the lcore. @param wake_agent as of lcore_channel.
  [[nodiscard]] static expected<std::unique_ptr<lcore>, lcore_error> start(eal& environment, const lcore_config& config,
                                                                           std::function<void()> wake_agent);
  lcore(const lcore&) = delete;
  lcore& operator=(const lcore&) = delete;
  /// Stops the thread, gives back what is held, closes the ports.
  ~lcore() override;

  /// As of southbound. add_port opens `device` (see port.hpp) before it returns; `busy` also while a port of this id is
  /// still closing. For a port that is there it changes the description, but not the device. An all-zero MAC address
  /// becomes the device's.
  [[nodiscard]] expected<void, submit_error> submit(command&& order) override;
  [[nodiscard]] std::size_t poll(std::span<event> out) override;
  [[nodiscard]] std::size_t poll_traces(std::span<trace_record> out) override;
  void arm() override;
  [[nodiscard]] bool empty() const override;
  [[nodiscard]] const counters& statistics() const override;
  [[nodiscard]] const lcore_activity& activity() const;
  /// Whether the flows of a flow file were taken over at the start, or why not.
  [[nodiscard]] cold_start cold() const;

private:
  class loop;
  class ports;

  lcore();
  [[nodiscard]] expected<void, submit_error> submit_port(command&& order);

  std::unique_ptr<lcore_channel> channel_;
  std::unique_ptr<ports> ports_;
  std::unique_ptr<loop> loop_;
  std::thread thread_;
};

} // namespace glocal::dataplane
