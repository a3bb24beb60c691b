#include "node/daemon/event_streams.hpp"

#include "node/daemon/http_api.hpp"
#include "node/launcher/node_client.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;

/// A stream with a client's end of its connection.
struct streamed {
  std::unique_ptr<event_streams> hub;
  std::shared_ptr<event_stream> stream;
  int client = -1;
  std::mutex mutex;
  std::condition_variable ended;
  bool over = false;

  explicit streamed(const event_streams::limits& limits = {}) : hub{std::make_unique<event_streams>(limits)} {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    client = ends[0];
    stream = hub->open();
    REQUIRE(stream);
    stream->on_end([this] {
      const std::lock_guard lock{mutex};
      over = true;
      ended.notify_all();
    });
    hub->attach(stream, ends[1]);
  }
  ~streamed() {
    leave();
    hub.reset(); // what it calls at the end is here
  }

  void leave() {
    if (client >= 0)
      ::close(client);
    client = -1;
  }
  /// What comes until `end` is in it, or nothing more comes.
  [[nodiscard]] std::string read_until(std::string_view end) const {
    std::string out;
    char c = 0;
    while (out.find(end) == std::string::npos && ::read(client, &c, 1) == 1)
      out += c;
    return out;
  }
  void await_end() {
    std::unique_lock lock{mutex};
    CHECK(ended.wait_for(lock, 20s, [this] { return over; }));
  }
};

} // namespace

TEST_CASE("what is pushed comes, and the end behind it") {
  streamed one;
  CHECK_THAT(one.read_until("\r\n\r\n"), Catch::StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  CHECK(one.stream->push("data: 1\n\n"));
  CHECK(one.read_until("\n\n") == "data: 1\n\n");
  one.stream->end("data: 2\n\n");
  CHECK_FALSE(one.stream->push("data: 3\n\n"));
  CHECK(one.read_until("never") == "data: 2\n\n");
  one.await_end();
  CHECK(one.hub->count() == 0);
}

TEST_CASE("a client that goes ends its stream") {
  streamed one;
  one.leave();
  one.await_end();
  CHECK_FALSE(one.stream->push("data: 1\n\n"));
  CHECK(one.hub->count() == 0);
}

TEST_CASE("a client that falls behind is told so, and its stream ends") {
  event_streams::limits limits;
  limits.max_queued_bytes = 4096;
  streamed one{limits};
  const std::string event = "data: " + std::string(1000, 'x') + "\n\n";
  int pushed = 0;
  // The sockets' own buffers take some.
  while (one.stream->push(event) && pushed < 1'000'000)
    ++pushed;
  const auto all = one.read_until("never");
  CHECK_THAT(all, Catch::Contains("event: lost\ndata: {\"error\""));
  std::size_t seen = 0;
  for (auto at = all.find(event); at != std::string::npos; at = all.find(event, at + event.size()))
    ++seen;
  CHECK(seen == static_cast<std::size_t>(pushed)); // all that was taken, and nothing else, came before
  one.await_end();
}

TEST_CASE("a client that reads nothing is given up") {
  event_streams::limits limits;
  limits.write_patience = 20ms;
  streamed one{limits};
  while (one.stream->push("data: " + std::string(100'000, 'x') + "\n\n"))
    ;
  one.await_end();
}

TEST_CASE("a silent stream says now and then that it is there") {
  event_streams::limits limits;
  limits.heartbeat = 10ms;
  streamed one{limits};
  CHECK_THAT(one.read_until(": \n\n: \n\n"), Catch::EndsWith(": \n\n: \n\n"));
}

TEST_CASE("there are not more streams than there may be") {
  event_streams::limits limits;
  limits.max_streams = 1;
  streamed one{limits};
  CHECK_FALSE(one.hub->open());
  one.leave();
  one.await_end();
  const auto second = one.hub->open();
  CHECK(second);
  one.hub->abandon(second);
  CHECK(one.hub->count() == 0);
}

TEST_CASE("streams take no thread from requests, and end with the API") {
  std::string name = "/tmp/event_streams_test.XXXXXX";
  const std::filesystem::path directory = ::mkdtemp(name.data());
  const auto socket = directory / "n.sock";
  std::mutex mutex;
  std::vector<std::shared_ptr<event_stream>> streams;
  api_handlers handlers;
  handlers.stream["events"] = [&](const api_call& call, const std::shared_ptr<event_stream>& stream) {
    if (call.query.contains("no"))
      throw api_refusal{404, "no such events", "not_found"};
    (void)stream->push("data: hello\n\n"); // no check: Catch2 has them on one thread only
    const std::lock_guard lock{mutex};
    streams.push_back(stream);
  };
  handlers.get_call["thing"] = [](const api_call&) { return api_answer{200, "{}"}; };
  auto api = std::make_unique<http_api>(socket, handlers);
  REQUIRE(api->start());
  std::atomic<int> greeted{0};
  std::vector<std::thread> clients;
  constexpr int many = 100; // more than there are threads
  for (int i = 0; i < many; ++i)
    clients.emplace_back([&] {
      const auto stream = [&] {
        return stream_node(
            socket, "/api/v1/events", 20s,
            [&](std::string_view text) { return greeted += text == "data: hello\n\n", true; }, [] { return true; });
      };
      // Not more than so many connections at once ask: the others are told to come again.
      for (auto said = stream(); said && said->status == 503; said = stream())
        std::this_thread::yield();
    });
  while (greeted < many)
    std::this_thread::yield();
  CHECK(ask_node(socket, "/api/v1/thing", 5s));
  const auto refused = call_node(socket, "/api/v1/events?no", std::nullopt, 5s);
  REQUIRE(refused);
  CHECK(refused->status == 404);
  CHECK(refused->body == R"({"code":"not_found","error":"no such events"})");
  api.reset();
  for (auto& client : clients)
    client.join();
  CHECK_FALSE(streams.front()->push("data: late\n\n"));
  std::filesystem::remove_all(directory);
}

} // namespace glocal::node
