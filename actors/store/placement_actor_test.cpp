// Slots that move between store nodes while clients use them: joins, drains, restarts in between, and what an operator
// is told.

#include "actors/store/store_cluster_test.hpp"

#include <caf/scoped_actor.hpp>

using namespace glocal;
using namespace glocal::actors;
using namespace std::chrono_literals;
using store::contract_copy;
using store::op_code;
using store::op_result;
using store::store_error;
using store::table;
using store::watch_event;
namespace messages = store_messages;

namespace {

/// Keeps the answer of a placement_actor where the test can see it.
class asker final : public runtime::observed_actor {
public:
  using answer = std::shared_ptr<std::optional<messages::steered>>;

  asker(caf::actor_config& config, caf::actor whom, std::function<void(asker&, const caf::actor&)> ask)
      : runtime::observed_actor{config, "asker", "asker"}, whom_{std::move(whom)}, ask_{std::move(ask)} {}

  caf::behavior make_behavior() override {
    ask_(*this, whom_);
    return {[](runtime::tick_atom) {}};
  }
  void on_exit() override { whom_ = {}; }

private:
  caf::actor whom_;
  std::function<void(asker&, const caf::actor&)> ask_;
};

struct cluster : store_cluster {
  explicit cluster(int nodes = 4) : store_cluster{std::nullopt, {}, nodes} { await_decision(); }

  /// Until the cluster has written down where its slots are.
  void await_decision() {
    for (auto waited = 0ms; state("store placement", "version") == "0"; waited += 100ms) {
      REQUIRE(waited < 20s);
      sim.advance(100ms);
    }
  }
  template <class Request>
  messages::steered steer(const std::string& node, Request request) {
    const auto out = std::make_shared<std::optional<messages::steered>>();
    sim.own(sim.system().spawn<asker>(hosts.at(node).placement, [out, request](asker& self, const caf::actor& whom) {
      self.request(whom, 10s, request)
          .then([out](const messages::steered& answer) { *out = answer; },
                [out](const caf::error&) {
                  *out = messages::steered{messages::steered::kind::unavailable, "", {}};
                });
    }));
    sim.run();
    for (auto waited = 0ms; !*out && waited < 12s; waited += 100ms)
      sim.advance(100ms);
    REQUIRE(*out);
    return **out;
  }
  [[nodiscard]] bool settled() {
    for (const auto& value : states("store placement", "to_move"))
      if (value != "0")
        return false;
    for (const auto& value : states("store placement", "evening"))
      if (value != "false")
        return false;
    return true;
  }
  /// Moves under way never exceed the bound; `meanwhile` runs every 100 ms.
  void await_settled(
      const std::function<void()>& meanwhile = [] {}, std::chrono::seconds within = 300s) {
    sim.advance(1500ms); // until all have heard
    for (auto waited = 0ms; !settled(); waited += 100ms) {
      INFO(state("store placement", "to_move") << " to move, moving " << state("store placement", "moving"));
      REQUIRE(waited < within);
      meanwhile();
      sim.advance(100ms);
    }
    await_whole();
  }
  [[nodiscard]] std::map<std::string, int> copies() const {
    std::map<std::string, int> out;
    for (const auto& [slot, value] : registers->current)
      for (const auto& who : value.view.members)
        ++out[who.node];
    return out;
  }
  [[nodiscard]] std::map<std::string, int> leads() const {
    std::map<std::string, int> out;
    for (const auto& [slot, value] : registers->current)
      ++out[value.view.primary.node];
    return out;
  }
  expected<op_result, store_error> op(store::operation what, remote_store* by = nullptr) {
    const auto out = std::make_shared<std::optional<expected<op_result, store_error>>>();
    (by != nullptr ? by : user.get())
        ->execute({std::move(what)}, [out](expected<std::vector<op_result>, store_error> results) {
          if (results)
            *out = results->front();
          else
            *out = unexpected{results.error()};
        });
    sim.run();
    for (auto waited = 0ms; !*out && waited < 3s; waited += 50ms)
      sim.advance(50ms);
    REQUIRE(*out);
    return **out;
  }
};

/// Writes one key after the other and knows what it was told.
struct writer {
  cluster& at;
  std::map<std::string, std::string> told{};
  int next = 0, unknown = 0;
  std::chrono::milliseconds longest{};

  void write() {
    const auto key = "w" + std::to_string(next % 200), value = std::to_string(next);
    ++next;
    const auto began = at.sim.system().clock().now();
    const auto done = at.op(store::put_op{table::paths, key, value});
    longest = std::max(longest, std::chrono::ceil<std::chrono::milliseconds>(at.sim.system().clock().now() - began));
    if (done && done->ok())
      told[key] = value;
    else
      ++unknown, told.erase(key);
  }
  void check(remote_store* by = nullptr) {
    for (const auto& [key, value] : told) {
      const auto found = at.op(store::get_op{table::paths, key}, by);
      INFO(key << " is in slot " << store::slot_of(table::paths, key, at.ring->slot_count()) << " of "
               << at.primary_of(table::paths, key));
      INFO((found ? "" : std::string{store::name(found.error())}));
      REQUIRE(found);
      REQUIRE(found->found);
      CHECK(found->found->value == value);
    }
  }
};

} // namespace

TEST_CASE("a node is drained while it is used: its slots go, no write is lost or refused, and watches see no gap") {
  cluster four;
  contract_copy copy;
  (void)four.user->watch(table::paths, "", [&copy](const store::watch_event& event) { copy.apply(event); });
  four.sim.run();
  writer load{four};
  for (int i = 0; i < 100; ++i)
    load.write();
  REQUIRE(four.copies()["s2"] > 0);
  const auto answer = four.steer("s3", messages::drain_request{"s2"});
  REQUIRE(answer.what == messages::steered::kind::done);
  CHECK(static_cast<int>(answer.moves.size()) == four.copies()["s2"]);
  CHECK(four.state("store placement", "drained") == "s2");
  four.await_settled([&] { load.write(); });
  CHECK(four.copies()["s2"] == 0);
  CHECK(four.leads()["s2"] == 0);
  for (const auto& [slot, value] : four.registers->current)
    CHECK(value.view.members.size() == 3);
  CHECK(load.unknown == 0);
  // A primary that is passed on costs a retry or two.
  CHECK(load.longest <= 600ms);
  load.check();
  four.sim.advance(3s);
  CHECK(copy.last_mark() == watch_event::kind::live);
  CHECK(copy.rows == load.told);
  SECTION("it gets its share again when the mark is taken off, and its clients follow") {
    CHECK(four.steer("s1", messages::drain_request{"s2", true}).what == messages::steered::kind::done);
    four.await_settled([&] { load.write(); });
    CHECK(four.copies()["s2"] == 24);
    CHECK(four.leads()["s2"] == 8);
    load.check();
    four.sim.advance(3s);
    CHECK(copy.rows == load.told);
  }
  SECTION("it can go for good") {
    four.kill("s2");
    for (int i = 0; i < 50; ++i)
      load.write();
    load.check();
    CHECK(four.whole());
  }
  SECTION("all restart: it stays drained") {
    for (const auto* name : {"s1", "s2", "s3", "s4"})
      four.kill(name);
    for (const auto* name : {"s1", "s2", "s3", "s4"})
      four.start(name);
    four.await_whole();
    four.sim.advance(5s);
    CHECK(four.copies()["s2"] == 0);
    CHECK(four.state("store placement", "drained") == "s2");
    load.check();
  }
}

TEST_CASE("a client that knows only the ring finds slots that are on none of the nodes it names for them") {
  cluster six{6};
  writer load{six};
  for (int i = 0; i < 60; ++i)
    load.write();
  for (const auto* name : {"s1", "s2", "s3"}) {
    REQUIRE(six.steer("s5", messages::drain_request{name}).what == messages::steered::kind::done);
    six.await_settled();
  }
  CHECK(six.steer("s5", messages::drain_request{"s4"}).what == messages::steered::kind::too_few_nodes);
  const auto other = six.sim.node("e2");
  six.client = six.add_client(other);
  const auto stranger = six.add_user("stranger");
  load.check(stranger.get());
  contract_copy copy;
  (void)stranger->watch(table::paths, "", [&copy](const store::watch_event& event) { copy.apply(event); });
  six.sim.advance(10s);
  CHECK(copy.last_mark() == watch_event::kind::live);
  CHECK(copy.rows == load.told);
  std::size_t scanned = 0;
  stranger->scan(table::paths, "", 0, "", [&](const auto& page) { scanned = page ? page->entries.size() : 0; });
  six.sim.advance(3s);
  CHECK(scanned == load.told.size());
  other.directory->clear();
}

TEST_CASE("a node that is new in the cluster file gets its share when all others know of it") {
  cluster three{3};
  writer load{three};
  for (int i = 0; i < 60; ++i)
    load.write();
  three.write_cluster_file(4);
  for (const auto* name : {"s1", "s2", "s3"}) {
    three.kill(name);
    three.start(name);
    three.await_whole();
  }
  CHECK(three.copies()["s4"] == 0);
  three.start("s4");
  three.await_settled([&] { load.write(); });
  CHECK(three.copies()["s4"] == 24);
  for (const auto& [node, count] : three.leads())
    CHECK(count == 8);
  // The user's node has the old file and can't reach s4: what has its primary there it can't have.
  const auto other = three.sim.node("e2");
  three.client = three.add_client(other);
  const auto later = three.add_user("later");
  load.check(later.get());
  other.directory->clear();
}

TEST_CASE("who is dead can be drained: others make its copies anew") {
  cluster four;
  writer load{four};
  for (int i = 0; i < 60; ++i)
    load.write();
  four.kill("s3");
  four.sim.advance(5s);
  CHECK(four.steer("s1", messages::drain_request{"s3"}).what == messages::steered::kind::done);
  four.await_settled([&] { load.write(); });
  CHECK(four.copies()["s3"] == 0);
  for (const auto& [slot, value] : four.registers->current)
    CHECK(value.view.members.size() == 3);
  load.check();
}

TEST_CASE("what can't be drained is refused, with the reason") {
  cluster three{3};
  auto answer = three.steer("s1", messages::drain_request{"s9"});
  CHECK(answer.what == messages::steered::kind::unknown_node);
  CHECK(answer.why == "there is no store node 's9'; the cluster file names s1, s2, s3");
  answer = three.steer("s1", messages::drain_request{"s2"});
  CHECK(answer.what == messages::steered::kind::too_few_nodes);
  CHECK(answer.why.find("too few store nodes are left for 3 copies") != std::string::npos);
  CHECK(three.state("store placement", "drained").empty());
}

TEST_CASE("primaries that a fail-over moved go back by rebalance, which can say before what it would do") {
  cluster three{3};
  REQUIRE(three.steer("s1", messages::rebalance_request{}).what == messages::steered::kind::done);
  three.await_settled();
  const auto before = three.leads();
  three.kill("s1");
  three.sim.advance(5s);
  three.start("s1");
  three.await_whole();
  REQUIRE(three.leads()["s1"] == 0);
  const auto dry = three.steer("s2", messages::rebalance_request{true});
  CHECK(static_cast<int>(dry.moves.size()) == before.at("s1"));
  three.sim.advance(5s);
  CHECK(three.leads()["s1"] == 0);
  CHECK(three.steer("s2", messages::rebalance_request{}).moves == dry.moves);
  three.await_settled();
  CHECK(three.leads() == before);
  CHECK(three.steer("s2", messages::rebalance_request{}).moves.empty());
}

TEST_CASE("nodes die and return while slots move: it comes to its end, and nothing acknowledged is lost") {
  cluster five{5};
  writer load{five};
  for (int i = 0; i < 60; ++i)
    load.write();
  REQUIRE(five.steer("s5", messages::drain_request{"s4"}).what == messages::steered::kind::done);
  // The one that plans, then one that gives, then the one that is drained.
  for (const auto* name : {"s1", "s3", "s4"}) {
    for (int i = 0; i < 12; ++i) {
      load.write();
      five.sim.advance(100ms);
    }
    five.kill(name);
    for (int i = 0; i < 12; ++i) {
      load.write();
      five.sim.advance(100ms);
    }
    five.start(name);
  }
  five.await_settled([&] { load.write(); });
  CHECK(five.copies()["s4"] == 0);
  load.check();
}
