#include "dataplane/switch/testing/bench.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// What an eventfd is to the lcore and a message to the agent: counted, waited for.
class bell {
public:
  void ring() {
    rung_.fetch_add(1);
    rung_.notify_one();
  }
  /// Returns once it has rung since the last return. A wake-up that is lost hangs here, and the test's time-out tells.
  void wait() {
    rung_.wait(heard_);
    heard_ = rung_.load();
  }

private:
  std::atomic<int> rung_{0};
  int heard_ = 0;
};

} // namespace

TEST_CASE("agent and switch on two threads lose no command, no packet-in and no wake-up") {
  constexpr std::uint16_t total = 2000;
  constexpr std::uint64_t most_outstanding = 4;
  bell for_agent, for_switch;
  lcore_channel channel{{.commands = 8, .events = 8}, [&] { for_agent.ring(); }, [&] { for_switch.ring(); }};
  std::atomic<bool> configured{false}, stopping{false};

  std::thread switch_thread{[&] {
    recording_sink sink;
    edge_switch edge{bench::small(), channel};
    const auto& counts = channel.statistics();
    std::uint64_t now = 1;
    for (std::uint16_t next = 1; !stopping;) {
      const bool may_start = configured; // read first: then all of the configuration is in the ring
      bool worked = edge.execute_commands(++now, sink);
      const auto outstanding = counts.packet_ins.value() - counts.flows_installed.value();
      if (may_start && next <= total && outstanding < most_outstanding) {
        const auto frame =
            sink.make(packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(next++, 80, tcp_flag::syn).build(), 0);
        edge.process_burst({&frame, 1}, ++now, sink);
        worked = true;
      }
      if (!worked) {
        channel.arm_commands();
        if (!channel.has_commands() && !stopping)
          for_switch.wait();
      }
    }
    edge.shut_down(sink);
    (void)sink.take_sent();
  }};

  const auto submit = [&](command order) {
    while (!channel.submit(std::move(order))) // NOLINT(bugprone-use-after-move): untouched while it is refused
      std::this_thread::yield();
  };
  submit(add_port{attachment(0, "10.1.0.1/16")});
  submit(add_port{underlay(1, "192.0.1.1/24", "192.0.1.254")});
  submit(set_classifier{http_service()});
  submit(
      set_mappings{eid_table::make({local_route("10.1.0.0/16", 0), remote_route("0.0.0.0/0", "192.0.2.1")}).value()});
  submit(set_path{{100, {remote_hop("192.0.2.1")}}});
  configured = true;
  for_switch.ring();
  for (std::uint16_t answered = 0; answered < total;) {
    std::array<event, 4> news;
    const auto count = channel.poll(news);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& asked = std::get<packet_in>(news[i]);
      REQUIRE(asked.tuple.source_port == ++answered);
      submit(install_flow{.forward = asked.tuple, .path = 100, .hold = asked.hold});
      submit(remove_flow{0, asked.tuple});
      // A table that is replaced while the switch looks things up in it.
      submit(set_mappings{
          eid_table::make({local_route("10.1.0.0/16", 0), remote_route("0.0.0.0/0", "192.0.2.1")}).value()});
    }
    if (count == 0) {
      channel.arm();
      if (channel.empty() && answered < total)
        for_agent.wait();
    }
  }
  stopping = true;
  for_switch.ring();
  switch_thread.join();
  CHECK(channel.statistics().packet_ins.value() == total);
  CHECK(channel.statistics().events_lost.value() == 0);
}
