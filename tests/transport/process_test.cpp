// A peer that is another process: killed, stopped, flooded, cut off without a word. Tests wait for events; a time that
// passes is only ever the one a limit names.

#include "runtime/tcp_transport.hpp"

#include "runtime/flow_control.hpp"
#include "runtime/sockets.hpp"
#include "runtime/test_actors.hpp"
#include "tests/support/child_process.hpp"
#include "tests/transport/limits.hpp"

#include "base/log.hpp"

#include <catch2/catch.hpp>

#include <caf/all.hpp>

#include <atomic>
#include <thread>
#include <variant>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace glocal::test;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 30s;

/// Node a in this process.
struct this_node {
  explicit this_node(std::uint16_t port_of_b, std::chrono::milliseconds silence_limit = 60s)
      : config{system_options{.node = "a"}}, system{config}, names{std::make_shared<directory>()} {
    auto made = spawn_tcp_transport(system, {.self = {"a", "test", 1},
                                             .peers = {{"b", "127.0.0.1", port_of_b}},
                                             .limits = process_limits(silence_limit),
                                             .directory = names});
    REQUIRE(made);
    via = made->transport;
  }
  ~this_node() { CHECK(stop_and_wait(system, via.router, patience)); }

  std::string ask(const std::string& actor, const std::string& text = "hello",
                  std::chrono::milliseconds timeout = patience) {
    caf::scoped_actor self{system};
    std::string out;
    runtime::request(self.operator->(), via, {"b", actor}, say(kinds::echo, text), timeout)
        .receive([&](const wire_message& reply) { out = heard(reply); },
                 [&](const caf::error& error) { out = describe(error); });
    return out;
  }
  transport_stats::peer stats() {
    caf::scoped_actor self{system};
    transport_stats out;
    self->request(via.router, caf::infinite, stats_atom_v)
        .receive([&](const transport_stats& stats) { out = stats; }, [](const caf::error&) { FAIL("no stats"); });
    return out.peers["b"];
  }

  system_config config;
  caf::actor_system system;
  std::shared_ptr<directory> names;
  runtime::transport via;
};

/// Hears all a router tells of b.
class listener {
public:
  explicit listener(this_node& node) : self_{node.system} {
    self_->send(node.via.router, subscribe_peers_atom_v);
    self_->send(node.via.router, subscribe_suspicion_atom_v);
  }
  std::string next() {
    std::string out = "nothing";
    self_->receive([&](peer_up_atom, const std::string&) { out = "up"; },
                   [&](peer_down_atom, const std::string&, const std::string& why) { out = "down: " + why; },
                   [&](peer_suspect_atom, const std::string&) { out = "suspect"; },
                   [&](peer_trusted_atom, const std::string&) { out = "trusted"; }, caf::after(patience) >> [] {});
    return out;
  }
  caf::scoped_actor& self() noexcept { return self_; }

private:
  caf::scoped_actor self_;
};

struct peer_process {
  explicit peer_process(std::chrono::milliseconds silence_limit = 60s)
      : process{TRANSPORT_PEER, {std::to_string(silence_limit.count())}}, port{static_cast<std::uint16_t>(
                                                                              std::stoul(process.read_line()))} {}
  child_process process;
  std::uint16_t port;
};

/// Stands between a and b; forwards until told to stop, and then keeps its sockets open: a cable that was cut.
class cable {
public:
  explicit cable(std::uint16_t to) : to_{to} {
    const auto made = start_listening("127.0.0.1", 0);
    REQUIRE(made);
    listener_ = made->fd;
    port_ = made->port;
    thread_ = std::thread{[this] { run(); }};
  }
  ~cable() {
    ended_ = true;
    thread_.join();
    for (const int fd : {listener_, a_, b_})
      if (fd >= 0)
        ::close(fd);
  }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  void cut() { cut_ = true; }

private:
  void run() {
    while (!ended_) {
      pollfd wait[] = {{listener_, POLLIN, 0}, {cut_ ? -1 : a_, POLLIN, 0}, {cut_ ? -1 : b_, POLLIN, 0}};
      ::poll(wait, 3, 20);
      if ((wait[0].revents & POLLIN) != 0 && a_ < 0) {
        a_ = ::accept(listener_, nullptr, nullptr);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(to_);
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        b_ = ::socket(AF_INET, SOCK_STREAM, 0);
        (void)::connect(b_, reinterpret_cast<sockaddr*>(&where), sizeof where);
        continue;
      }
      for (int i = 1; i < 3; ++i)
        if ((wait[i].revents & POLLIN) != 0 && !cut_)
          forward(i == 1 ? a_ : b_, i == 1 ? b_ : a_);
    }
  }
  static void forward(int from, int to) {
    std::byte chunk[4096];
    for (auto count = ::recv(from, chunk, sizeof chunk, MSG_DONTWAIT); count > 0; count = 0)
      (void)!::send(to, chunk, static_cast<std::size_t>(count), MSG_NOSIGNAL);
  }

  const std::uint16_t to_;
  std::uint16_t port_ = 0;
  int listener_ = -1, a_ = -1, b_ = -1;
  std::atomic<bool> cut_{false}, ended_{false};
  std::thread thread_;
};

} // namespace

TEST_CASE("a killed peer is gone at once, and so is what was outstanding there") {
  peer_process b;
  this_node a{b.port};
  listener heard_of{a};
  REQUIRE(a.ask("parrot") == "hello");
  CHECK(heard_of.next() == "up");
  // The limit of silence is a minute: only the connection's end can tell.
  auto outstanding = runtime::request(heard_of.self().operator->(), a.via, {"b", "parrot"}, say(kinds::never), 300s);
  REQUIRE(a.ask("parrot") == "hello");
  b.process.kill();
  outstanding.receive([](const wire_message&) { FAIL("answered"); },
                      [](const caf::error& error) { CHECK(as_transport_error(error) == transport_errc::peer_gone); });
  CHECK_THAT(heard_of.next(), Catch::StartsWith("down"));
}

TEST_CASE("requests to a router that has ended fail at once") {
  peer_process b;
  this_node a{b.port};
  REQUIRE(a.ask("parrot") == "hello");
  REQUIRE(stop_and_wait(a.system, a.via.router, patience));
  CHECK_THAT(a.ask("parrot", "hello", 300s), Catch::StartsWith("unreachable"));
}

TEST_CASE("a peer that stands still is suspected, and trusted again when it goes on") {
  peer_process b;
  this_node a{b.port};
  listener heard_of{a};
  REQUIRE(a.ask("parrot") == "hello");
  CHECK(heard_of.next() == "up");
  b.process.stop();
  CHECK(heard_of.next() == "suspect");
  CHECK(a.stats().suspicion >= transport_limits{}.suspect_level);
  CHECK(a.stats().connected);
  b.process.resume();
  CHECK(heard_of.next() == "trusted");
  CHECK(a.ask("parrot") == "hello");
  CHECK(a.stats().connects == 1);
}

TEST_CASE("a peer that stands still for longer than the silence limit is gone, and comes back when it goes on") {
  peer_process b;
  this_node a{b.port, 1s};
  listener heard_of{a};
  REQUIRE(a.ask("parrot") == "hello");
  CHECK(heard_of.next() == "up");
  auto outstanding = runtime::request(heard_of.self().operator->(), a.via, {"b", "parrot"}, say(kinds::never), 300s);
  REQUIRE(a.ask("parrot") == "hello");
  b.process.stop();
  CHECK(heard_of.next() == "suspect");
  CHECK(heard_of.next() == "down: silent for 1000 ms");
  outstanding.receive([](const wire_message&) { FAIL("answered"); },
                      [](const caf::error& error) { CHECK(as_transport_error(error) == transport_errc::peer_gone); });
  b.process.resume();
  CHECK(heard_of.next() == "up");
  CHECK(a.ask("parrot") == "hello");
}

TEST_CASE("a peer that vanishes without a word is gone after the silence limit") {
  peer_process b{1s};
  cable between{b.port};
  this_node a{between.port(), 1s};
  listener heard_of{a};
  REQUIRE(a.ask("parrot") == "hello");
  CHECK(heard_of.next() == "up");
  between.cut();
  CHECK(heard_of.next() == "suspect");
  CHECK(heard_of.next() == "down: silent for 1000 ms");
}

TEST_CASE(
    "a flood at an actor that handles nothing takes bounded memory, and its neighbour is heard again when it ends") {
  peer_process b;
  this_node a{b.port};
  REQUIRE(a.ask("parrot") == "hello");
  const auto before = resident_bytes(b.process.pid());
  forget_peak(b.process.pid());
  caf::scoped_actor self{a.system};
  std::size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i)
    accepted += runtime::cast(self.operator->(), a.via, {"b", "stalled"}, say(kinds::echo)) ? 1 : 0;
  CHECK(accepted > 1000);
  CHECK(accepted < 300'000);
  CHECK(a.stats().under_way_bytes <= transport_limits{}.window_bytes + flow_cost(max_body_bytes));
  CHECK(a.stats().lost_casts == 300'000 - accepted);
  CHECK_THAT(a.ask("parrot"), Catch::StartsWith("overloaded"));
  // Heartbeats pass: the peer lives.
  CHECK(a.stats().connected);
  CHECK(peak_resident_bytes(b.process.pid()) - before < std::uint64_t{16} << 20);
}

TEST_CASE("a flood at a process that stands still is bounded, and what was accepted arrives when it goes on") {
  peer_process b;
  this_node a{b.port};
  REQUIRE(a.ask("parrot") == "hello");
  b.process.stop();
  caf::scoped_actor self{a.system};
  while (runtime::cast(self.operator->(), a.via, {"b", "parrot"}, say(kinds::echo, std::string(1000, 'x')))) {
  }
  CHECK(a.stats().under_way_bytes <= transport_limits{}.window_bytes + flow_cost(max_body_bytes));
  CHECK(a.stats().queued_bytes <= a.stats().under_way_bytes);
  // Told when there is room, and then there is.
  runtime::when_writable(self.operator->(), a.via, "b");
  b.process.resume();
  bool told = false;
  self->receive([&](writable_atom, const std::string& node) { told = node == "b"; }, caf::after(patience) >> [] {});
  CHECK(told);
  CHECK(a.ask("parrot") == "hello");
}
