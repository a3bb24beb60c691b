// What only sockets can get wrong: hellos, broken and frozen peers, simultaneous connects. Real loopback, ephemeral
// ports; the tests wait for events, never for time to pass.

#include "runtime/tcp_transport.hpp"

#include "runtime/frame.hpp"
#include "runtime/sockets.hpp"
#include "runtime/system.hpp"
#include "runtime/test_actors.hpp"

#include <catch2/catch.hpp>

#include <caf/all.hpp>

#include <future>
#include <thread>
#include <variant>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 20s;

/// Quick enough for tests, slow enough for a machine under load.
transport_limits quick() {
  transport_limits limits;
  limits.heartbeat_interval = 50ms;
  limits.silence_limit = 2000ms;
  limits.connect_timeout = 5000ms;
  limits.backoff_min = 10ms;
  limits.backoff_max = 100ms;
  return limits;
}

struct world {
  world() : config{system_options{.node = "test"}}, system{config} {}
  ~world() {
    for (const auto& actor : owned)
      CHECK(stop_and_wait(system, actor, patience));
  }

  /// A node with a parrot.
  tcp_transport node(const std::string& name, std::vector<tcp_peer> peers = {}, transport_limits limits = quick(),
                     std::uint64_t incarnation = 1, std::uint16_t port = 0) {
    auto made = spawn_tcp_transport(system, {.self = {name, "test", incarnation},
                                             .listen_port = port,
                                             .peers = std::move(peers),
                                             .limits = limits,
                                             .directory = std::make_shared<directory>()});
    REQUIRE(made);
    owned.push_back(made->transport.router);
    auto bird = system.spawn<parrot>(name + "/parrot");
    owned.push_back(bird);
    made->transport.directory->add("parrot", bird);
    return *made;
  }

  /// Ends the router: its connections close as if the process had died.
  void end(const tcp_transport& node) {
    REQUIRE(stop_and_wait(system, node.transport.router, patience));
    std::erase(owned, node.transport.router);
  }

  static tcp_peer at(const std::string& name, std::uint16_t port) { return {name, "127.0.0.1", port}; }
  static void introduce(const tcp_transport& to, const std::string& name, std::uint16_t port) {
    // A request, so that it is known when this returns.
    caf::scoped_actor self{to.transport.router.home_system()};
    self->request(to.transport.router, caf::infinite, add_peer_atom_v, name, std::string{"127.0.0.1"}, port)
        .receive([] {}, [](const caf::error&) { FAIL("no router"); });
  }

  /// The reply, or the error.
  std::variant<wire_message, caf::error> ask(const tcp_transport& from, const address& to, wire_message message,
                                             std::chrono::milliseconds timeout = patience) {
    caf::scoped_actor self{system};
    std::variant<wire_message, caf::error> out;
    runtime::request(self.operator->(), from.transport, to, std::move(message), timeout)
        .receive([&](const wire_message& reply) { out = reply; }, [&](const caf::error& error) { out = error; });
    return out;
  }
  std::string echo(const tcp_transport& from, const std::string& to, const std::string& text = "hello") {
    const auto answer = ask(from, {to, "parrot"}, say(kinds::echo, text));
    const auto* reply = std::get_if<wire_message>(&answer);
    return reply != nullptr ? heard(*reply) : describe(std::get<caf::error>(answer));
  }
  transport_stats stats(const tcp_transport& of) {
    caf::scoped_actor self{system};
    transport_stats out;
    self->request(of.transport.router, caf::infinite, stats_atom_v)
        .receive([&](const transport_stats& stats) { out = stats; }, [](const caf::error&) { FAIL("no stats"); });
    return out;
  }

  system_config config;
  caf::actor_system system;
  std::vector<caf::actor> owned;
};

/// Receives what a router tells about its peers.
class peer_watch {
public:
  peer_watch(world& in, const tcp_transport& node) : self_{in.system} {
    self_->send(node.transport.router, subscribe_peers_atom_v);
  }
  /// "up e1" or "down e1: why"; "nothing" when nothing comes.
  std::string next(std::chrono::milliseconds wait = patience) {
    std::string out = "nothing";
    self_->receive(
        [&](peer_up_atom, const std::string& node) { out = "up " + node; },
        [&](peer_down_atom, const std::string& node, const std::string& why) { out = "down " + node + ": " + why; },
        caf::after(wait) >> [] {});
    return out;
  }

private:
  caf::scoped_actor self_;
};

/// A peer that says whatever a test wants it to say.
class raw_peer {
public:
  explicit raw_peer(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  }
  explicit raw_peer(const listening_socket& listener) {
    pollfd wait{listener.fd, POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 20'000) == 1);
    fd_ = ::accept(listener.fd, nullptr, nullptr);
    REQUIRE(fd_ >= 0);
  }
  ~raw_peer() { ::close(fd_); }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;

  void send(byte_view raw) {
    while (!raw.empty()) {
      const auto count = ::send(fd_, raw.data(), raw.size(), MSG_NOSIGNAL);
      if (count <= 0)
        return; // closed by the other side, which a test then sees in read()
      raw = raw.subspan(static_cast<std::size_t>(count));
    }
  }
  void send(const frame_header& header, byte_view payload) {
    std::vector<char> out;
    append_frame(out, header, payload);
    send(std::as_bytes(std::span{out}));
  }
  void say_hello(hello who) {
    who.window_bytes = transport_limits{}.window_bytes;
    send({.kind = control_kinds::hello, .type = frame_type::control}, encode(who));
  }
  void give_name(std::uint16_t slot, std::string_view name) {
    send({.kind = control_kinds::name, .type = frame_type::control, .target = slot}, encode_name(name));
  }

  struct frame {
    frame_header header;
    bytes payload;
  };
  /// The next frame that is a message; nothing at the end of the stream.
  std::optional<frame> read() {
    for (;;) {
      while (!frames_.empty()) {
        auto out = std::move(frames_.front());
        frames_.erase(frames_.begin());
        if (out.header.type != frame_type::control || out.header.kind == control_kinds::hello ||
            out.header.kind == control_kinds::hello_refused)
          return out;
      }
      pollfd wait{fd_, POLLIN, 0};
      REQUIRE(::poll(&wait, 1, 20'000) == 1);
      std::byte chunk[4096];
      const auto count = ::recv(fd_, chunk, sizeof chunk, 0);
      if (count <= 0)
        return std::nullopt;
      REQUIRE(cutter_.feed({chunk, static_cast<std::size_t>(count)}, [&](byte_view run) {
        const auto header = trusted_header(run.data());
        const auto payload = run.subspan(frame_header_bytes);
        frames_.push_back({header, {payload.begin(), payload.end()}});
        return true;
      }));
    }
  }

private:
  int fd_ = -1;
  frame_cutter cutter_{max_payload_bytes};
  std::vector<frame> frames_;
};

} // namespace

TEST_CASE("nodes connect on demand and talk both ways over one connection") {
  world w;
  const auto b = w.node("b");
  const auto a = w.node("a", {world::at("b", b.port)});
  CHECK(w.echo(a, "b", "over TCP") == "over TCP");
  CHECK(w.echo(b, "a", "and back") == "and back"); // b was never told where a listens
  CHECK(w.stats(a).peers.at("b").connects == 1);
  CHECK(w.stats(b).peers.at("a").connects == 1);
}

TEST_CASE("the largest body crosses a socket, a larger one does not") {
  world w;
  const auto b = w.node("b");
  const auto a = w.node("a", {world::at("b", b.port)});
  bytes body(max_body_bytes);
  const std::uint64_t table = (max_body_bytes / 8 - 1) << 32;
  std::memcpy(body.data(), &table, sizeof table);
  for (std::size_t i = 16; i < body.size(); ++i)
    body[i] = static_cast<std::byte>(i * 31);
  const auto answer = w.ask(a, {"b", "parrot"}, make_message(kinds::echo, byte_view{body}));
  REQUIRE(std::holds_alternative<wire_message>(answer));
  CHECK(std::ranges::equal(std::get<wire_message>(answer).view(), body));
  const auto refused = w.ask(a, {"b", "parrot"}, make_message(kinds::echo, bytes(max_body_bytes + 8)));
  CHECK(as_transport_error(std::get<caf::error>(refused)) == transport_errc::too_large);
}

TEST_CASE("thousands of requests and casts in flight keep their order and all end") {
  world w;
  const auto b = w.node("b");
  const auto a = w.node("a", {world::at("b", b.port)});
  constexpr int count = 5000;
  std::promise<int> finished;
  w.system.spawn([&](caf::event_based_actor* self) {
    auto done = std::make_shared<int>(0), in_order = std::make_shared<int>(0);
    for (int i = 0; i < count; ++i)
      runtime::request(self, a.transport, {"b", "parrot"}, say(kinds::echo, std::to_string(i)), patience)
          .then(
              [=, &finished](const wire_message& reply) {
                *in_order += heard(reply) == std::to_string(*in_order);
                if (++*done == count)
                  finished.set_value(*in_order);
              },
              [=, &finished](const caf::error&) {
                if (++*done == count)
                  finished.set_value(*in_order);
              });
  });
  auto future = finished.get_future();
  REQUIRE(future.wait_for(patience) == std::future_status::ready);
  CHECK(future.get() == count);
}

TEST_CASE("a connection nobody accepts is unreachable, and so is a node without an address") {
  world w;
  // A port that was free a moment ago.
  const auto listener = start_listening("127.0.0.1", 0);
  REQUIRE(listener);
  ::close(listener->fd);
  const auto a = w.node("a", {world::at("gone", listener->port)});
  for (const auto* name : {"gone", "unknown"}) {
    const auto answer = w.ask(a, {name, "parrot"}, say(kinds::echo));
    CHECK(as_transport_error(std::get<caf::error>(answer)) == transport_errc::unreachable);
    CHECK_THAT(describe(std::get<caf::error>(answer)), Catch::Contains(name));
  }
}

TEST_CASE("what is outstanding at a peer that dies fails at once, and a restarted peer is found again") {
  world w;
  const auto b = w.node("b");
  const auto a = w.node("a", {world::at("b", b.port)});
  peer_watch watch{w, a};
  REQUIRE(w.echo(a, "b") == "hello");
  CHECK(watch.next() == "up b");
  caf::scoped_actor self{w.system};
  // Long time-outs: only the loss of the connection can end these.
  auto first = runtime::request(self.operator->(), a.transport, {"b", "parrot"}, say(kinds::never), 300s);
  auto second = runtime::request(self.operator->(), a.transport, {"b", "parrot"}, say(kinds::never), 300s);
  // Outstanding at b, not on their way: the second echo has passed them.
  REQUIRE(w.echo(a, "b") == "hello");
  w.end(b);
  for (auto* each : {&first, &second})
    each->receive([](const wire_message&) { FAIL("answered"); },
                  [](const caf::error& error) { CHECK(as_transport_error(error) == transport_errc::peer_gone); });
  CHECK_THAT(watch.next(), Catch::StartsWith("down b: "));
  const auto again = w.node("b", {}, quick(), 2, b.port);
  CHECK(watch.next() == "up b"); // a comes back by itself
  CHECK(w.echo(a, "b") == "hello");
}

TEST_CASE("hellos of another cluster, version or under a taken name are refused with a reason") {
  world w;
  const auto a = w.node("a");
  struct row {
    const char* description;
    hello theirs;
    const char* reason;
  };
  const row rows[] = {
      {"cluster", {protocol_version, "other", "b", 1}, "cluster 'other'"},
      {"version", {protocol_version + 1, "test", "b", 1}, "protocol version 3"},
      {"name", {protocol_version, "test", "a", 1}, "is taken"},
  };
  std::uint64_t refusals = 0;
  for (const auto& row : rows) {
    INFO(row.description);
    raw_peer peer{a.port};
    peer.say_hello(row.theirs);
    const auto answer = peer.read();
    REQUIRE(answer);
    CHECK(answer->header.kind == control_kinds::hello_refused);
    CHECK_THAT(decode_refusal(answer->payload).value_or("?"), Catch::Contains(row.reason));
    CHECK_FALSE(peer.read());
    CHECK(w.stats(a).refusals == ++refusals);
  }
}

TEST_CASE("a node of another cluster is unreachable, and the caller learns why") {
  world w;
  const auto b = w.node("b");
  auto stranger = spawn_tcp_transport(w.system, {.self = {"a", "other", 1},
                                                 .peers = {world::at("b", b.port)},
                                                 .limits = quick(),
                                                 .directory = std::make_shared<directory>()});
  REQUIRE(stranger);
  w.owned.push_back(stranger->transport.router);
  const auto answer = w.ask(*stranger, {"b", "parrot"}, say(kinds::echo));
  CHECK(as_transport_error(std::get<caf::error>(answer)) == transport_errc::unreachable);
  CHECK_THAT(describe(std::get<caf::error>(answer)), Catch::Contains("belongs to 'test'"));
}

TEST_CASE("who answers under another name than the one dialled is refused") {
  world w;
  const auto b = w.node("b");
  const auto a = w.node("a", {world::at("c", b.port)});
  const auto answer = w.ask(a, {"c", "parrot"}, say(kinds::echo));
  CHECK(as_transport_error(std::get<caf::error>(answer)) == transport_errc::unreachable);
  CHECK_THAT(describe(std::get<caf::error>(answer)), Catch::Contains("dialled c, found b"));
}

TEST_CASE("bytes that are no frames end their connection and no other") {
  world w;
  const auto a = w.node("a");
  const auto b = w.node("b", {world::at("a", a.port)});
  REQUIRE(w.echo(b, "a") == "hello");
  const auto payload_of_size = [](std::size_t size) { return bytes(size, std::byte{0xa5}); };
  std::uint64_t invalid = 0;

  SECTION("garbage instead of a hello") {
    raw_peer peer{a.port};
    peer.send(payload_of_size(64));
    CHECK_FALSE(peer.read());
    CHECK(w.stats(a).invalid_frames == ++invalid);
  }
  SECTION("a request instead of a hello") {
    raw_peer peer{a.port};
    peer.send({.kind = kinds::echo, .type = frame_type::request, .correlation = 1}, encode_name("parrot"));
    CHECK_FALSE(peer.read());
    CHECK(w.stats(a).invalid_frames == ++invalid);
  }
  SECTION("more than a hello may hold") {
    raw_peer peer{a.port};
    peer.send({.kind = control_kinds::hello, .type = frame_type::control}, payload_of_size(max_hello_bytes + 8));
    CHECK_FALSE(peer.read());
    CHECK(w.stats(a).invalid_frames == ++invalid);
  }
  SECTION("after the hello") {
    const auto after_hello = [&](auto&& spoil) {
      raw_peer peer{a.port};
      peer.say_hello({protocol_version, "test", "villain", 1});
      REQUIRE(peer.read());
      spoil(peer);
      CHECK_FALSE(peer.read());
      CHECK(w.stats(a).invalid_frames == ++invalid);
      CHECK_FALSE(w.stats(a).peers.at("villain").connected);
      CHECK_FALSE(w.stats(a).peers.at("villain").last_reason.empty());
    };
    after_hello([&](raw_peer& peer) { peer.send(payload_of_size(64)); });
    after_hello([&](raw_peer& peer) {
      std::byte raw[frame_header_bytes];
      store_header({.payload_bytes = max_payload_bytes + 8, .kind = kinds::echo}, raw);
      peer.send(raw);
    });
    const auto to_parrot = [&](frame_header header, byte_view payload) {
      after_hello([&](raw_peer& peer) {
        peer.give_name(0, "parrot");
        peer.send(header, payload);
      });
    };
    to_parrot({.kind = kinds::echo, .type = frame_type::request, .correlation = 1}, payload_of_size(64));
    to_parrot({.kind = kinds::echo, .type = frame_type::cast}, payload_of_size(64));
    to_parrot({.kind = kinds::echo, .type = frame_type::reply, .correlation = 77}, payload_of_size(64));
    to_parrot({.kind = kinds::echo, .type = frame_type::failure, .correlation = 77}, payload_of_size(64));
    to_parrot({.kind = kinds::echo, .type = frame_type::request}, encode_name("x"));
    to_parrot({.kind = kinds::echo, .type = frame_type::request, .target = 1, .correlation = 1}, encode_name("x"));
    to_parrot({.kind = kinds::echo, .type = frame_type::cast, .target = no_name}, encode_name("x"));
    to_parrot({.kind = control_kinds::name, .type = frame_type::control, .target = 1}, payload_of_size(64));
    to_parrot({.kind = control_kinds::name, .type = frame_type::control, .target = 1}, encode_name(""));
    to_parrot({.kind = control_kinds::name, .type = frame_type::control, .target = max_names}, encode_name("x"));
    // Credit for what was not sent, and credit that is no number.
    const std::uint64_t credit = 1;
    to_parrot({.kind = control_kinds::credit, .type = frame_type::control}, std::as_bytes(std::span{&credit, 1}));
    to_parrot({.kind = control_kinds::credit, .type = frame_type::control}, {});
  }
  SECTION("what its actor calls malformed: the requester learns it, then the connection ends") {
    raw_peer peer{a.port};
    peer.say_hello({protocol_version, "test", "villain", 1});
    REQUIRE(peer.read());
    peer.give_name(0, "parrot");
    peer.send({.kind = kinds::malformed, .type = frame_type::request, .correlation = 1}, encode_name("x"));
    const auto answer = peer.read();
    REQUIRE(answer);
    CHECK(decode_failure(answer->payload)->code == transport_errc::malformed);
    CHECK_FALSE(peer.read());
    CHECK(w.stats(a).invalid_frames == ++invalid);
  }
  CHECK(w.echo(b, "a") == "hello");
  CHECK(w.stats(b).peers.at("a").connects == 1);
}

TEST_CASE("a reply to nothing is ignored: a peer can only answer what it was asked") {
  world w;
  const auto a = w.node("a");
  raw_peer peer{a.port};
  peer.say_hello({protocol_version, "test", "b", 1});
  REQUIRE(peer.read());
  peer.send({.kind = kinds::echo, .type = frame_type::reply, .correlation = 12345}, encode_name("surprise"));
  peer.give_name(7, "parrot");
  peer.send({.kind = kinds::echo, .type = frame_type::request, .target = 7, .correlation = 5},
            encode_name("still here"));
  const auto answer = peer.read();
  REQUIRE(answer);
  CHECK(answer->header == frame_header{static_cast<std::uint32_t>(answer->payload.size()), kinds::echo,
                                       frame_type::reply, 0, no_name, 5});
  CHECK(decode_name(answer->payload) == "still here");
}

TEST_CASE("a peer that falls silent is gone after the silence limit; one that says it lives is not") {
  world w;
  auto limits = quick();
  limits.silence_limit = 300ms;
  const auto a = w.node("a", {}, limits);
  const auto b = w.node("b", {world::at("a", a.port)}, limits);
  REQUIRE(w.echo(b, "a") == "hello");
  raw_peer frozen{a.port};
  frozen.say_hello({protocol_version, "test", "frozen", 1});
  REQUIRE(frozen.read());
  caf::scoped_actor self{w.system};
  auto outstanding = runtime::request(self.operator->(), a.transport, {"frozen", "x"}, say(kinds::echo), 300s);
  outstanding.receive([](const wire_message&) { FAIL("answered"); },
                      [](const caf::error& error) {
                        CHECK(as_transport_error(error) == transport_errc::peer_gone);
                        CHECK_THAT(describe(error), Catch::Contains("silent for 300 ms"));
                      });
  // b has been idle just as long, but for its heartbeats.
  CHECK(w.stats(a).peers.at("b").connected);
  CHECK(w.stats(a).peers.at("b").connects == 1);
}

TEST_CASE("a connection that never says hello ends; so does one that is not answered") {
  world w;
  auto limits = quick();
  limits.connect_timeout = 100ms;
  const auto a = w.node("a", {}, limits);
  raw_peer mute{a.port};
  CHECK_FALSE(mute.read());

  const auto listener = start_listening("127.0.0.1", 0);
  REQUIRE(listener);
  world::introduce(a, "b", listener->port);
  const auto answer = w.ask(a, {"b", "parrot"}, say(kinds::echo));
  CHECK(as_transport_error(std::get<caf::error>(answer)) == transport_errc::unreachable);
  CHECK_THAT(describe(std::get<caf::error>(answer)), Catch::Contains("no hello within 100 ms"));
  ::close(listener->fd);
}

TEST_CASE("a peer that does not read is overloaded, not a reason to run out of memory") {
  world w;
  auto limits = quick();
  limits.silence_limit = 60s;
  const auto a = w.node("a", {}, limits);
  raw_peer deaf{a.port};
  deaf.say_hello({protocol_version, "test", "deaf", 1});
  REQUIRE(deaf.read());
  bytes body(max_body_bytes);
  const std::uint64_t table = (max_body_bytes / 8 - 1) << 32;
  std::memcpy(body.data(), &table, sizeof table);
  const auto message = make_message(kinds::echo, std::move(body));
  caf::scoped_actor self{w.system};
  // The kernel's buffers take some of it, and now and then a little more; they are finite.
  bool overloaded = false;
  for (int i = 0; i < 200 && !overloaded; ++i) {
    runtime::cast(self.operator->(), a.transport, {"deaf", "x"}, message);
    runtime::cast(self.operator->(), a.transport, {"deaf", "x"}, message);
    const auto answer = w.ask(a, {"deaf", "x"}, message, 1ms);
    overloaded = as_transport_error(std::get<caf::error>(answer)) == transport_errc::overloaded;
  }
  CHECK(overloaded);
  CHECK(w.stats(a).lost_casts > 0);
  CHECK(w.stats(a).peers.at("deaf").queued_bytes <= limits.window_bytes + max_body_bytes);
}

TEST_CASE("when both connect at once one connection stays and no request is lost") {
  for (int round = 0; round < 20; ++round) {
    world w;
    const auto a = w.node("a"), b = w.node("b");
    world::introduce(a, "b", b.port);
    world::introduce(b, "a", a.port);
    std::string from_a, from_b;
    std::thread other{[&] { from_a = w.echo(a, "b", "from a"); }};
    from_b = w.echo(b, "a", "from b");
    other.join();
    CHECK(from_a == "from a");
    CHECK(from_b == "from b");
    CHECK(w.echo(a, "b") == "hello");
    CHECK(w.stats(a).peers.at("b").connected);
    CHECK(w.stats(b).peers.at("a").connected);
  }
}

TEST_CASE("a restarted peer replaces its former connection, an older incarnation does not") {
  world w;
  auto limits = quick();
  limits.silence_limit = 60s;
  const auto a = w.node("a", {}, limits);
  peer_watch watch{w, a};
  raw_peer first{a.port};
  first.say_hello({protocol_version, "test", "b", 5});
  REQUIRE(first.read());
  CHECK(watch.next() == "up b");
  raw_peer older{a.port};
  older.say_hello({protocol_version, "test", "b", 4});
  const auto refusal = older.read();
  REQUIRE(refusal);
  CHECK(refusal->header.kind == control_kinds::hello_refused);
  raw_peer newer{a.port};
  newer.say_hello({protocol_version, "test", "b", 6});
  const auto accepted = newer.read();
  REQUIRE(accepted);
  CHECK(accepted->header.kind == control_kinds::hello);
  CHECK_FALSE(first.read());
  CHECK(watch.next() == "down b: replaced by a new connection");
  CHECK(watch.next() == "up b");
}

TEST_CASE("a refused peer that never hangs up is hung up on") {
  world w;
  auto limits = quick();
  limits.connect_timeout = 100ms;
  limits.max_unidentified = 1;
  const auto a = w.node("a", {}, limits);
  raw_peer stubborn{a.port};
  stubborn.say_hello({protocol_version, "other", "b", 1});
  REQUIRE(stubborn.read()); // the refusal
  CHECK_FALSE(stubborn.read());
  // Its place is free again, though it never closed its end.
  for (;;) {
    raw_peer next{a.port};
    next.say_hello({protocol_version, "test", "c", 1});
    if (next.read())
      break;
  }
}

TEST_CASE("strangers can't take all connections") {
  world w;
  auto limits = quick();
  limits.max_unidentified = 4;
  limits.connect_timeout = 60s;
  const auto a = w.node("a", {}, limits);
  std::vector<std::unique_ptr<raw_peer>> strangers;
  strangers.reserve(4);
  for (int i = 0; i < 4; ++i)
    strangers.push_back(std::make_unique<raw_peer>(a.port));
  raw_peer one_more{a.port};
  CHECK_FALSE(one_more.read());
  strangers[0]->say_hello({protocol_version, "test", "b", 1});
  const auto answer = strangers[0]->read();
  REQUIRE(answer);
  CHECK(answer->header.kind == control_kinds::hello);
}

TEST_CASE("an address that can't be listened on is an error with a reason") {
  world w;
  const auto a = w.node("a");
  const auto taken = spawn_tcp_transport(
      w.system, {.self = {"b", "test", 1}, .listen_port = a.port, .directory = std::make_shared<directory>()});
  REQUIRE_FALSE(taken);
  CHECK_THAT(taken.error(), Catch::Contains("127.0.0.1:" + std::to_string(a.port)) && Catch::Contains("in use"));
  const auto named = spawn_tcp_transport(
      w.system, {.self = {"b", "test", 1}, .listen_host = "localhost", .directory = std::make_shared<directory>()});
  CHECK_FALSE(named);
}
