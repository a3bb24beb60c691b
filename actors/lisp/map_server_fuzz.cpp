// Datagrams from anybody at the Map-Server's step function: nothing may crash, what is sent is well-formed and for
// somebody, and every datagram that came is accounted for.

#include "actors/lisp/testing/lisp_world.hpp"
#include "dataplane/lisp/testing/captured_messages.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"

#include <algorithm>
#include <cstdlib>

using namespace glocal;
using namespace glocal::lisp;
using namespace glocal::lisp::testing;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

/// Input: a count of bytes of the first datagram (2), then the rest: two datagrams of one sender, and time.
struct trial {
  world w{{"l1"}, [](map_server_settings& settings) {
            settings.limits = {0, 0};
            for (auto& one : settings.sites)
              one.keys.push_back({0, std::string{captured_secret}});
          }};

  void receive(byte_view message) {
    const auto sent = w.receive("l1", {message.begin(), message.end()});
    check(sent);
    w.advance(std::chrono::milliseconds{1100});
    check(w.sent());
  }
  static void check(const std::vector<datagram>& sent) {
    for (const auto& one : sent) {
      require(decode(one.payload).has_value());
      require(!one.remote.address.is_unspecified() && !one.remote.address.is_multicast());
      require(one.local.family == one.remote.address.family);
    }
  }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span{data, size});
  if (size < 2)
    return 0;
  const auto first = std::min<std::size_t>(load_be16(input.data()), size - 2);
  trial one;
  one.receive(input.subspan(2, first));
  one.receive(input.subspan(2 + first));
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  static const auto inputs = [] {
    std::vector<bytes> all;
    const auto registered =
        encode_signed(register_of({record_of("192.168.2.0/24", {locator_at("10.0.4.2")})}), branch_secret, oor_method)
            .value();
    const auto asked = encapsulated(request_for("192.168.2.9/32", "10.0.3.2"));
    all.push_back(registered);
    all.push_back(asked);
    auto subscribed = request_for("192.168.2.0/24", "10.0.3.2", "203.0.113.1");
    subscribed.records[0].notify = true;
    subscribed.identity.emplace();
    all.push_back(encapsulated(subscribed));
    for (auto& one : captured_messages())
      all.push_back(std::move(one.message));
    for (const auto& one : sample_messages())
      all.push_back(encode(one.message).value());
    std::vector<bytes> pairs;
    for (const auto& second : all) {
      bytes both(2);
      store_be16(both.data(), static_cast<std::uint16_t>(registered.size()));
      both.insert(both.end(), registered.begin(), registered.end());
      both.insert(both.end(), second.begin(), second.end());
      pairs.push_back(std::move(both));
    }
    return pairs;
  }();
  if (index >= inputs.size())
    return 0;
  const auto size = std::min(capacity, inputs[index].size());
  std::copy_n(reinterpret_cast<const std::uint8_t*>(inputs[index].data()), size, out);
  return size;
}
