#include "node/replay/edge_replay.hpp"

#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

using namespace glocal;
using namespace glocal::node;
using namespace std::chrono_literals;
using dataplane::testing::packet_builder;
namespace tcp_flag = dataplane::tcp_flag;

namespace {

cluster_config figure3() {
  auto loaded = load_cluster_file(GLOCAL_SOURCE_DIR "/configs/figure3.yaml");
  REQUIRE(loaded);
  return std::move(*loaded);
}

/// One node that is everything, with a function of its own between its subscribers and its servers.
cluster_config one_edge() {
  auto loaded = load_cluster(R"(
cluster: alone
management: 10.255.0.0/24
underlay: {mtu: 1700, routers: [core]}
nodes:
  - name: all
    roles: [edge, store, mano]
    control: 10.255.0.11:7400
    underlay: {router: core, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments:
      - name: subscribers
        gateway: 10.1.0.1/24
        prefixes: [10.1.0.0/24]
        host: {name: subscriber, addresses: [10.1.0.7/24]}
      - name: servers
        gateway: 203.0.113.1/24
        prefixes: [203.0.113.0/24]
        host: {name: web, addresses: [203.0.113.9/24]}
vnf_classes:
  - {name: firewall, driver: netns, stateful: true, setup: ["true"]}
instances:
  - {name: fw-1, class: firewall, node: all}
services:
  - name: web
    priority: 100
    match: [{protocol: tcp, source: 10.1.0.0/24, destination_ports: 80}]
    chain: [firewall]
)",
                             "alone.yaml");
  if (!loaded)
    for (const auto& wrong : loaded.error())
      UNSCOPED_INFO(to_string(wrong));
  REQUIRE(loaded);
  return std::move(*loaded);
}

dataplane::captured_packet at(std::chrono::nanoseconds time, bytes frame) {
  const auto size = frame.size();
  return {1'700'000'000s + time, std::move(frame), size};
}

bytes request(std::uint8_t flags = tcp_flag::syn, std::uint16_t port = 51514) {
  return packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(port, 80, flags).build();
}

struct outcome {
  std::vector<replayed_packet> packets;
  std::vector<left_frame> frames;

  /// What happened to packet `number`, in words: "received miss rule …".
  [[nodiscard]] std::string walk(std::size_t number) const {
    std::string out;
    for (const auto& step : packets.at(number - 1).steps)
      out += (out.empty() ? "" : " ") + step.what;
    return out;
  }
};

replay_options of(std::string edge, std::string port = {}, imagined_vnf vnfs = imagined_vnf::wire) {
  return {std::move(edge), std::move(port), vnfs};
}

outcome replay(const cluster_config& config, replay_options options,
               const std::vector<dataplane::captured_packet>& capture) {
  outcome out;
  auto started = edge_replay::start(
      config, std::move(options), [&](const auto& packet) { out.packets.push_back(packet); },
      [&](const auto& frame) { out.frames.push_back(frame); });
  if (!started)
    FAIL(started.error());
  for (const auto& packet : capture)
    (*started)->feed(packet);
  (*started)->finish();
  REQUIRE(out.packets.size() == capture.size());
  for (std::size_t i = 0; i < out.packets.size(); ++i)
    REQUIRE(out.packets[i].number == i + 1);
  return out;
}

} // namespace

TEST_CASE("a flow's first packet is decided, the next ones match exactly, and both leave for the chain") {
  const auto config = figure3();
  const auto out = replay(config, of("sub-edge"), {at(0s, request()), at(20ms, request(tcp_flag::ack))});
  CHECK(out.packets[0].port == "subscribers");
  CHECK(out.packets[0].key == "tcp 10.1.0.7:51514 > 203.0.113.9:80");
  CHECK_THAT(out.walk(1), Catch::StartsWith("received miss rule packet_in handed_over decided"));
  CHECK_THAT(out.walk(1), Catch::Contains("put_if_absent programmed released hit path_step encapsulated"));
  CHECK(out.walk(2) == "received hit path_step encapsulated sent");
  REQUIRE(out.frames.size() == 2);
  for (const auto& left : out.frames) {
    CHECK(left.port == "underlay");
    dataplane::parsed_packet parsed;
    REQUIRE(!dataplane::parse(left.frame, parsed));
    CHECK(dataplane::is_overlay(parsed));
    CHECK(to_string(parsed.tuple.destination) == "172.16.2.2");
  }
  CHECK(out.frames[1].time - out.frames[0].time == 20ms);
}

TEST_CASE("the same capture gives the same decisions and the same frames") {
  const auto config = figure3();
  std::vector<dataplane::captured_packet> capture;
  for (std::uint16_t port = 1024; port < 1124; ++port)
    capture.push_back(at(port * 1ms, request(tcp_flag::syn, port)));
  const auto first = replay(config, of("sub-edge"), capture), second = replay(config, of("sub-edge"), capture);
  REQUIRE(first.frames.size() == 100);
  REQUIRE(second.frames.size() == 100);
  std::set<std::string> chains;
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK(first.frames[i].frame == second.frames[i].frame);
    for (const auto& step : first.packets[i].steps)
      if (step.what == "decided")
        chains.insert(step.text("chain"));
  }
  CHECK(chains.size() > 1);
}

TEST_CASE("functions at the edge give back what they get, and the packet goes on") {
  const auto config = one_edge();
  const std::vector capture{at(0s, request()),
                            at(1ms, packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(80, 51514, 0x12).build())};
  const auto out = replay(config, of("all"), capture);
  CHECK_THAT(out.walk(1), Catch::EndsWith("path_step waiting sent returned hit path_step eid_route waiting sent"));
  CHECK(out.packets[1].port == "servers");
  CHECK_THAT(out.walk(2), Catch::Contains("received hit path_step waiting sent returned hit path_step eid_route"));
  REQUIRE(out.frames.size() == 2);
  CHECK(out.frames[0].port == "servers");
  CHECK(out.frames[1].port == "subscribers");

  const auto kept = replay(config, of("all", {}, imagined_vnf::sink), capture);
  CHECK_THAT(kept.walk(1), Catch::EndsWith("path_step waiting sent"));
  CHECK(kept.frames.empty());
}

TEST_CASE("time passes between packets as in the capture") {
  const auto config = figure3();
  const auto out = replay(config, of("sub-edge"),
                          {at(0s, request()), at(50s, request(tcp_flag::ack)), at(120s, request(tcp_flag::ack))});
  CHECK_THAT(out.walk(2), Catch::StartsWith("received hit"));
  // Idle for longer than the file's 60 s.
  CHECK_THAT(out.walk(3), Catch::StartsWith("received miss rule packet_in"));
  // Time that goes back stands still.
  const auto back = replay(config, of("sub-edge"), {at(5s, request()), at(0s, request(tcp_flag::ack))});
  CHECK_THAT(back.walk(2), Catch::StartsWith("received hit"));
}

TEST_CASE("what does not arrive at the edge is told, with the reason") {
  const auto config = figure3();
  const auto out = replay(config, of("sub-edge"),
                          {at(0s, packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(80, 51514, 0x12).build()),
                           at(0s, bytes(20, std::byte{0x45}))});
  CHECK(out.packets[0].elsewhere == "203.0.113.9 lives at inet-edge, behind internet");
  CHECK(out.packets[0].steps.empty());
  CHECK_THAT(out.packets[1].elsewhere, Catch::Contains("can't be read"));

  const auto forced = replay(config, of("sub-edge", "subscribers"),
                             {at(0s, packet_builder{}.ip("203.0.113.9", "10.1.0.7").tcp(80, 51514, 0x12).build()),
                              at(0s, bytes(20, std::byte{0x45}))});
  CHECK_THAT(forced.walk(1), Catch::EndsWith("dropped"));
  CHECK(forced.packets[0].steps.back().text("reason") == "spoofed_source");
  CHECK_FALSE(forced.packets[1].dropped.empty());
}

TEST_CASE("an edge or a port that is not there is refused with what there is") {
  const auto config = figure3();
  const auto start = [&](replay_options options) {
    return edge_replay::start(
        config, std::move(options), [](const auto&) {}, [](const auto&) {});
  };
  const auto no_edge = start(of("store1"));
  REQUIRE(!no_edge);
  CHECK_THAT(no_edge.error(), Catch::Contains("no edge of cluster figure3") && Catch::Contains("sub-edge, dc1"));
  const auto no_port = start(of("dc1", "fw-3.out"));
  REQUIRE(!no_port);
  CHECK_THAT(no_port.error(), Catch::Contains("no port 'fw-3.out'") && Catch::Contains("fw-1.out"));
}

TEST_CASE("whatever a capture holds, each packet is told of once and every one that arrives is accounted for") {
  const auto config = one_edge();
  const auto seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  std::mt19937 random{seed};
  std::vector<dataplane::captured_packet> capture;
  std::chrono::nanoseconds time{0};
  for (int i = 0; i < 1500; ++i) {
    auto frame = request(static_cast<std::uint8_t>(random()), static_cast<std::uint16_t>(random() % 64));
    for (auto spoiled = random() % 4; spoiled > 0; --spoiled)
      frame[random() % frame.size()] = static_cast<std::byte>(random());
    if (random() % 8 == 0)
      frame.resize(random() % frame.size());
    capture.push_back(at(time, std::move(frame)));
    time += std::chrono::microseconds{random() % 20'000};
  }
  const auto out = replay(config, of("all", "subscribers"), capture);
  for (const auto& packet : out.packets) {
    INFO("packet " << packet.number);
    CHECK((!packet.steps.empty() || !packet.dropped.empty()));
  }
}
