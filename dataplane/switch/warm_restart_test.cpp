// A switch that ends without a word and another one that starts with its flow file.

#include "dataplane/switch/testing/edge_bench.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;
using namespace std::chrono_literals;

namespace {

/// A flow file of its own for each case.
class warm_edge {
public:
  warm_edge() : path_{std::filesystem::temp_directory_path() / ("glocal-flows-" + std::to_string(::getpid()))} {
    std::filesystem::remove(path_);
  }
  ~warm_edge() {
    current_.reset();
    std::filesystem::remove(path_);
  }

  /// The next life of the edge. What was held when the former ended is lost with it.
  edge& start(std::uint64_t fingerprint = 1) {
    current_.reset();
    auto config = bench::small();
    config.file = {path_.string(), fingerprint};
    current_ = std::make_unique<edge>(config);
    return *current_;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void stop() { current_.reset(); }

private:
  std::filesystem::path path_;
  std::unique_ptr<edge> current_;
};

std::uint64_t restored(const edge& it) {
  return it.channel.statistics().flows_restored.value();
}

} // namespace

TEST_CASE("established flows of all kinds go on after a restart, without a question about them") {
  warm_edge node;
  auto& before = node.start();
  CHECK(before.bench::edge.cold() == cold_start::new_file);
  before.receive(host, request().build());
  decide(before, before.packet_ins().at(0), here());
  before.receive(host, query().build());
  before.receive(under, from_overlay(reply(600).build(), at_step(path + 1, 255)));
  (void)before.sent();

  auto& after = node.start();
  REQUIRE(after.bench::edge.cold() == cold_start::no);
  CHECK(restored(after) == 3);
  const auto told = after.packet_ins(); // of the path, so that it is watched again; nothing is held for it
  REQUIRE(told.size() == 1);
  CHECK(told[0].reason == packet_in_reason::path_miss);
  CHECK(told[0].spi == path);
  CHECK(told[0].hold == no_hold);

  after.receive(host, request(51514, tcp_flag::ack).build());
  after.receive(out_arm, request(51514, tcp_flag::ack).build());
  after.receive(under, from_overlay(reply().build(), at_step(path + 1, 255)));
  after.receive(host, query().build());
  CHECK(after.packet_ins().empty());
  CHECK(after.sent_flows() == flows{"2 51514>80", "1 100/254 51514>80", "3 80>51514", "1 5000>53"});
  CHECK(after.new_drops() == "none");
  CHECK(after.channel.statistics().flows_waiting.value() == 1);
}

TEST_CASE("a flow's counts and its owner survive, and its end is told") {
  warm_edge node;
  auto& before = node.start();
  before.receive(host, request().build());
  decide(before, before.packet_ins().at(0), elsewhere());
  before.receive(host, request(51514, tcp_flag::ack).build());

  auto& after = node.start();
  (void)after.events();
  after.receive(host, request(51514, tcp_flag::ack).build());
  after.advance(61s);
  const auto news = after.events();
  REQUIRE(news.size() == 1);
  const auto ended = std::get<flow_removed>(news[0]);
  CHECK(ended.packets == 3);
  CHECK(ended.cookie == 5);
}

TEST_CASE("a path that moved while nobody was there moves its restored flows") {
  warm_edge node;
  auto& before = node.start();
  before.receive(host, request().build());
  decide(before, before.packet_ins().at(0), here());
  auto& after = node.start();
  after.order(set_path{elsewhere()});
  after.receive(host, request(51514, tcp_flag::ack).build());
  CHECK(after.sent_flows() == flows{"1 100/255 51514>80"});
}

TEST_CASE("a path whose place moves at a restart is in the file all the while") {
  warm_edge node;
  auto& before = node.start();
  before.order(set_path{{98, {remote_hop("192.0.2.1")}}});
  before.receive(host, request().build());
  decide(before, before.packet_ins().at(0), elsewhere());
  before.order(remove_path{98}); // the other has the second place now, and gets the first
  node.stop();
  {
    // As a crash between writing it there and erasing it here leaves it.
    const auto config = bench::small();
    flow_file file{{node.path().string(), 1}, config.flows, config.paths};
    const auto stored = file.read_path(1);
    REQUIRE(stored.has_value());
    CHECK(stored->program.id == path);
    file.write_path(0, stored->program, stored->account);
  }
  for (int life = 0; life < 3; ++life) {
    INFO("life " << life);
    auto& after = node.start();
    CHECK(restored(after) == 1);
    CHECK(after.packet_ins().size() == 1);
    after.receive(host, request(51514, tcp_flag::ack).build());
    CHECK(after.sent_flows() == flows{"1 100/255 51514>80"});
  }
}

TEST_CASE("a path that is no longer known takes its restored flows with it") {
  warm_edge node;
  auto& before = node.start();
  before.receive(host, request().build());
  decide(before, before.packet_ins().at(0), here());
  auto& after = node.start();
  (void)after.events();
  after.order(remove_path{path});
  CHECK(after.channel.statistics().flows_now.value() == 0);
  CHECK(after.channel.statistics().flows_waiting.value() == 0);
  auto& third = node.start(); // and they stay away
  CHECK(restored(third) == 0);
}

TEST_CASE("what ended before the restart does not come back, nor what was only asked about") {
  warm_edge node;
  auto& before = node.start();
  before.receive(host, request().build());
  decide(before, before.packet_ins().at(0), here());
  before.receive(host, query().build());
  before.order(remove_flow{0, parsed(request().build()).tuple});
  before.receive(host, request(7).build()); // pending
  CHECK(restored(node.start()) == 1);
}

TEST_CASE("a flow file is not believed when the ports, its size or its bytes are others") {
  warm_edge node;
  const auto with_one_flow = [&] {
    auto& it = node.start();
    it.receive(host, query().build());
    node.stop();
  };
  SECTION("ports") {
    with_one_flow();
    CHECK(node.start(2).bench::edge.cold() == cold_start::other_configuration);
    CHECK(restored(node.start(2)) == 0);
  }
  SECTION("size") {
    with_one_flow();
    std::filesystem::resize_file(node.path(), 5000);
    CHECK(node.start().bench::edge.cold() == cold_start::new_file);
  }
  SECTION("a header of zeros") {
    with_one_flow();
    std::fstream{node.path(), std::ios::in | std::ios::out | std::ios::binary}.write(std::string(64, 0).c_str(), 64);
    CHECK(node.start().bench::edge.cold() == cold_start::other_layout);
  }
  SECTION("every byte of the flow's record") {
    with_one_flow();
    // Record 0 begins behind a page of header and 256 lines of counts.
    for (std::streamoff at = 4096 + 256 * 64; at < 4096 + 256 * 64 + 96; ++at) {
      std::fstream file{node.path(), std::ios::in | std::ios::out | std::ios::binary};
      char kept = 0;
      file.seekg(at).get(kept);
      file.seekp(at).put(static_cast<char>(kept ^ 0x40)).flush();
      INFO("byte " << at);
      const auto found = restored(node.start());
      // The four bytes behind the seal are padding, which no one reads.
      CHECK(found == (at >= 4096 + 256 * 64 + 4 && at < 4096 + 256 * 64 + 8 ? 1 : 0));
      node.stop();
      std::filesystem::remove(node.path());
      with_one_flow();
    }
  }
}

TEST_CASE("a flow file belongs to one switch at a time; the other starts cold and works") {
  warm_edge node;
  (void)node.start();
  auto config = bench::small();
  config.file = {node.path().string(), 1};
  edge other{config};
  CHECK(other.bench::edge.cold() == cold_start::in_use);
  other.receive(host, query().build());
  CHECK(other.sent_flows() == flows{"1 5000>53"});
}

TEST_CASE("a flow file that can't be had is said and costs nothing else") {
  auto config = bench::small();
  config.file = {"/nowhere/flows", 1};
  edge it{config};
  CHECK(it.bench::edge.cold() == cold_start::unusable);
}
