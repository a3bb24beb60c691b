// What crosses threads in the transport without an actor: run under ThreadSanitizer by .ci/run.

#include "runtime/io_wake.hpp"
#include "runtime/outbox.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include <poll.h>

using namespace glocal;
using namespace glocal::runtime;

namespace {

/// A socket of a kind: takes what it likes, now and then nothing.
struct pipe_end {
  explicit pipe_end(std::uint64_t seed) : random{seed} {}

  std::ptrdiff_t write(byte_view piece) {
    const auto most = random() % 4 == 0 ? random() % 50 : piece.size();
    const auto taken = std::min<std::size_t>(piece.size(), most);
    got.insert(got.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(taken));
    return static_cast<std::ptrdiff_t>(taken);
  }

  std::mt19937_64 random;
  bytes got;
};

struct connection {
  explicit connection(std::uint64_t seed) : socket{seed} {}
  outbox::outcome flush(int rounds) {
    return box.flush([this](byte_view piece) { return socket.write(piece); }, rounds);
  }
  outbox box;
  // Of who is responsible for the box.
  pipe_end socket;
};

frame_header numbered(std::uint16_t thread, std::uint32_t number) {
  return {.kind = thread, .type = frame_type::cast, .correlation = number};
}

/// The next number expected of each thread, after all that arrived; fails when one is out of order.
std::vector<std::uint32_t> numbers_in(byte_view stream, std::size_t threads) {
  std::vector<std::uint32_t> next(threads);
  frame_cutter cutter;
  cutter.accept_runs(1024);
  REQUIRE(cutter.feed(stream, [&](byte_view run) {
    for_each_frame(run, [&](const frame_header& header, byte_view payload) {
      REQUIRE(header.kind < threads);
      REQUIRE(header.correlation == next[header.kind]++);
      REQUIRE(payload.size() == 8 * (header.correlation % 5));
      return true;
    });
    return true;
  }));
  return next;
}

} // namespace

TEST_CASE("one is responsible from the first frame until all is written") {
  outbox box;
  bytes got;
  const auto take_all = [&](byte_view piece) {
    got.insert(got.end(), piece.begin(), piece.end());
    return static_cast<std::ptrdiff_t>(piece.size());
  };
  CHECK(box.append(numbered(0, 0), {}));
  CHECK_FALSE(box.append(numbered(0, 1), bytes(8)));
  CHECK(box.queued() == 40);
  CHECK(box.flush(take_all, 1) == outbox::outcome::empty);
  CHECK(box.queued() == 0);
  CHECK(numbers_in(got, 1)[0] == 2);
  CHECK(box.append(numbered(0, 2), {}));
}

TEST_CASE("who is blocked or broken stays responsible, and nothing is written twice") {
  outbox box;
  bytes got;
  std::ptrdiff_t allowed = 10;
  const auto take_some = [&](byte_view piece) {
    if (allowed < 0)
      return allowed;
    const auto taken = std::min<std::size_t>(piece.size(), static_cast<std::size_t>(allowed));
    got.insert(got.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(taken));
    return static_cast<std::ptrdiff_t>(taken);
  };
  CHECK(box.append(numbered(0, 0), {}));
  CHECK(box.flush(take_some, 1) == outbox::outcome::blocked);
  CHECK_FALSE(box.append(numbered(0, 1), bytes(8)));
  CHECK(box.queued() == 30);
  allowed = -1;
  CHECK(box.flush(take_some, 1) == outbox::outcome::broken);
  allowed = 1000;
  CHECK(box.flush(take_some, 1) == outbox::outcome::more);
  CHECK(box.flush(take_some, 1) == outbox::outcome::empty);
  CHECK(numbers_in(got, 1)[0] == 2);
}

TEST_CASE("a claim has the writer called once more, also when there is nothing to write") {
  outbox box;
  int calls = 0;
  const auto count = [&](byte_view piece) {
    CHECK(piece.empty());
    // While it is being written: the claim is seen nevertheless.
    if (++calls == 1)
      CHECK_FALSE(box.claim());
    return std::ptrdiff_t{0};
  };
  CHECK(box.claim());
  CHECK(box.flush(count, 5) == outbox::outcome::empty);
  CHECK(calls >= 2);
}

TEST_CASE("what waits longer than a piece leaves in order, also frames larger than one") {
  outbox box;
  bytes got;
  const auto take_all = [&](byte_view piece) {
    got.insert(got.end(), piece.begin(), piece.end());
    return static_cast<std::ptrdiff_t>(piece.size());
  };
  std::size_t expected = 0;
  bool first = true;
  const auto append = [&](std::size_t size) {
    CHECK(box.append(numbered(0, 0), bytes(size)) == std::exchange(first, false));
    expected += frame_header_bytes + size;
    CHECK(box.queued() == expected);
  };
  for (int i = 0; i < 1000; ++i)
    append(1024);
  append(8 * buffer_pool::buffer_bytes);
  append(8);
  CHECK(box.flush(take_all, 1000) == outbox::outcome::empty);
  CHECK(box.queued() == 0);
  std::vector<std::size_t> sizes;
  for_each_frame(got, [&](const frame_header&, byte_view payload) {
    sizes.push_back(payload.size());
    return true;
  });
  REQUIRE(sizes.size() == 1002);
  CHECK(std::count(sizes.begin(), sizes.end(), 1024) == 1000);
  CHECK(sizes[1000] == 8 * buffer_pool::buffer_bytes);
  CHECK(sizes[1001] == 8);
}

TEST_CASE("a buffer of the pool's size goes round, others don't") {
  auto& pool = buffer_pool::shared();
  auto buffer = pool.take();
  CHECK(buffer.capacity() >= buffer_pool::buffer_bytes);
  buffer.push_back('x');
  const auto* where = buffer.data();
  pool.give(std::move(buffer));
  std::vector<char> small(8), large(3 * buffer_pool::buffer_bytes);
  pool.give(std::move(small));
  pool.give(std::move(large));
  auto again = pool.take();
  CHECK(again.data() == where);
  CHECK(again.empty());
  CHECK(pool.take().capacity() < 3 * buffer_pool::buffer_bytes);
}

TEST_CASE("frames of many threads arrive in the order of each, whoever writes them") {
  constexpr std::size_t threads = 4;
  constexpr std::uint32_t each = 20'000;
  const std::uint64_t seed = 1;
  const auto shared = std::make_shared<connection>(seed);
  io_wake<connection> wake;
  std::atomic<bool> stop{false};

  std::thread io{[&] {
    wake.adopt_thread();
    io_wake<connection>::posts posts;
    while (!stop || shared->box.queued() > 0) {
      if (wake.may_sleep()) {
        pollfd wait{wake.descriptor(), POLLIN, 0};
        ::poll(&wait, 1, 1000);
      }
      wake.awake();
      wake.take(posts);
      // Blocked: tried again, as when a socket becomes writable.
      for (const auto& one : posts.flushes)
        if (one->flush(2) != outbox::outcome::empty)
          wake.post_flush(one);
      for (const auto& task : posts.tasks)
        task();
    }
  }};
  std::vector<std::thread> senders;
  for (std::uint16_t id = 0; id < threads; ++id)
    senders.emplace_back([&, id] {
      for (std::uint32_t i = 0; i < each; ++i) {
        const bytes payload(8 * (i % 5));
        if (!shared->box.append(numbered(id, i), payload))
          continue;
        // Now on its own thread, now on the other.
        if (i % 3 != 0 || shared->flush(1) != outbox::outcome::empty)
          wake.post_flush(shared);
      }
    });
  for (auto& thread : senders)
    thread.join();
  stop = true;
  wake.post_task([] {});
  io.join();
  CHECK(numbers_in(shared->socket.got, threads) == std::vector<std::uint32_t>(threads, each));
}
