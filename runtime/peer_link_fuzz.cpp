// Any frames of a peer that has said hello: names, credit, casts, requests, replies to what was asked and to what was
// not.

#include "runtime/simulation.hpp"
#include "runtime/switchboard.hpp"
#include "runtime/test_actors.hpp"

#include "base/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::runtime;

namespace {

void check(bool truth) {
  if (!truth)
    std::abort();
}

/// Takes all; what a link says to a peer must be frames, whatever the peer said.
struct open_connection : peer_connection {
  bool append(const frame_header& header, byte_view payload) override {
    check(payload.size() % 8 == 0 && payload.size() <= max_payload_bytes);
    check(header.type <= frame_type::control);
    return false;
  }
  bool append(std::vector<char>&&) override { return false; }
  void push() override {}
  [[nodiscard]] std::size_t queued() const override { return 0; }
  void close(const std::string&) override {}
};

struct quiet_network : link_network {
  void connect(peer_link& link) override { link.lost("no network"); }
  void note_lost(peer_link&) override {}
  void start_sweeping() override {}
};

struct world {
  world() {
    spdlog::set_level(spdlog::level::off);
    names->add("parrot", sim.own(sim.system().spawn<test::parrot>("parrot", heard)));
    board = switchboard::make(sim.system(), {"a", "fuzz", 1}, names, transport_limits{});
    board->use(std::make_unique<quiet_network>());
  }

  simulation sim;
  test::parrot::log heard = std::make_shared<test::parrot::log::element_type>();
  std::shared_ptr<directory> names = std::make_shared<directory>();
  std::shared_ptr<switchboard> board;
};

world& the_world() {
  // For all runs: making an actor system takes longer than a thousand of them.
  static auto* const one = new world;
  return *one;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto& w = the_world();
  auto& link = w.board->link("peer");
  const auto connection = std::make_shared<open_connection>();
  link.connected(connection, transport_limits{}.window_bytes);
  const transport via{{}, "a", w.names, w.board};
  const auto answer = w.sim.ask(via, {"peer", "somebody"}, test::say(test::kinds::echo));
  w.sim.run();
  frame_cutter cutter;
  cutter.accept_runs(256);
  bool good = true;
  (void)cutter.feed(std::as_bytes(std::span{data, size}), [&](byte_view run) {
    good = link.receive(*connection, std::make_shared<received_run>(run)).has_value();
    return good;
  });
  w.sim.run();
  link.lost("the end");
  w.sim.run();
  check(answer->reply.has_value() != answer->error.has_value());
  w.heard->clear();
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  if (index > 0)
    return 0;
  std::vector<char> stream;
  const auto body = encode_name("a body");
  const std::uint64_t credit = 300;
  append_frame(stream, {.kind = control_kinds::name, .type = frame_type::control, .target = 2}, encode_name("parrot"));
  append_frame(stream, {.kind = test::kinds::echo, .type = frame_type::request, .target = 2, .correlation = 9}, body);
  append_frame(stream, {.kind = test::kinds::echo, .type = frame_type::cast, .target = 2, .sender = 2}, body);
  append_frame(stream, {.kind = test::kinds::echo, .type = frame_type::reply, .correlation = 1}, body);
  append_frame(stream, {.kind = control_kinds::credit, .type = frame_type::control},
               std::as_bytes(std::span{&credit, 1}));
  append_frame(stream, {.kind = control_kinds::heartbeat, .type = frame_type::control}, {});
  append_frame(stream, {.kind = 0x0102, .type = frame_type::failure, .correlation = 1},
               encode(failure{transport_errc::no_such_actor, "x@y"}));
  const auto size = std::min(stream.size(), capacity);
  std::memcpy(out, stream.data(), size);
  return size;
}
