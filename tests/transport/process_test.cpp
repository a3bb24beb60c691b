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
#include <sys/eventfd.h>
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
  /// @param port_of_c 0: there is no node c.
  explicit this_node(std::uint16_t port_of_b, std::chrono::milliseconds silence_limit = 60s,
                     std::uint16_t port_of_c = 0)
      : config{system_options{.node = "a"}}, system{config}, names{std::make_shared<directory>()} {
    std::vector<tcp_peer> peers{{"b", "127.0.0.1", port_of_b}};
    if (port_of_c != 0)
      peers.push_back({"c", "127.0.0.1", port_of_c});
    auto made = spawn_tcp_transport(
        system,
        {.self = {"a", "test", 1}, .peers = peers, .limits = process_limits(silence_limit), .directory = names});
    REQUIRE(made);
    via = made->transport;
  }
  ~this_node() { CHECK(stop_and_wait(system, via.router, patience)); }

  std::string ask(const std::string& actor, const std::string& text = "hello",
                  std::chrono::milliseconds timeout = patience, const std::string& node = "b") {
    caf::scoped_actor self{system};
    std::string out;
    runtime::request(self.operator->(), via, {node, actor}, say(kinds::echo, text), timeout)
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
  explicit peer_process(std::chrono::milliseconds silence_limit = 60s, const std::string& node = "b")
      : process{TRANSPORT_PEER, {std::to_string(silence_limit.count()), node}}, port{static_cast<std::uint16_t>(
                                                                                    std::stoul(process.read_line()))} {}
  child_process process;
  std::uint16_t port;
};

/// Stands between a and b and forwards. It can be cut: then it keeps its sockets open and says nothing more. And it can
/// be throttled: then it lets through what it is told to, a few bytes at a time, and to a it is a peer that reads
/// slowly.
class cable {
public:
  explicit cable(std::uint16_t to) : to_{to}, wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    const auto made = start_listening("127.0.0.1", 0);
    REQUIRE(made);
    REQUIRE(wake_ >= 0);
    listener_ = made->fd;
    port_ = made->port;
    // What the kernel takes from a in our place is little, as that of a reader who is behind.
    const int small = 4096;
    (void)::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    thread_ = std::thread{[this] { run(); }};
  }
  ~cable() {
    ended_ = true;
    wake();
    thread_.join();
    for (const int fd : {listener_, wake_, a_, b_})
      if (fd >= 0)
        ::close(fd);
  }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  void cut() {
    cut_ = true;
    wake();
  }
  /// From now on nothing passes from a to b but what trickle() grants.
  void throttle() { granted_ = 0; }
  void open() {
    granted_ = everything;
    wake();
  }
  /// Lets so many bytes pass, and returns when they have. REQUIRES: throttled, and a has so much to say.
  void trickle(std::int64_t bytes) {
    granted_ = bytes;
    wake();
    for (auto left = granted_.load(); left > 0; left = granted_.load())
      granted_.wait(left);
  }

private:
  static constexpr std::int64_t everything = -1;
  /// Of a trickle: prime, so that frames are cut everywhere.
  static constexpr std::size_t drop_bytes = 61;

  void wake() {
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }
  void run() {
    while (!ended_) {
      const bool a_speaks = !cut_ && granted_ != 0;
      pollfd wait[] = {
          {listener_, POLLIN, 0}, {a_speaks ? a_ : -1, POLLIN, 0}, {cut_ ? -1 : b_, POLLIN, 0}, {wake_, POLLIN, 0}};
      ::poll(wait, 4, -1);
      std::uint64_t ignored = 0;
      (void)!::read(wake_, &ignored, sizeof ignored);
      if ((wait[0].revents & POLLIN) != 0 && a_ < 0) {
        connect();
        continue;
      }
      if ((wait[1].revents & POLLIN) != 0 && !cut_) {
        const auto granted = granted_.load();
        const auto passed = forward(
            a_, b_,
            granted == everything ? 4096 : std::min<std::size_t>(drop_bytes, static_cast<std::size_t>(granted)));
        if (granted != everything && granted_.fetch_sub(passed) == passed)
          granted_.notify_all();
      }
      if ((wait[2].revents & POLLIN) != 0 && !cut_)
        forward(b_, a_, 4096);
    }
  }
  void connect() {
    a_ = ::accept(listener_, nullptr, nullptr);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(to_);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b_ = ::socket(AF_INET, SOCK_STREAM, 0);
    (void)::connect(b_, reinterpret_cast<sockaddr*>(&where), sizeof where);
  }
  static std::int64_t forward(int from, int to, std::size_t most) {
    std::byte chunk[4096];
    const auto count = ::recv(from, chunk, most, MSG_DONTWAIT);
    if (count > 0)
      (void)!::send(to, chunk, static_cast<std::size_t>(count), MSG_NOSIGNAL);
    return count > 0 ? count : 0;
  }

  const std::uint16_t to_;
  const int wake_;
  std::uint16_t port_ = 0;
  int listener_ = -1, a_ = -1, b_ = -1;
  std::atomic<bool> cut_{false}, ended_{false};
  /// Bytes that may pass from a to b.
  std::atomic<std::int64_t> granted_{everything};
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

TEST_CASE("a peer that reads slowly costs bounded memory, harms no other, and gets everything in order") {
  peer_process b, c{60s, "c"};
  cable between{b.port};
  this_node a{between.port(), 60s, c.port};
  REQUIRE(a.ask("parrot") == "hello");
  REQUIRE(a.ask("parrot", "hello", patience, "c") == "hello");
  const auto self_before = resident_bytes(::getpid()), b_before = resident_bytes(b.process.pid());
  forget_peak(::getpid());
  forget_peak(b.process.pid());
  between.throttle();
  caf::scoped_actor self{a.system};
  std::size_t sent = 0;
  const auto send_what_fits = [&] {
    const auto before = sent;
    while (runtime::cast(self.operator->(), a.via, {"b", "counting"}, say(kinds::echo, std::to_string(sent))))
      ++sent;
    return sent - before;
  };
  CHECK(send_what_fits() > 1000); // and then it is refused
  const auto window = transport_limits{}.window_bytes + flow_cost(max_body_bytes);
  std::size_t accepted_while_slow = 0;
  for (int round = 0; round < 32; ++round) {
    between.trickle(64 * 1024);
    accepted_while_slow += send_what_fits();
    const auto stats = a.stats();
    CHECK(stats.connected);
    CHECK(stats.under_way_bytes <= window);
    CHECK(stats.queued_bytes <= stats.under_way_bytes);
    // b has still most of it to read: a connection of its own does not wait for that.
    CHECK(a.ask("parrot", "hello", patience, "c") == "hello");
  }
  CHECK(accepted_while_slow > 0);
  CHECK(peak_resident_bytes(::getpid()) - self_before < std::uint64_t{16} << 20);
  CHECK(peak_resident_bytes(b.process.pid()) - b_before < std::uint64_t{16} << 20);
  between.open();
  // Not overtaken by a request either: when this is answered, all before it has been handled.
  runtime::when_writable(self.operator->(), a.via, "b");
  bool told = false;
  self->receive([&](writable_atom, const std::string& node) { told = node == "b"; }, caf::after(patience) >> [] {});
  CHECK(told);
  CHECK(a.ask("counting") == std::to_string(sent));
  CHECK(a.stats().connects == 1);
}
