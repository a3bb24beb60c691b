// Routers over TLS: who talks to whom, and what both sides say when they do not. Real loopback, ephemeral ports; the
// tests wait for events, never for time to pass.

#include "runtime/tcp_transport.hpp"

#include "base/log.hpp"
#include "runtime/system.hpp"
#include "runtime/test_actors.hpp"
#include "runtime/tls_filter.hpp"
#include "runtime/tls_session.hpp"
#include "runtime/tls_test_certificates.hpp"

#include <catch2/catch.hpp>

#include <caf/all.hpp>
#include <spdlog/sinks/base_sink.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;
using glocal::runtime::testing::test_authority;

namespace {

constexpr auto patience = 20s;

/// What is logged meanwhile, instead of being printed.
class captured_log {
public:
  captured_log() : before_{spdlog::default_logger()} {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink_));
  }
  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;
  ~captured_log() { spdlog::set_default_logger(before_); }

  /// Waits for a line of router `node` with all these parts.
  [[nodiscard]] bool says(const std::string& node, const std::vector<std::string>& parts) const {
    std::unique_lock lock{sink_->mutex};
    const auto found = [&] {
      return std::any_of(sink_->lines.begin(), sink_->lines.end(), [&](const auto& line) {
        return line.find("router/" + node + ": ") != std::string::npos &&
               std::all_of(parts.begin(), parts.end(),
                           [&](const auto& part) { return line.find(part) != std::string::npos; });
      });
    };
    const bool said = sink_->more.wait_for(lock, patience, found);
    if (!said)
      for (const auto& line : sink_->lines)
        UNSCOPED_INFO(line);
    return said;
  }

private:
  struct sink : spdlog::sinks::base_sink<spdlog::details::null_mutex> {
    void sink_it_(const spdlog::details::log_msg& message) override {
      const std::scoped_lock lock{mutex};
      lines.emplace_back(message.payload.data(), message.payload.size());
      more.notify_all();
    }
    void flush_() override {}
    std::mutex mutex;
    std::condition_variable more;
    std::vector<std::string> lines;
  };

  const std::shared_ptr<sink> sink_ = std::make_shared<sink>();
  const std::shared_ptr<spdlog::logger> before_;
};

transport_limits quick() {
  transport_limits limits;
  limits.heartbeat_interval = 50ms;
  limits.silence_limit = 5000ms;
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

  /// A node of cluster `lab` with a parrot. @param certificate null: without TLS.
  tcp_transport node(const std::string& name, std::shared_ptr<const tls_context> certificate,
                     std::uint16_t peer_port = 0, const std::string& peer = "b", std::uint16_t port = 0,
                     std::uint64_t incarnation = 1, transport_limits limits = quick()) {
    tcp_transport_options options{.self = {name, "lab", incarnation},
                                  .listen_port = port,
                                  .limits = limits,
                                  .directory = std::make_shared<directory>()};
    if (peer_port != 0)
      options.peers.push_back({peer, "127.0.0.1", peer_port});
    if (certificate)
      options.make_filter = tls_filters(certificate, name);
    auto made = spawn_tcp_transport(system, options);
    REQUIRE(made);
    owned.push_back(made->transport.router);
    auto bird = system.spawn<parrot>(name + "/parrot");
    owned.push_back(bird);
    made->transport.directory->add("parrot", bird);
    return *made;
  }

  void end(const tcp_transport& node) {
    REQUIRE(stop_and_wait(system, node.transport.router, patience));
    std::erase(owned, node.transport.router);
  }

  /// The reply's text, or the error's.
  std::string echo(const tcp_transport& from, const std::string& to, const std::string& text = "hello",
                   std::chrono::milliseconds timeout = patience) {
    caf::scoped_actor self{system};
    std::string out;
    runtime::request(self.operator->(), from.transport, {to, "parrot"}, say(kinds::echo, text), timeout)
        .receive([&](const wire_message& reply) { out = heard(reply); },
                 [&](const caf::error& error) { out = describe(error); });
    return out;
  }
  /// Whether a body of `size` bytes comes back as it was.
  bool echoes(const tcp_transport& from, const std::string& to, std::size_t size, int seed) {
    bytes body(size);
    const std::uint64_t table = (size / 8 - 1) << 32;
    std::memcpy(body.data(), &table, sizeof table);
    for (std::size_t i = 16; i < size; ++i)
      body[i] = static_cast<std::byte>(i * 31 + static_cast<std::size_t>(seed));
    caf::scoped_actor self{system};
    bool same = false;
    runtime::request(self.operator->(), from.transport, {to, "parrot"}, make_message(kinds::echo, byte_view{body}),
                     patience)
        .receive([&](const wire_message& reply) { same = std::ranges::equal(reply.view(), body); },
                 [](const caf::error&) {});
    return same;
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

/// A socket of somebody who is no node.
class stranger {
public:
  explicit stranger(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  stranger(const stranger&) = delete;
  stranger& operator=(const stranger&) = delete;
  ~stranger() { ::close(fd_); }
  void send(byte_view what) { (void)!::send(fd_, what.data(), what.size(), MSG_NOSIGNAL); }
  /// Until the other side ends.
  std::size_t rest() {
    std::size_t out = 0;
    char chunk[4096];
    for (ssize_t got = 0; (got = ::recv(fd_, chunk, sizeof chunk, 0)) > 0;)
      out += static_cast<std::size_t>(got);
    return out;
  }

private:
  int fd_;
};

} // namespace

TEST_CASE("nodes of one authority talk both ways over one encrypted connection") {
  world w;
  const test_authority authority;
  const auto b = w.node("b", authority.context("b"));
  const auto a = w.node("a", authority.context("a"), b.port);
  CHECK(w.echo(a, "b", "over TLS") == "over TLS");
  CHECK(w.echo(b, "a", "and back") == "and back");
  CHECK(w.stats(a).peers.at("b").encryption == "TLSv1.3 TLS_AES_128_GCM_SHA256");
  CHECK(w.stats(b).peers.at("a").encryption == w.stats(a).peers.at("b").encryption);
  CHECK(w.stats(a).peers.at("b").connects == 1);
}

TEST_CASE("bodies of any size cross TLS, many at once from several threads") {
  world w;
  const test_authority authority;
  const auto b = w.node("b", authority.context("b"));
  const auto a = w.node("a", authority.context("a"), b.port);
  for (const std::size_t size : {std::size_t{16}, std::size_t{16384}, std::size_t{100'000}, max_body_bytes})
    CHECK(w.echoes(a, "b", size, 1));
  std::vector<std::thread> asking;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t)
    asking.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto size = 16 + static_cast<std::size_t>(i) * 504;
        right += w.echoes(t % 2 == 0 ? a : b, t % 2 == 0 ? "b" : "a", size, t) ? 1 : 0;
      }
    });
  for (auto& thread : asking)
    thread.join();
  CHECK(right == 8 * 50);
}

TEST_CASE("nodes of two authorities refuse each other, and both say why") {
  const captured_log log;
  world w;
  const test_authority ours, theirs;
  const auto b = w.node("b", ours.context("b"));
  const auto a = w.node("a", theirs.context("a"), b.port);
  CHECK_THAT(w.echo(a, "b"), Catch::StartsWith("unreachable") && Catch::Contains("another authority"));
  CHECK(log.says("a", {"no connection with b", "CN = b.lab", "another authority", "glocal certs"}));
  CHECK(log.says("b", {"refused this node's TLS: unknown CA"}));
  CHECK(w.stats(a).refusals > 0);
  CHECK(w.stats(b).refusals > 0);
}

TEST_CASE("a certified node can't speak in another's name, and both say why") {
  const captured_log log;
  world w;
  const test_authority authority;
  const auto b = w.node("b", authority.context("b"));
  SECTION("who dials") {
    const auto a = w.node("a", authority.context("mallory"), b.port);
    CHECK_THAT(w.echo(a, "b"), Catch::StartsWith("unreachable") || Catch::StartsWith("peer_gone"));
    CHECK(log.says("b", {"refused a", "the certificate it shows is that of mallory.lab, not of a"}));
    CHECK(log.says("a", {"b refused us", "that of mallory.lab, not of a"}));
  }
  SECTION("who is dialled") {
    const auto c = w.node("c", authority.context("c"), b.port, "a"); // told that a is where b is
    CHECK_THAT(w.echo(c, "a"), Catch::StartsWith("unreachable"));
    const auto impostor = w.node("d", authority.context("mallory"));
    const auto e = w.node("e", authority.context("e"), impostor.port, "d");
    CHECK_THAT(w.echo(e, "d"), Catch::StartsWith("unreachable") || Catch::StartsWith("peer_gone"));
    CHECK(log.says("e", {"refused d", "that of mallory.lab, not of d"}));
    CHECK(log.says("d", {"e refused us", "that of mallory.lab, not of d"}));
  }
}

TEST_CASE("a node with TLS and one without refuse each other, and both say what to do") {
  const captured_log log;
  world w;
  const test_authority authority;
  SECTION("the one without dials") {
    const auto b = w.node("b", authority.context("b"));
    const auto a = w.node("a", nullptr, b.port);
    CHECK_THAT(w.echo(a, "b"), Catch::StartsWith("unreachable"));
    CHECK(log.says("b", {"it speaks without TLS, this node with TLS", "security: {tls: ...}"}));
    CHECK(log.says("a", {"b refused us", "b speaks TLS only", "security: {tls: ...}"}));
  }
  SECTION("the one with TLS dials") {
    const auto b = w.node("b", nullptr);
    const auto a = w.node("a", authority.context("a"), b.port);
    CHECK_THAT(w.echo(a, "b"), Catch::StartsWith("unreachable"));
    CHECK(log.says("b", {"it speaks TLS, b without", "security: {tls: ...}"}));
    CHECK(log.says("a", {"no connection with b", "it speaks without TLS", "security: {tls: ...}"}));
  }
}

TEST_CASE("a node that comes back is talked to again, over a new handshake") {
  world w;
  const test_authority authority;
  auto b = w.node("b", authority.context("b"));
  const auto port = b.port;
  const auto a = w.node("a", authority.context("a"), port);
  for (std::uint64_t incarnation = 2; incarnation < 6; ++incarnation) {
    REQUIRE(w.echo(a, "b") == "hello");
    w.end(b);
    b = w.node("b", authority.context("b"), 0, "", port, incarnation);
    // What is asked before the loss is noticed fails at once; soon it does not.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (w.echo(a, "b") != "hello")
      REQUIRE(std::chrono::steady_clock::now() < deadline);
  }
  CHECK(w.stats(a).peers.at("b").connects == 5);
  CHECK_FALSE(w.stats(a).peers.at("b").encryption.empty());
}

TEST_CASE("strangers are sent away and the others notice nothing") {
  const captured_log log;
  world w;
  const test_authority authority;
  auto limits = quick();
  limits.connect_timeout = 200ms;
  const auto b = w.node("b", authority.context("b"), 0, "", 0, 1, limits);
  const auto a = w.node("a", authority.context("a"), b.port);
  REQUIRE(w.echo(a, "b") == "hello");
  SECTION("one that sends garbage that begins as TLS does") {
    stranger one{b.port};
    bytes garbage(3000, std::byte{0x5a});
    garbage[0] = std::byte{22};
    one.send(garbage);
    CHECK(one.rest() < 100); // an alert
    CHECK(log.says("b", {"no connection with 127.0.0.1"}));
  }
  SECTION("one that begins a handshake and falls silent") {
    bytes first;
    const tls_session session{authority.context("c"), tls_session::side::client, first};
    stranger one{b.port};
    one.send(byte_view{first}.first(first.size() / 2));
    CHECK(one.rest() == 0);
  }
  SECTION("one that says nothing") {
    stranger one{b.port};
    CHECK(one.rest() == 0);
  }
  CHECK(w.echo(a, "b") == "hello");
  CHECK(w.stats(a).peers.at("b").connects == 1);
}
