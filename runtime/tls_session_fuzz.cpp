// Any bytes through the receiving side of TLS: at a server and a client that wait, at established ones, and as changes
// of a handshake under way. Whatever comes, memory stays bounded and nothing but what the peer sealed comes out.

#include "runtime/tls_session.hpp"
#include "runtime/tls_test_certificates.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::runtime;

namespace {

constexpr std::size_t most_sent_bytes = 16 << 10;

void check(bool truth) {
  if (!truth)
    std::abort();
}

const std::shared_ptr<const tls_context>& context(bool client) {
  static const testing::test_authority authority;
  static const auto e1 = authority.context("e1"), e2 = authority.context("e2");
  return client ? e1 : e2;
}

struct end {
  bytes out;
  tls_session session;
  std::size_t plain_bytes = 0;
  bool failed = false;

  explicit end(bool client)
      : session{context(client), client ? tls_session::side::client : tls_session::side::server, out} {}

  void take(byte_view wire) {
    std::array<std::byte, 1024> scratch;
    for (;;) {
      const auto before = wire.size();
      const auto plain = session.receive(wire, scratch, out);
      check(wire.size() <= before);
      if (!plain) {
        check(!plain.error().text.empty());
        failed = true;
        return;
      }
      if (plain->empty())
        break;
      plain_bytes += plain->size();
    }
    check(wire.empty());
    check(out.size() <= most_sent_bytes);
  }
};

/// A handshake in which every flight is changed at places the input says.
void change_handshake(byte_view input, bool plain_only_if_sealed) {
  end client{true}, server{false};
  std::size_t at = 0;
  const auto change = [&](bytes flight) {
    if (at + 2 < input.size() && !flight.empty()) {
      const auto place = load_be16(input.data() + at) % (2 * flight.size()); // half of the flights stay whole
      if (place < flight.size())
        flight[place] ^= input[at + 2];
      at += 3;
    }
    return flight;
  };
  for (int flights = 0; flights < 6 && !client.failed && !server.failed; ++flights) {
    const auto from_client = change(std::exchange(client.out, {}));
    server.take(from_client);
    const auto from_server = change(std::exchange(server.out, {}));
    client.take(from_server);
  }
  check(!plain_only_if_sealed || (client.plain_bytes == 0 && server.plain_bytes == 0));
  if (server.session.established() && !server.failed) {
    check(server.session.certifies("e1") && !server.session.certifies("e2"));
    server.take(input.subspan(std::min(at, input.size())));
    check(server.plain_bytes == 0);
  }
}

bytes plain(std::initializer_list<unsigned char> values) {
  bytes out;
  for (const auto value : values)
    out.push_back(std::byte{value});
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span{data, size});
  if (input.empty())
    return 0;
  const auto rest = input.subspan(1);
  // A whole handshake costs as much as a hundred of the others.
  const auto how = std::to_integer<unsigned>(input[0]) % 64;
  if (how == 0) {
    change_handshake(rest, true);
  } else {
    end one{how % 8 == 1};
    one.take(rest);
    check(one.plain_bytes == 0 && !one.session.established());
    one.out.clear();
    one.take(rest); // after a failure, too
    check(one.plain_bytes == 0);
  }
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  end client{true}, server{false};
  bytes stream{std::byte(index == 1 ? 1 : 2)};
  switch (index) {
  case 0: stream.insert(stream.end(), client.out.begin(), client.out.end()); break;
  case 1: // what a server answers, though to another client
    server.take(client.out);
    stream.insert(stream.end(), server.out.begin(), server.out.end());
    break;
  case 2: stream = plain({0, 0, 90, 1, 1, 0, 7, 0, 40, 3}); break;
  case 3: stream = plain({2, 21, 3, 3, 0, 2, 2, 48}); break; // an alert: unknown CA
  default: return 0;
  }
  const auto size = std::min(stream.size(), capacity);
  std::memcpy(out, stream.data(), size);
  return size;
}
