#include "runtime/flow_control.hpp"

#include "runtime/suspicion.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

using namespace glocal;
using namespace glocal::runtime;
using namespace std::chrono_literals;

TEST_CASE("a window lets through what fits, and one message more") {
  send_window window{1000};
  CHECK(window.has_room());
  window.sent(999);
  CHECK(window.has_room());
  window.sent(5000);
  CHECK_FALSE(window.has_room());
  CHECK(window.under_way() == 5999);
  CHECK(window.credit(999));
  CHECK_FALSE(window.has_room());
  CHECK(window.credit(5999));
  CHECK(window.has_room());
  CHECK(window.half_empty());
}

TEST_CASE("credit that goes back or beyond what was sent is refused") {
  send_window window{1000};
  window.sent(100);
  CHECK_FALSE(window.credit(101));
  CHECK(window.credit(60));
  CHECK_FALSE(window.credit(59));
  CHECK(window.credit(60));
  CHECK(window.under_way() == 40);
}

TEST_CASE("a receiver announces eighths of its window, and notices who sends more than that") {
  std::vector<std::uint64_t> announced;
  receive_window window{800, [&](std::uint64_t handled) { announced.push_back(handled); }};
  CHECK(window.arrived(800, 0));
  window.handled(100);
  CHECK(announced.empty());
  window.handled(1);
  CHECK(announced == std::vector<std::uint64_t>{101});
  window.handled(300);
  CHECK(announced == std::vector<std::uint64_t>{101, 401});
  // 399 are waiting; one message of any size may overshoot the window, and another.
  CHECK(window.arrived(800 - 399 + 2 * flow_cost(0), 0));
  CHECK_FALSE(window.arrived(1, 0));
}

TEST_CASE("a run counts as handled when the last that holds it lets go") {
  std::uint64_t handled = 0;
  const auto window = std::make_shared<receive_window>(8, [&](std::uint64_t total) { handled = total; });
  auto run = std::make_shared<received_run>(bytes(64));
  run->count(window, 500);
  const std::shared_ptr<const void> slice = run;
  run.reset();
  CHECK(handled == 0);
  const_cast<std::shared_ptr<const void>&>(slice).reset();
  CHECK(handled == 500);
}

TEST_CASE("whatever threads handle messages, one at a time announces and nothing is forgotten") {
  constexpr int threads = 4, each = 50'000;
  std::atomic<int> inside{0};
  std::uint64_t last = 0;
  std::atomic<bool> alone{true}, ascending{true};
  receive_window window{8000, [&](std::uint64_t total) {
                          if (inside.fetch_add(1) != 0)
                            alone = false;
                          if (total <= last)
                            ascending = false;
                          last = total;
                          inside.fetch_sub(1);
                        }};
  std::vector<std::thread> all;
  all.reserve(threads);
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&] {
      for (int k = 0; k < each; ++k)
        window.handled(1);
    });
  for (auto& thread : all)
    thread.join();
  CHECK(alone);
  CHECK(ascending);
  // Less than an eighth is kept back.
  CHECK(std::uint64_t{threads} * each - last <= 1001);
}

TEST_CASE("suspicion grows with silence: wrong once in ten, in a hundred, in 10^8") {
  suspicion_meter meter{100ms};
  const suspicion_meter::time_point start{};
  meter.restart(start);
  auto now = start;
  for (int i = 0; i < 100; ++i)
    meter.heartbeat(now += 100ms);
  CHECK(meter.level(now) < 0.01);
  CHECK(meter.level(now + 100ms) == Approx(0.301).epsilon(0.01)); // half of all come later than the mean
  CHECK(meter.level(now + 132ms) == Approx(1).epsilon(0.05));
  CHECK(meter.level(now + 200ms) > 4);
  CHECK(meter.level(now + 250ms) > 8);
  CHECK(meter.level(now + 1h) == 300);
  double before = 0;
  for (auto silent = 0ms; silent < 400ms; silent += 1ms) {
    CHECK(meter.level(now + silent) >= before);
    before = meter.level(now + silent);
  }
}

TEST_CASE("who is irregular is given more time, and any sign of life ends suspicion") {
  suspicion_meter regular{100ms}, irregular{100ms};
  suspicion_meter::time_point now{};
  regular.restart(now);
  irregular.restart(now);
  for (int i = 0; i < 64; ++i) {
    regular.heartbeat(now + i * 100ms);
    irregular.heartbeat(now + i * 100ms + (i % 2 == 0 ? 0ms : 80ms));
  }
  const auto later = now + 63 * 100ms + 80ms + 250ms;
  CHECK(irregular.level(later) < 8);
  CHECK(regular.level(later) > 8);
  regular.sign_of_life(later);
  CHECK(regular.level(later) < 0.01);
}

TEST_CASE("a peer that says more than it must is not suspected sooner for it") {
  suspicion_meter meter{100ms};
  suspicion_meter::time_point now{};
  meter.restart(now);
  for (int i = 0; i < 1000; ++i)
    meter.heartbeat(now += 1ms);
  CHECK(meter.level(now + 150ms) < 8);
}
