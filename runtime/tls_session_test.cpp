#include "runtime/tls_session.hpp"

#include "runtime/tls_test_certificates.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <optional>
#include <random>

namespace glocal::runtime {
namespace {

using namespace std::chrono_literals;
using testing::since;
using testing::test_authority;
using side = tls_session::side;

byte_view view_of(const bytes& wire) {
  return wire;
}
byte_view view_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

/// One end of a connection in memory: what it has to send, what it got, why it ended.
struct endpoint {
  bytes out;
  tls_session session;
  bytes got;
  std::optional<tls_error> error;

  endpoint(std::shared_ptr<const tls_context> context, side which) : session{std::move(context), which, out} {}

  /// Feeds `wire` in pieces of at most `step` bytes.
  void take(byte_view wire, std::size_t step = SIZE_MAX) {
    std::array<std::byte, 4096> scratch;
    while (!wire.empty() && !error) {
      auto piece = wire.first(std::min(step, wire.size()));
      wire = wire.subspan(piece.size());
      for (;;) {
        const auto plain = session.receive(piece, scratch, out);
        if (!plain) {
          error = plain.error();
          break;
        }
        if (plain->empty())
          break;
        got.insert(got.end(), plain->begin(), plain->end());
      }
      CHECK((error || piece.empty()));
    }
  }
  [[nodiscard]] std::string text() const { return {reinterpret_cast<const char*>(got.data()), got.size()}; }
};

/// Carries what both have to send until neither has anything.
void exchange(endpoint& a, endpoint& b, std::size_t step = SIZE_MAX) {
  while (!a.out.empty() || !b.out.empty()) {
    const auto from_a = std::exchange(a.out, {}), from_b = std::exchange(b.out, {});
    b.take(view_of(from_a), step);
    a.take(view_of(from_b), step);
  }
}

struct pair {
  test_authority authority;
  endpoint client{authority.context("e1"), side::client}, server{authority.context("e2"), side::server};
};

bytes random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random{seed};
  bytes out(size);
  for (auto& one : out)
    one = static_cast<std::byte>(random());
  return out;
}

} // namespace

TEST_CASE("two nodes of one authority know each other by name and exchange text") {
  pair two;
  CHECK_FALSE(two.client.session.established());
  exchange(two.client, two.server);
  REQUIRE(two.client.session.established());
  REQUIRE(two.server.session.established());
  CHECK(two.client.session.certifies("e2"));
  CHECK_FALSE(two.client.session.certifies("e1"));
  CHECK(two.server.session.certifies("e1"));
  CHECK_FALSE(two.server.session.certifies("e"));
  CHECK_FALSE(two.server.session.certifies("e1.lab"));
  CHECK(two.server.session.peer_names() == "e1.lab");
  two.client.session.send(view_of("hello"), two.client.out);
  two.server.session.send(view_of("and hello"), two.server.out);
  const auto hello = view_of("hello");
  CHECK(std::search(two.client.out.begin(), two.client.out.end(), hello.begin(), hello.end()) == two.client.out.end());
  CHECK(two.client.session.description() == "TLSv1.3 TLS_AES_128_GCM_SHA256");
  exchange(two.client, two.server);
  CHECK(two.server.text() == "hello");
  CHECK(two.client.text() == "and hello");
}

TEST_CASE("a stream cut into single bytes is the same stream") {
  pair two;
  exchange(two.client, two.server, 1);
  REQUIRE(two.client.session.established());
  REQUIRE(two.server.session.established());
  two.client.session.send(view_of("hello"), two.client.out);
  exchange(two.client, two.server, 1);
  CHECK(two.server.text() == "hello");
}

TEST_CASE("megabytes arrive as they were, both ways at once, in records that add at most 22 bytes to 16 KiB") {
  pair two;
  exchange(two.client, two.server);
  const auto there = random_bytes(5'000'001, 1), back = random_bytes(3'000'003, 2);
  two.client.session.send(there, two.client.out);
  two.server.session.send(back, two.server.out);
  CHECK(two.client.out.size() <= there.size() + (there.size() / 16384 + 1) * 22);
  exchange(two.client, two.server, 32 << 10);
  CHECK(two.server.got == there);
  CHECK(two.client.got == back);
}

TEST_CASE("many small messages come out in order") {
  pair two;
  exchange(two.client, two.server);
  std::string all;
  for (int i = 0; i < 2000; ++i) {
    const auto one = std::to_string(i) + ",";
    two.client.session.send(view_of(one), two.client.out);
    all += one;
  }
  exchange(two.client, two.server, 1000);
  CHECK(two.server.text() == all);
}

TEST_CASE("what a peer that is not established makes us send is bounded") {
  pair two;
  CHECK(two.client.out.size() < 1024);
  exchange(two.client, two.server);
  const auto first = std::exchange(two.client.out, {});
  endpoint server{two.authority.context("e2"), side::server};
  endpoint client{two.authority.context("e1"), side::client};
  server.take(view_of(client.out));
  CHECK(server.out.size() < 4096);
}

TEST_CASE("a node of another authority is refused on either side, and told so") {
  test_authority ours, theirs;
  endpoint client{theirs.context("e1"), side::client}, server{ours.context("e2"), side::server};
  exchange(client, server);
  // The client sees the server's certificate first.
  REQUIRE(client.error);
  CHECK_THAT(client.error->text,
             Catch::Contains("CN = e2.lab") && Catch::Contains("another authority") && Catch::Contains("glocal certs"));
  REQUIRE(server.error);
  CHECK_THAT(server.error->text, Catch::Contains("refused this node's TLS: unknown CA"));
  CHECK_FALSE(server.session.established());
}

TEST_CASE("a client that believes everybody is refused by the server, and told so") {
  test_authority ours, theirs;
  auto credulous = theirs.material("e1.lab");
  credulous.authority += ours.authority().credentials().certificate;
  endpoint client{tls_context::make(credulous, "e1", "lab").value(), side::client};
  endpoint server{ours.context("e2"), side::server};
  exchange(client, server);
  REQUIRE(server.error);
  CHECK_THAT(server.error->text, Catch::Contains("CN = e1.lab") && Catch::Contains("another authority"));
  REQUIRE(client.error);
  CHECK_THAT(client.error->text, Catch::Contains("unknown CA"));
}

TEST_CASE("an expired certificate is refused, with its date") {
  const test_authority authority{since(-48h, 24h)};
  const auto yesterday = since(-25h, -24h);
  const auto expired = tls_context::make(authority.material("e1.lab", yesterday), "e1", "lab",
                                         std::chrono::system_clock::now() - 24h - 30min);
  REQUIRE(expired);
  endpoint client{*expired, side::client}, server{authority.context("e2"), side::server};
  exchange(client, server);
  REQUIRE(server.error);
  CHECK_THAT(server.error->text, Catch::Contains("expired on " + date_text(yesterday.not_after)));
  REQUIRE(client.error);
  CHECK_THAT(client.error->text,
             Catch::Contains("certificate expired") && Catch::Contains("this node's certificate has expired"));
}

TEST_CASE("a certificate of tomorrow is refused, with a hint at the clocks") {
  const test_authority authority;
  const auto early = tls_context::make(authority.material("e1.lab", since(2h, 3h)), "e1", "lab",
                                       std::chrono::system_clock::now() + 2h + 30min);
  // Our own clock says otherwise: the authority would have expired by then, were it not valid for a day.
  REQUIRE(early);
  endpoint client{*early, side::client}, server{authority.context("e2"), side::server};
  exchange(client, server);
  REQUIRE(server.error);
  CHECK_THAT(server.error->text, Catch::Contains("not valid before") && Catch::Contains("clocks"));
}

TEST_CASE("a certified node is nobody but itself") {
  const test_authority authority;
  endpoint client{tls_context::make(authority.material("e3.other"), "e3", "other").value(), side::client};
  endpoint server{authority.context("e2"), side::server};
  exchange(client, server);
  REQUIRE(server.session.established());
  CHECK_FALSE(server.session.certifies("e3"));
  CHECK_FALSE(server.session.certifies("e2"));
  CHECK(server.session.peer_names() == "e3.other");
}

TEST_CASE("names no node can have count for nothing") {
  const test_authority authority;
  // A wildcard, a name with a suffix, upper case: OpenSSL's notation takes several names.
  endpoint client{
      tls_context::make(authority.material("e9.lab,DNS:*.lab,DNS:e1.lab.evil,DNS:E1.LAB"), "e9", "lab").value(),
      side::client};
  endpoint server{authority.context("e2"), side::server};
  exchange(client, server);
  REQUIRE(server.session.established());
  CHECK(server.session.certifies("e9"));
  CHECK_FALSE(server.session.certifies("e1"));
  CHECK_FALSE(server.session.certifies("*"));
}

TEST_CASE("a peer without TLS is recognised by its first byte") {
  pair two;
  // A frame: its first byte is a multiple of 8.
  const std::array<std::byte, 24> frame{std::byte{8}};
  CHECK_FALSE(looks_like_tls(frame));
  CHECK(looks_like_tls(view_of(two.client.out)));
  two.server.take(frame);
  REQUIRE(two.server.error);
  CHECK(two.server.error->what == tls_error::kind::no_tls);
  CHECK_THAT(two.server.error->text, Catch::Contains("without TLS") && Catch::Contains("security"));
  CHECK(two.server.out.empty());
  two.client.take(frame, 1);
  REQUIRE(two.client.error);
  CHECK(two.client.error->what == tls_error::kind::no_tls);
}

TEST_CASE("garbage ends a connection at any stage") {
  pair two;
  auto garbage = random_bytes(1000, 3);
  garbage[0] = std::byte{22};
  SECTION("at a server that waits") {
    two.server.take(garbage);
    REQUIRE(two.server.error);
    CHECK(two.server.error->what == tls_error::kind::failed);
    CHECK_FALSE(two.server.error->text.empty());
  }
  SECTION("at a client that waits") {
    two.client.take(garbage);
    CHECK(two.client.error);
  }
  SECTION("at an established one: a record that was changed on its way") {
    exchange(two.client, two.server);
    two.client.session.send(view_of("hello"), two.client.out);
    two.client.out.back() ^= std::byte{1};
    two.server.take(view_of(two.client.out));
    REQUIRE(two.server.error);
    CHECK(two.server.got.empty());
  }
  SECTION("at an established one: a record a second time") {
    exchange(two.client, two.server);
    two.client.session.send(view_of("hello"), two.client.out);
    const auto record = std::exchange(two.client.out, {});
    two.server.take(view_of(record));
    CHECK(two.server.text() == "hello");
    two.server.take(view_of(record));
    CHECK(two.server.error);
    CHECK(two.server.text() == "hello");
  }
}

TEST_CASE("a stream that was cut off differs from one that was ended") {
  pair two;
  exchange(two.client, two.server);
  two.client.session.send(view_of("all of it"), two.client.out);
  const auto record = std::exchange(two.client.out, {});
  two.server.take(view_of(record).first(record.size() - 1));
  CHECK(two.server.got.empty());
  CHECK_FALSE(two.server.session.peer_closed());
  two.server.take(view_of(record).last(1));
  CHECK(two.server.text() == "all of it");
  two.client.session.close(two.client.out);
  exchange(two.client, two.server);
  CHECK_FALSE(two.server.error);
  CHECK(two.server.session.peer_closed());
  // Nothing is sent any more, and nothing breaks.
  two.client.session.send(view_of("late"), two.client.out);
  CHECK(two.client.out.empty());
}

TEST_CASE("after a failure a session takes and sends nothing") {
  pair two;
  auto garbage = random_bytes(100, 4);
  garbage[0] = std::byte{22};
  two.server.take(garbage);
  REQUIRE(two.server.error);
  two.server.out.clear();
  two.server.session.send(view_of("x"), two.server.out);
  two.server.session.close(two.server.out);
  std::array<std::byte, 64> scratch;
  auto wire = view_of(two.client.out);
  CHECK_FALSE(two.server.session.receive(wire, scratch, two.server.out));
  CHECK(two.server.out.empty());
}

} // namespace glocal::runtime
