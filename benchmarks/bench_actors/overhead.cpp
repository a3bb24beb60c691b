#include "benchmarks/bench_actors/rows.hpp"

#include "runtime/observed.hpp"

#include <caf/all.hpp>

#include <atomic>

namespace glocal::bench {
namespace {

using clock = std::chrono::steady_clock;

/// Work of a handler: about `rounds` dependent multiplications.
std::uint64_t work(std::uint64_t seed, std::uint64_t rounds) {
  for (std::uint64_t i = 0; i < rounds; ++i)
    seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed;
}

/// Two of them send one number back and forth until it is used up: the cost of one message with nothing to wait for.
template <class Base>
caf::behavior player(Base* self, caf::actor* other, std::uint64_t rounds, std::uint64_t* sink,
                     std::atomic<bool>* over) {
  return {[=](std::uint64_t left) {
    *sink = work(*sink, rounds);
    if (left == 0) {
      over->store(true);
      over->notify_one();
    } else {
      self->send(*other, left - 1);
    }
  }};
}

class plain_player : public caf::event_based_actor {
public:
  plain_player(caf::actor_config& cfg, caf::actor* other, std::uint64_t rounds, std::uint64_t* sink,
               std::atomic<bool>* over)
      : caf::event_based_actor{cfg}, make_{[=, this] { return player(this, other, rounds, sink, over); }} {}
  caf::behavior make_behavior() override { return make_(); }

private:
  std::function<caf::behavior()> make_;
};

class observed_player : public runtime::observed_actor {
public:
  observed_player(caf::actor_config& cfg, caf::actor* other, std::uint64_t rounds, std::uint64_t* sink,
                  std::atomic<bool>* over)
      : runtime::observed_actor{cfg, "player", "player"}, make_{[=, this] {
          return player(this, other, rounds, sink, over);
        }} {}
  caf::behavior make_behavior() override { return make_(); }

private:
  std::function<caf::behavior()> make_;
};

/// Nanoseconds a message of one game.
template <class Player>
double game(caf::actor_system& system, std::size_t messages, std::uint64_t rounds) {
  // Their own handles to each other are cleared below: a circle of them would never end.
  caf::actor left, right;
  std::uint64_t sinks[2] = {1, 2};
  std::atomic<bool> over{false};
  left = system.spawn<Player>(&right, rounds, &sinks[0], &over);
  right = system.spawn<Player>(&left, rounds, &sinks[1], &over);
  const auto begin = clock::now();
  caf::anon_send(left, std::uint64_t{messages});
  over.wait(false);
  const std::chrono::duration<double, std::nano> took = clock::now() - begin;
  caf::anon_send_exit(left, caf::exit_reason::kill);
  caf::anon_send_exit(right, caf::exit_reason::kill);
  left = right = {};
  system.await_actors_before_shutdown(true);
  while (system.registry().running() > 0)
    std::this_thread::yield();
  return took.count() / static_cast<double>(messages);
}

/// What an actor that is not traced pays for that: the load and the branch, beside an empty loop.
double trace_point_ns(std::size_t rounds) {
  runtime::actor_cell cell;
  std::uint64_t seen = 0;
  const auto loop = [&](auto&& body) {
    const auto begin = clock::now();
    for (std::size_t i = 0; i < rounds; ++i) {
      body();
      asm volatile("" ::: "memory");
    }
    return std::chrono::duration<double, std::nano>(clock::now() - begin).count() / static_cast<double>(rounds);
  };
  const auto with = loop([&] {
    if (cell.traced.load(std::memory_order_relaxed) != 0) [[unlikely]]
      ++seen;
  });
  const auto without = loop([] {});
  asm volatile("" ::"r"(seen));
  return std::max(0.0, with - without);
}

} // namespace

std::vector<row> measure_overhead(std::size_t messages, unsigned runs) {
  runtime::system_options options;
  options.node = "bench";
  options.worker_threads = 1; // both players on one worker: what is measured is the message, not the hand-over
  runtime::system_config config{options};
  caf::actor_system system{config};
  std::vector<row> out;
  const auto compare = [&](const std::string& what, std::uint64_t rounds, double target_percent) {
    // In pairs, of which each has the machine as it is at that moment, and each kind first in every other one.
    std::vector<double> plain, observed, ratios;
    for (unsigned run = 0; run < runs; ++run) {
      for (const bool is_plain : {run % 2 == 0, run % 2 != 0})
        (is_plain ? plain : observed)
            .push_back(is_plain ? game<plain_player>(system, messages, rounds)
                                : game<observed_player>(system, messages, rounds));
      ratios.push_back(observed.back() / plain.back());
    }
    out.push_back({what + ": plain actors", "ns/message", median(plain), 0});
    out.push_back({what + ": observed", "ns/message", median(observed), 0});
    out.push_back({what + ": observation, median of the pairs", "%", 100 * (median(ratios) - 1), target_percent});
  };
  compare("a message that does nothing", 0, 0);
  // What a request between nodes costs an actor and its router: bench_transport measures 2 to 4 us.
  compare("a message of about 3 us", 2600, 3);
  std::vector<double> traced;
  for (unsigned run = 0; run < runs; ++run) {
    // A trace that is over its count costs nothing: one that runs for the whole game.
    const auto idle = system.spawn<observed_player>(nullptr, 0, nullptr, nullptr);
    const auto trace =
        config.observatory().start_trace({"player", runtime::tracer::max_count, runtime::tracer::max_duration});
    caf::anon_send_exit(idle, caf::exit_reason::kill);
    traced.push_back(game<observed_player>(system, std::min(messages, runtime::tracer::max_count - 10), 0));
    if (trace)
      config.observatory().traces().stop(trace->id);
  }
  out.push_back({"a message that does nothing: traced", "ns/message", median(traced), 0});
  out.push_back({"the trace point when nobody traces", "ns/message", trace_point_ns(100 * messages), 0});
  return out;
}

} // namespace glocal::bench
