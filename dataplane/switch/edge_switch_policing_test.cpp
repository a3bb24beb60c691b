// One subscriber's scan does not keep others from being served.

#include "dataplane/switch/testing/edge_bench.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

constexpr port_id second = 4, stranger = 5;

bytes syn(int host_number, std::uint16_t port) {
  const auto source = "10." + std::to_string(host_number) + ".0.7";
  return packet_builder{}.ip(source, "203.0.113.9").tcp(port, 80, tcp_flag::syn).build();
}

/// Beside the host at 10.1.0.0/16 another one of its tenant at 10.4.0.0/16, and one of tenant 9 at 10.5.0.0/16.
struct shared_edge : edge {
  explicit shared_edge(switch_config config) : edge{config} {
    order(add_port{attachment(second, "10.4.0.1/16")});
    auto other = attachment(stranger, "10.5.0.1/16");
    other.tenant = 9;
    order(add_port{other});
    order(set_mappings{eid_table::make({local_route("10.1.0.0/16", host), local_route("10.4.0.0/16", second),
                                        local_route("10.5.0.0/16", stranger, 9), remote_route("0.0.0.0/0", "192.0.2.1"),
                                        remote_route("0.0.0.0/0", "192.0.2.1", 9)})
                           .value()});
  }

  /// Of `count` new flows of the host, those put to the agent.
  std::size_t asked(port_id port, int host_number, int count) {
    for (int i = 0; i < count; ++i)
      receive(port, syn(host_number, next_++));
    return packet_ins().size();
  }

private:
  std::uint16_t next_ = 1000;
};

} // namespace

TEST_CASE("a port has no more undecided flows than are left for all others") {
  shared_edge it{bench::small()}; // 8 holds
  CHECK(it.asked(host, 1, 20) == 5);
  CHECK(it.new_drops() == "held_port_full 15");
  CHECK(it.asked(second, 4, 20) == 2);
  CHECK(it.asked(stranger, 5, 20) == 1);
  CHECK(it.new_drops() == "held_port_full 37");
  // What was not answered is over.
  it.advance(3s);
  (void)it.new_drops();
  CHECK(it.asked(second, 4, 20) == 5);
}

TEST_CASE("a port that is answered gets its share back") {
  shared_edge it{bench::small()};
  for (int i = 0; i < 12; ++i) {
    it.receive(host, syn(1, static_cast<std::uint16_t>(2000 + i)));
    const auto question = it.packet_ins();
    REQUIRE(question.size() == 1);
    if (i % 2 == 0)
      decide(it, question[0], elsewhere());
    else
      it.order(refuse{.hold = question[0].hold, .reason = drop_reason::decision_refused});
  }
}

TEST_CASE("new flows of a port and of a tenant come at their rate, after a burst") {
  auto config = bench::small();
  config.holds = 64;
  config.held_packets = 64;
  config.packet_ins_per_port = 100;
  config.packet_ins_per_tenant = 150;
  config.packet_in_burst = 100ms; // 10 of the port, 15 of the tenant, and the one that is due
  shared_edge it{config};
  CHECK(it.asked(host, 1, 20) == 11);
  CHECK(it.new_drops() == "packet_in_policed 9");
  CHECK(it.asked(second, 4, 20) == 5); // the tenant's burst is spent
  CHECK(it.asked(stranger, 5, 20) == 11);
  it.advance(20ms);
  CHECK(it.asked(host, 1, 20) == 2);
}
