#include "runtime/observed.hpp"

#include "runtime/drain_ring.hpp"
#include "runtime/simulation.hpp"
#include "runtime/test_actors.hpp"

#include "base/spsc_ring.hpp"

#include <catch2/catch.hpp>

#include <numeric>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;

namespace {

actor_record record_of(const observatory& all, const std::string& name) {
  for (auto& record : all.snapshot())
    if (record.name == name)
      return record;
  FAIL("no record of " << name);
  return {};
}

/// Spawns a parrot and forwards to it what it is told.
class keeper : public observed_actor {
public:
  explicit keeper(caf::actor_config& cfg) : observed_actor{cfg, "keeper", "keeper"} {}
  caf::behavior make_behavior() override {
    bird_ = spawn<parrot>("bird");
    return {[this](const std::string& text) {
      for (int i = 0; i < 3; ++i)
        send(bird_, wire_cast_atom_v, std::string{"keeper"}, say(kinds::echo, text));
    }};
  }
  void on_exit() override { bird_ = {}; }

private:
  caf::actor bird_;
};

/// Sends to its bird, whether it lives or not.
class mourner : public observed_actor {
public:
  mourner(caf::actor_config& cfg, caf::actor bird)
      : observed_actor{cfg, "mourner", "mourner"}, bird_{std::move(bird)} {}
  caf::behavior make_behavior() override {
    return {[this](const std::string& text) {
      send(bird_, wire_cast_atom_v, std::string{"simulation"}, say(kinds::echo, text));
      request(bird_, caf::infinite, wire_request_atom_v, std::string{"simulation"}, say(kinds::echo, text))
          .then([](const wire_message&) {}, [](const caf::error&) {});
      send(bird_, tick_atom_v, text);
    }};
  }
  void on_exit() override { bird_ = {}; }

private:
  caf::actor bird_;
};

/// Takes its time for one message in ten.
class dawdler : public observed_actor {
public:
  explicit dawdler(caf::actor_config& cfg) : observed_actor{cfg, "dawdler", "dawdler"} {}
  caf::behavior make_behavior() override {
    return {[](int number) {
      const auto begin = std::chrono::steady_clock::now();
      while (number % 10 == 0 && std::chrono::steady_clock::now() - begin < pause) {
      }
    }};
  }
  static constexpr auto pause = 20us;
};

/// An lcore's ring as drain_ring sees it.
struct ring_end {
  spsc_ring<int>& ring;
  std::size_t polls = 0;

  std::size_t poll(std::span<int> out) {
    ++polls;
    std::size_t count = 0;
    while (count < out.size() && ring.pop(out[count]))
      ++count;
    return count;
  }
  [[nodiscard]] bool empty() const { return ring.empty(); }
  void arm() { ring.arm(); }
};

class drainer : public observed_actor {
public:
  drainer(caf::actor_config& cfg, spsc_ring<int>& ring, std::vector<int>& got)
      : observed_actor{cfg, "drainer", "drainer"}, source_{ring}, got_{got} {}
  caf::behavior make_behavior() override {
    return {[this](wake_atom) {
      drain_ring(this, source_, scratch_,
                 [this](std::span<int> batch) { got_.insert(got_.end(), batch.begin(), batch.end()); });
    }};
  }

private:
  ring_end source_;
  std::vector<int>& got_;
  std::vector<int> scratch_ = std::vector<int>(64);
};

} // namespace

TEST_CASE("an actor's record says who it is and what passed") {
  simulation sim;
  const auto root = sim.own(sim.system().spawn<keeper>());
  sim.run();
  caf::anon_send(root, std::string{"hello"});
  sim.run();
  const auto parent = record_of(sim.observatory(), "keeper"), bird = record_of(sim.observatory(), "bird");
  CHECK(parent.kind == "keeper");
  CHECK(parent.node == "simulation");
  CHECK(parent.parent == 0);
  CHECK(parent.messages_in == 1);
  CHECK(parent.messages_out == 3);
  CHECK(bird.kind == "parrot");
  CHECK(bird.parent == parent.id);
  CHECK(bird.messages_in == 3);
  CHECK(bird.mailbox_depth == 0);
  CHECK(bird.mailbox_peak == 3);
  CHECK(bird.handling_p50 > 0);
  CHECK(bird.handling_max >= bird.handling_p99);
}

TEST_CASE("a message nobody handles is counted and answered with an error") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  auto error = std::make_shared<caf::error>();
  sim.system().spawn([=](caf::event_based_actor* self) {
    self->request(bird, caf::infinite, 42).then([] {}, [error](const caf::error& what) { *error = what; });
    self->send(bird, std::string{"what?"});
  });
  sim.run();
  CHECK(*error == caf::sec::unexpected_message);
  CHECK(record_of(sim.observatory(), "parrot").unhandled == 2);
}

TEST_CASE("a state summary is made by the actor itself, on request") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  caf::anon_send(bird, wire_cast_atom_v, std::string{"me"}, say(kinds::echo));
  sim.run();
  CHECK(record_of(sim.observatory(), "parrot").state_age < 0s);
  sim.observatory().refresh();
  CHECK(record_of(sim.observatory(), "parrot").state.empty());
  sim.run();
  const auto record = record_of(sim.observatory(), "parrot");
  CHECK(record.state == state_entries{{"heard", "1"}});
  CHECK(record.state_age >= 0s);
  CHECK(record.messages_in == 1); // looking does not count
  CHECK(record.mailbox_depth == 0);
}

TEST_CASE("an actor that has handled nothing since its last summary is not asked again") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  sim.observatory().refresh();
  sim.run();
  const auto first = record_of(sim.observatory(), "parrot").state_age;
  sim.observatory().refresh();
  CHECK(sim.run() == 0);
  CHECK(record_of(sim.observatory(), "parrot").state_age >= first);
  caf::anon_send(bird, wire_cast_atom_v, std::string{"me"}, say(kinds::echo));
  sim.observatory().refresh(); // it is about to handle something
  sim.run();
  CHECK(record_of(sim.observatory(), "parrot").state == state_entries{{"heard", "1"}});
  caf::anon_send(bird, wire_cast_atom_v, std::string{"me"}, say(kinds::echo));
  sim.run();
  sim.observatory().refresh();
  sim.run();
  CHECK(record_of(sim.observatory(), "parrot").state == state_entries{{"heard", "2"}});
}

TEST_CASE("rates are what passed between two samples; an actor that is newer has none") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  CHECK_FALSE(record_of(sim.observatory(), "parrot").in_rate);
  sim.observatory().sample();
  CHECK_FALSE(record_of(sim.observatory(), "parrot").in_rate);
  for (int i = 0; i < 100; ++i)
    caf::anon_send(bird, wire_cast_atom_v, std::string{"me"}, say(kinds::echo));
  sim.run();
  sim.observatory().sample();
  const auto record = record_of(sim.observatory(), "parrot");
  REQUIRE(record.in_rate);
  CHECK(*record.in_rate > 0);
  CHECK(record.out_rate == 0.0);
  sim.observatory().sample();
  CHECK(record_of(sim.observatory(), "parrot").in_rate == 0.0);
}

TEST_CASE("of many messages all are counted, and a sample tells how long they take") {
  simulation sim;
  const auto actor = sim.own(sim.system().spawn<dawdler>());
  constexpr int messages = 20'000;
  for (int i = 0; i < messages; ++i)
    caf::anon_send(actor, i);
  CHECK(record_of(sim.observatory(), "dawdler").mailbox_depth == messages);
  sim.run();
  const auto record = record_of(sim.observatory(), "dawdler");
  CHECK(record.messages_in == messages);
  CHECK(record.mailbox_depth == 0);
  CHECK(record.mailbox_peak == messages);
  // What one in ten takes is beyond the 90th percentile, however few of them are timed.
  CHECK(std::chrono::nanoseconds{record.handling_p99} >= dawdler::pause);
  CHECK(record.handling_p50 > 0);
}

TEST_CASE("a message to an actor that has ended is a dead letter, by sender, receiver and type") {
  simulation sim;
  auto bird = sim.system().spawn<parrot>();
  const auto root = sim.own(sim.system().spawn<mourner>(bird));
  sim.run();
  caf::anon_send_exit(bird, caf::exit_reason::kill);
  sim.run();
  CHECK(letters_in(sim.observatory().letters()).empty()); // nothing was lost, and ending is no message to nobody
  caf::anon_send(root, std::string{"hello"});
  caf::anon_send(bird, 42);
  caf::anon_send_exit(bird, caf::exit_reason::kill);
  sim.run();
  CHECK(letters_in(sim.observatory().letters()) ==
        std::vector<std::string>{"1 - > parrot: @i32", "1 mourner > parrot: tick @str",
                                 "2 mourner > parrot: " + std::to_string(kinds::echo)});
}

TEST_CASE("a message waits from when it came to an idle actor until it is handled") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  sim.run();
  CHECK(record_of(sim.observatory(), "parrot").oldest_wait == 0s);
  const auto before = coarse_now();
  caf::anon_send(bird, wire_cast_atom_v, std::string{"me"}, say(kinds::echo));
  const auto came = coarse_now();
  // The coarse clock has to tick once for a wait to show.
  while (coarse_now() - came < 8ms) {
  }
  const auto waiting = record_of(sim.observatory(), "parrot").oldest_wait;
  CHECK(waiting >= 8ms);
  CHECK(waiting <= std::chrono::steady_clock::now() - before);
  sim.run();
  CHECK(record_of(sim.observatory(), "parrot").oldest_wait == 0s);
}

TEST_CASE("an actor can be killed by its record") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  const auto id = record_of(sim.observatory(), "parrot").id;
  CHECK(sim.observatory().kill(id));
  sim.run();
  CHECK(sim.observatory().snapshot().empty());
  CHECK_FALSE(sim.observatory().kill(id));
}

TEST_CASE("an exception is the last error of an actor that ends by it, and the record goes") {
  simulation sim;
  const auto bird = sim.own(sim.system().spawn<parrot>());
  caf::anon_send(bird, wire_request_atom_v, std::string{"me"}, say(kinds::fail));
  auto end = std::make_shared<caf::error>();
  sim.own(sim.system().spawn([=](caf::event_based_actor* self) -> caf::behavior {
    self->monitor(bird);
    self->set_down_handler([=](caf::down_msg& down) { *end = down.reason; });
    return {[](int) {}};
  }));
  sim.run();
  CHECK(*end == caf::sec::runtime_error);
  CHECK_THAT(describe(*end), Catch::Contains("a bug"));
  CHECK(sim.observatory().snapshot().empty());
}

TEST_CASE("all of a ring is drained in batches, sharing the worker") {
  simulation sim;
  spsc_ring<int> ring{8192};
  std::vector<int> got;
  const auto actor = sim.own(sim.system().spawn<drainer>(ring, got));
  sim.run();
  std::vector<int> sent(5000);
  std::iota(sent.begin(), sent.end(), 0);
  for (const int value : sent)
    REQUIRE(ring.push(int{value}));
  REQUIRE(ring.disarm());
  CHECK_FALSE(ring.disarm()); // one wake-up, however much is pushed
  caf::anon_send(actor, wake_atom_v);
  REQUIRE(sim.step());
  CHECK(got.size() < sent.size()); // the budget
  CHECK(got.size() >= drain_budget);
  sim.run();
  CHECK(got == sent);
  CHECK(ring.disarm()); // it sleeps again and wants to be woken
}

TEST_CASE("what is pushed while the actor goes to sleep is not forgotten") {
  // A source that gets one more record exactly between the last poll and arming.
  struct late {
    int waiting = 1, arms = 0;
    bool armed = false;
    std::size_t poll(std::span<int> out) {
      if (waiting == 0)
        return 0;
      --waiting;
      out[0] = 7;
      return 1;
    }
    [[nodiscard]] bool empty() const { return waiting == 0; }
    void arm() {
      armed = true;
      if (++arms == 1)
        ++waiting;
    }
  } source;
  struct nobody {
    void send(nobody*, wake_atom) { FAIL("no need to be woken"); }
  } self;
  std::array<int, 4> scratch{};
  int handled = 0;
  CHECK(drain_ring(&self, source, scratch, [&](std::span<int> batch) { handled += static_cast<int>(batch.size()); }) ==
        2);
  CHECK(handled == 2);
  CHECK(source.armed);
}
