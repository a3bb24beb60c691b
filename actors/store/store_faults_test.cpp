// What callers see when store nodes die, fall silent, restart or lose frames.

#include "actors/store/store_cluster_test.hpp"

#include "store/codec.hpp"

using namespace glocal;
using namespace glocal::actors;
using namespace std::chrono_literals;
using store::contract_copy;
using store::frame_kind;
using store::op_code;
using store::op_result;
using store::store_error;
using store::table;
using store::watch_event;
using rows = std::map<std::string, std::string>;

namespace {

constexpr auto deadline = actor_store::options{}.deadline;

struct fixture : store_cluster {
  using store_cluster::store_cluster;

  /// Starts one operation; the result appears when the simulation has run far enough.
  std::shared_ptr<std::optional<expected<op_result, store_error>>> start_op(store::operation op) {
    auto out = std::make_shared<std::optional<expected<op_result, store_error>>>();
    user->execute({std::move(op)}, [out](expected<std::vector<op_result>, store_error> results) {
      if (results)
        *out = results->front();
      else
        *out = unexpected{results.error()};
    });
    sim.run();
    return out;
  }
  expected<op_result, store_error> op(store::operation what, std::chrono::milliseconds within = deadline + 700ms) {
    const auto out = start_op(std::move(what));
    for (auto waited = 0ms; !*out && waited < within; waited += 100ms)
      sim.advance(100ms);
    REQUIRE(*out);
    return **out;
  }
  std::string value(table in, std::string key) {
    const auto got = op(store::get_op{in, std::move(key)});
    REQUIRE(got);
    return got->found ? got->found->value : std::string{};
  }
  void watch(contract_copy& copy, table of, std::string prefix = "") {
    (void)user->watch(of, std::move(prefix), [&copy](const watch_event& event) { copy.apply(event); });
    sim.run();
  }
  std::optional<store_error> lease(store::lease_action action, store::lease_id id,
                                   std::chrono::milliseconds ttl = 10s) {
    std::optional<expected<void, store_error>> out;
    const auto done = [&](expected<void, store_error> result) { out = std::move(result); };
    if (action == store::lease_action::grant)
      user->grant_lease(id, ttl, done);
    else
      user->renew_lease(id, done);
    sim.run();
    for (auto waited = 0ms; !out && waited < deadline + 700ms; waited += 100ms)
      sim.advance(100ms);
    REQUIRE(out);
    return *out ? std::nullopt : std::optional{out->error()};
  }
  /// Loses frames of `kind` from `from` to `to` until the returned counter is used up.
  std::shared_ptr<int> lose(std::string from, std::string to, frame_kind kind, int count) {
    auto left = std::make_shared<int>(count);
    sim.network().set_faults([=](const runtime::frame_event& frame) -> runtime::frame_verdict {
      if (frame.from != from || frame.to != to || frame.kind != static_cast<std::uint16_t>(kind) || *left == 0)
        return {};
      --*left;
      return {true, 0ms};
    });
    return left;
  }
  void silence(const std::string& from) {
    sim.network().set_faults([=](const runtime::frame_event& frame) -> runtime::frame_verdict {
      return {frame.from == from, 0ms};
    });
  }
  /// Streams of users: each store node also watches where slots are.
  int watchers() {
    int total = -static_cast<int>(hosts.size());
    for (const auto& count : states("store node", "watchers"))
      total += std::stoi(count);
    return total;
  }
  void hear_all() { sim.network().set_faults({}); }
};

} // namespace

TEST_CASE_METHOD(fixture, "a store node that is gone costs its callers the time of a fail-over, and nothing else") {
  const auto lost = key_at("s2", table::flows), kept = key_at("s1", table::flows);
  REQUIRE(op(store::put_op{table::flows, lost, "before"})->ok());
  REQUIRE(primary_of(table::flows, lost) == "s2");
  SECTION("its process was killed") {
    kill("s2");
  }
  SECTION("its machine is unreachable") {
    sim.network().partition({{"s2"}, {"e1", "s1", "s3"}});
  }
  SECTION("it is stopped: it accepts and never answers") {
    silence("s2");
  }
  const auto result = op(store::put_if_absent_op{table::flows, lost, "x"});
  REQUIRE(result);
  CHECK(result->code == op_code::conflict);
  CHECK(result->found->value == "before");
  CHECK(primary_of(table::flows, lost) != "s2");
  CHECK(op(store::put_if_absent_op{table::flows, kept, "x"})->ok());
  CHECK(value(table::flows, kept) == "x");
  std::size_t found = 0;
  user->scan(table::flows, "", 0, "", [&](const auto& page) { found = page ? page->entries.size() : 0; });
  sim.advance(deadline);
  CHECK(found == 2);
}

TEST_CASE_METHOD(fixture, "with one of three nodes left nothing new is acknowledged, and nothing old is lost") {
  const auto key = key_at("s1", table::flows), other = key_at("s1", table::flows, 1);
  REQUIRE(op(store::put_op{table::flows, key, "before"})->ok());
  kill("s2");
  kill("s3");
  const auto refused = op(store::put_op{table::flows, other, "x"});
  CHECK_FALSE(refused);
  start("s2");
  sim.advance(5s);
  CHECK(value(table::flows, key) == "before");
  CHECK(op(store::put_op{table::flows, other, "y"})->ok());
}

TEST_CASE_METHOD(fixture, "all nodes are killed at once: what was acknowledged is there afterwards") {
  std::map<std::string, std::string> told;
  for (int i = 0; i < 100; ++i) {
    const auto key = "k" + std::to_string(i);
    REQUIRE(op(store::put_op{table::paths, key, std::to_string(i)})->ok());
    told[key] = std::to_string(i);
  }
  for (const auto* node : {"s1", "s2", "s3"})
    kill(node);
  for (const auto* node : {"s1", "s2", "s3"})
    start(node);
  await_whole();
  for (const auto& [key, expected] : told)
    CHECK(value(table::paths, key) == expected);
}

TEST_CASE_METHOD(fixture, "a wiped disk joins again and has everything") {
  const auto key = key_at("s2", table::paths);
  for (int i = 0; i < 50; ++i)
    REQUIRE(op(store::put_op{table::paths, "k" + std::to_string(i), "v"})->ok());
  REQUIRE(op(store::put_op{table::paths, key, "before"})->ok());
  kill("s2");
  hosts.at("s2").disks.wipe();
  sim.advance(2s);
  start("s2");
  await_whole();
  // The others go: what is read now is read from it and what it was given.
  kill("s3");
  sim.advance(3s);
  CHECK(value(table::paths, key) == "before");
  kill("s1");
  start("s1");
  await_served();
  CHECK(value(table::paths, "k49") == "v");
}

TEST_CASE_METHOD(fixture, "the register is away: slots serve on, and a fail-over waits for it") {
  const auto key = key_at("s2", table::paths);
  registers->unreachable = true;
  sim.advance(10s);
  CHECK(op(store::put_op{table::paths, key, "1"})->ok());
  kill("s2");
  CHECK_FALSE(op(store::put_op{table::paths, key, "2"}));
  registers->unreachable = false;
  sim.advance(2s);
  CHECK(op(store::put_op{table::paths, key, "3"})->ok());
}

TEST_CASE_METHOD(fixture, "a store node that comes back joins its slots again") {
  const auto key = key_at("s2", table::flows);
  REQUIRE(op(store::put_op{table::flows, key, "before"})->ok());
  kill("s2");
  REQUIRE(op(store::put_op{table::flows, key, "meanwhile"})->ok());
  start("s2");
  await_whole();
  CHECK(value(table::flows, key) == "meanwhile");
}

TEST_CASE_METHOD(fixture, "nodes that accept but never answer are a timeout: the outcome is unknown") {
  sim.network().set_faults([=](const runtime::frame_event& frame) -> runtime::frame_verdict {
    return {frame.to == "e1" && frame.kind >= 0x100, 0ms};
  });
  const auto key = key_at("s2", table::flows);
  CHECK(op(store::put_if_absent_op{table::flows, key, "x"}).error() == store_error::timeout);
  hear_all();
  CHECK(value(table::flows, key) == "x"); // it had happened
}

TEST_CASE_METHOD(fixture, "a conditional write whose answer was lost is repeated and reports its own success") {
  const auto key = key_at("s2", table::paths);
  SECTION("put_if_absent") {
    const auto left = lose("s2", "e1", frame_kind::batch_reply, 1);
    const auto result = op(store::put_if_absent_op{table::paths, key, "mine"});
    CHECK(*left == 0);
    CHECK(result->ok());
    CHECK(result->found->value == "mine");
  }
  SECTION("compare_and_set") {
    const auto version = op(store::put_op{table::paths, key, "1"})->found->version;
    const auto left = lose("s2", "e1", frame_kind::batch_reply, 1);
    const auto result = op(store::compare_and_set_op{table::paths, key, "2", version});
    CHECK(*left == 0);
    CHECK(result->ok());
    CHECK(result->found->version > version);
  }
  SECTION("but another's value is another's, for good where nobody overwrites") {
    const auto flow = key_at("s2", table::flows);
    REQUIRE(op(store::put_op{table::flows, flow, "theirs"})->ok());
    const auto left = lose("s2", "e1", frame_kind::batch_reply, 1);
    const auto result = op(store::put_if_absent_op{table::flows, flow, "mine"});
    CHECK(*left == 0);
    CHECK(result->code == op_code::conflict);
    CHECK(result->found->value == "theirs");
  }
  SECTION("where entries change, another's value does not say that ours was never there") {
    REQUIRE(op(store::put_op{table::paths, key, "theirs"})->ok());
    const auto left = lose("s2", "e1", frame_kind::batch_reply, 1);
    CHECK(op(store::put_if_absent_op{table::paths, key, "mine"}).error() == store_error::timeout);
    CHECK(*left == 0);
  }
}

TEST_CASE_METHOD(fixture, "writes to volatile tables are not repeated: an old value must not overtake a new one") {
  const auto key = key_at("s2", table::status);
  const auto left = lose("s2", "e1", frame_kind::batch_reply, 1);
  const auto first = start_op(store::put_op{table::status, key, "old"});
  const auto second = start_op(store::put_op{table::status, key, "new"});
  REQUIRE(*second);
  CHECK((**second)->ok());
  sim.advance(deadline);
  REQUIRE(*first);
  CHECK((**first).error() == store_error::timeout);
  CHECK(value(table::status, key) == "new");
}

TEST_CASE_METHOD(fixture, "a watch goes to another node when its own is gone, without a gap") {
  const auto here = key_at("s2", table::paths), also = key_at("s2", table::paths, 1), away = key_at("s1", table::paths);
  REQUIRE(op(store::put_op{table::paths, here, "1"})->ok());
  REQUIRE(op(store::put_op{table::paths, also, "1"})->ok());
  contract_copy copy;
  watch(copy, table::paths);
  CHECK(copy.rows == rows{{here, "1"}, {also, "1"}});
  const auto other = add_client(sim.node("e2"));
  remote_store another{sim.own(sim.system().spawn<store_user>("another", other))};

  SECTION("the node is killed") {
    kill("s2");
    CHECK(copy.last_mark() == watch_event::kind::live);
  }
  SECTION("the network parts, and things change meanwhile") {
    sim.network().partition({{"e1"}, {"s2"}});
    sim.run();
    CHECK(copy.last_mark() == watch_event::kind::live);
    another.execute({store::put_op{table::paths, here, "2"}, store::erase_op{table::paths, also, {}}}, [](auto) {});
    sim.advance(500ms); // a backup hears what is committed with the next heartbeat
    CHECK(copy.rows == rows{{here, "2"}});
    sim.network().heal();
  }
  SECTION("the node is cut off from the others, and still talks to the watcher") {
    sim.network().partition({{"s2"}, {"s1", "s3"}});
    sim.advance(8s);
  }
  REQUIRE(op(store::put_op{table::paths, here, "3"})->ok());
  REQUIRE(op(store::put_op{table::paths, away, "seen meanwhile"})->ok());
  sim.advance(8s);
  CHECK(copy.last_mark() == watch_event::kind::live);
  for (const auto& key : {here, also, away})
    CHECK((copy.rows.contains(key) ? copy.rows.at(key) : "") == value(table::paths, key));
  CHECK(copy.count(watch_event::kind::suspect) >= 1);
  CHECK(copy.count(watch_event::kind::resync) == 0);
}

TEST_CASE("a watch that missed more than the history holds is resynchronised") {
  fixture cluster{std::nullopt, store::slot_options{.history_changes = 2, .history_bytes = 1 << 20}};
  const auto key = cluster.key_at("s2", table::paths);
  contract_copy copy;
  cluster.watch(copy, table::paths);
  REQUIRE(cluster.op(store::put_op{table::paths, key, "gone later"})->ok());
  const auto slot = store::slot_of(table::paths, key, cluster.ring->slot_count());
  std::string same_slot;
  for (int i = 0; same_slot.empty(); ++i)
    if (store::slot_of(table::paths, "x" + std::to_string(i), cluster.ring->slot_count()) == slot)
      same_slot = "x" + std::to_string(i);

  remote_store another{
      cluster.sim.own(cluster.sim.system().spawn<store_user>("another", cluster.add_client(cluster.sim.node("e2"))))};
  cluster.sim.network().partition({{"e1"}, {"s1", "s2", "s3", "e2"}});
  another.execute({store::erase_op{table::paths, key, {}}}, [](auto) {});
  for (int i = 0; i < 5; ++i)
    another.execute({store::put_op{table::paths, same_slot, std::to_string(i)}}, [](auto) {});
  cluster.sim.run();
  cluster.sim.network().heal();
  cluster.sim.advance(8s);
  CHECK(copy.rows == rows{{same_slot, "4"}});
  CHECK(copy.count(watch_event::kind::resync) == 1);
  CHECK(copy.last_mark() == watch_event::kind::live);
}

TEST_CASE_METHOD(fixture, "lost watch frames are noticed by the next one, or by the progress mark when none comes") {
  const auto key = key_at("s2", table::paths);
  contract_copy copy;
  watch(copy, table::paths);
  const auto left = lose("s2", "e1", frame_kind::watch_events, 1);
  REQUIRE(op(store::put_op{table::paths, key, "1"})->ok());
  CHECK(*left == 0);
  CHECK(copy.rows.empty());
  SECTION("the next frame") {
    REQUIRE(op(store::put_op{table::paths, key, "2"})->ok());
    sim.run();
    CHECK(copy.rows == rows{{key, "2"}});
    CHECK(copy.count(watch_event::kind::put) == 2); // the lost one too: there is no gap
  }
  SECTION("the progress mark") {
    sim.advance(1500ms);
    CHECK(copy.rows == rows{{key, "1"}});
  }
  CHECK(copy.last_mark() == watch_event::kind::live);
}

TEST_CASE_METHOD(fixture, "a watch over nodes that are silent is suspect after three seconds, not before") {
  contract_copy copy;
  watch(copy, table::paths);
  sim.advance(10s);
  CHECK(copy.count(watch_event::kind::suspect) == 0);
  sim.network().set_faults([=](const runtime::frame_event& frame) -> runtime::frame_verdict {
    return {frame.to == "e1", 0ms};
  });
  sim.advance(2500ms);
  CHECK(copy.count(watch_event::kind::suspect) == 0);
  sim.advance(2500ms);
  CHECK(copy.count(watch_event::kind::suspect) == 1);
  hear_all();
  sim.advance(10s);
  CHECK(copy.last_mark() == watch_event::kind::live);
}

TEST_CASE_METHOD(fixture, "a watch opened while a node is down completes from the others") {
  kill("s2");
  const auto key = key_at("s1", table::paths);
  REQUIRE(op(store::put_op{table::paths, key, "1"})->ok());
  contract_copy copy;
  watch(copy, table::paths);
  sim.advance(3s);
  CHECK(copy.rows == rows{{key, "1"}});
  CHECK(copy.last_mark() == watch_event::kind::live);
}

TEST_CASE_METHOD(fixture, "a client that is gone leaves no streams behind") {
  contract_copy copy;
  watch(copy, table::paths);
  CHECK(watchers() > 0);
  SECTION("its node is gone") {
    sim.network().partition({{"e1"}, {"s1", "s2", "s3"}});
    sim.run();
  }
  SECTION("its actor is gone") {
    caf::anon_send_exit(client, caf::exit_reason::kill);
    edge.directory->clear();
    const auto successor = add_client(edge); // as its supervisor does; it disowns the streams it does not know
    sim.advance(3s);
  }
  CHECK(watchers() == 0);
}

TEST_CASE_METHOD(fixture, "a watcher that ends takes its watches with it") {
  auto watcher = sim.own(sim.system().spawn<store_user>("short-lived", client));
  remote_store watching{watcher};
  (void)watching.watch(table::paths, "", [](const watch_event&) {});
  sim.run();
  CHECK(watchers() > 0);
  caf::anon_send_exit(watcher, caf::exit_reason::user_shutdown);
  sim.run();
  const auto watches = states("store client", "watches");
  CHECK(std::ranges::count(watches, "0") == 1); // of the four nodes' clients
  CHECK(watchers() == 0);
}

TEST_CASE_METHOD(fixture, "a lease survives the restart and the loss of a node, with and without entries there") {
  const auto key = key_at("s2", table::flows);
  REQUIRE_FALSE(lease(store::lease_action::grant, 7));
  REQUIRE(op(store::put_op{table::flows, key, "v", 7})->ok());
  for (const auto* node : {"s2", "s3"}) {
    kill(node);
    start(node);
  }
  await_whole();
  CHECK_FALSE(lease(store::lease_action::renew, 7));
  kill("s2");
  sim.advance(5s);
  CHECK_FALSE(lease(store::lease_action::renew, 7));
  sim.advance(8s);
  CHECK(value(table::flows, key) == "v");
  CHECK(op(store::put_op{table::flows, key_at("s3", table::flows), "v", 7})->ok());
  sim.advance(5s);
  CHECK(value(table::flows, key).empty());
}

TEST_CASE_METHOD(fixture, "an owner that was cut off longer than its lease is told that it lost it") {
  const auto key = key_at("s2", table::flows);
  REQUIRE_FALSE(lease(store::lease_action::grant, 7));
  REQUIRE(op(store::put_op{table::flows, key, "v", 7})->ok());
  sim.network().partition({{"e1"}, {"s1", "s2", "s3"}});
  sim.advance(6s);
  CHECK(lease(store::lease_action::renew, 7) == store_error::unavailable);
  sim.advance(6s);
  sim.network().heal();
  sim.advance(6s);
  CHECK(lease(store::lease_action::renew, 7) == store_error::no_such_lease);
  CHECK(value(table::flows, key).empty());
  REQUIRE_FALSE(lease(store::lease_action::grant, 7));
  CHECK(op(store::put_op{table::flows, key, "again", 7})->ok());
}

TEST_CASE_METHOD(fixture, "a broken disk takes its replicas out, says so, and costs nothing that was acknowledged") {
  const auto key = key_at("s2", table::flows);
  REQUIRE(op(store::put_op{table::flows, key, "before"})->ok());
  hosts.at("s2").disks.set_broken(true);
  const auto during = op(store::put_op{table::flows, key, "during"});
  CHECK(during);
  hosts.at("s2").disks.set_broken(false);
  CHECK(op(store::put_op{table::flows, key, "after"})->ok()); // by the others
  bool said = false;
  for (const auto& disk : states("store node", "disk"))
    said |= disk.starts_with("failed: the disk is broken");
  CHECK(said);
  kill("s2");
  start("s2");
  await_whole();
  CHECK(value(table::flows, key) == "after");
}

TEST_CASE_METHOD(fixture, "a frame that is no message of its kind is refused as malformed and harms nothing") {
  for (const auto kind :
       {frame_kind::batch_request, frame_kind::scan_request, frame_kind::lease_request, frame_kind::watch_request}) {
    const auto outcome = sim.ask(edge, {"s1", "store"},
                                 runtime::make_message(static_cast<std::uint16_t>(kind), bytes(64, std::byte{0xff})));
    sim.advance(1s);
    REQUIRE(outcome->error);
    sim.advance(1s); // the router may have closed the connection it came by
  }
  CHECK(op(store::put_op{table::flows, key_at("s1", table::flows), "v"})->ok());
}

TEST_CASE_METHOD(fixture, "more open operations than the bound are refused at once") {
  for (const auto* node : {"s1", "s2", "s3"})
    kill(node);
  const auto key = key_at("s2", table::flows);
  int overloaded = 0, calls = 0;
  for (int i = 0; i < 20; ++i)
    user->execute(store::batch(4000, store::get_op{table::flows, key}), [&](auto results) {
      ++calls;
      overloaded += !results && results.error() == store_error::overloaded;
    });
  sim.run();
  CHECK(overloaded == 4); // 16 x 4000 fit 65536
  sim.advance(deadline + 700ms);
  CHECK(calls == 20);
  hear_all();
  CHECK(state("store client", "open_operations") == "0");
}

TEST_CASE_METHOD(fixture, "an idle cluster sends marks, and heartbeats of all slots in one frame") {
  contract_copy copy;
  watch(copy, table::paths);
  watch(copy, table::digests);
  sim.advance(10s); // until where slots are is decided, too
  std::map<frame_kind, int> frames;
  sim.network().set_faults([&](const runtime::frame_event& frame) -> runtime::frame_verdict {
    if (frame.kind >= 0x100)
      ++frames[static_cast<frame_kind>(frame.kind)];
    return {};
  });
  sim.advance(10s);
  // Three to the user, and to the two others who watch where slots are.
  CHECK(frames[frame_kind::watch_progress] == 50);
  // Six pairs; ten heartbeats a second and an answer to each, whatever the number of slots; and those of the one slot
  // that was written, which may be out of step, to its two backups.
  CHECK(frames[frame_kind::replica_messages] <= (6 + 2) * 11 * 10 * 2);
  CHECK(frames.size() == 2);
}

// Two writers and a watcher on different nodes, nodes that die and return, frames that vanish: what was acknowledged
// stays, every key has one winner, and after the storm the copy is the store.
TEST_CASE("under random faults every key has one winner that all are told, and copies converge") {
  const auto seed = GENERATE(range(1u, 16u));
  INFO("seed " << seed << "; replay: actors_store_test \"under random faults*\"");
  fixture cluster{seed, store::slot_options{.history_changes = 4, .history_bytes = 1 << 20}};
  std::mt19937 random{seed};
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  auto second_edge = cluster.sim.node("e2");
  remote_store second{
      cluster.sim.own(cluster.sim.system().spawn<store_user>("second", cluster.add_client(second_edge)))};
  contract_copy copy, second_copy;
  cluster.watch(copy, table::paths);
  (void)second.watch(table::paths, "", [&](const watch_event& event) { second_copy.apply(event); });
  (void)cluster.user->watch(table::status, "", [&](const watch_event&) {});

  cluster.sim.network().set_faults([&](const runtime::frame_event& frame) -> runtime::frame_verdict {
    return {frame.kind >= 0x100 && below(20) == 0, std::chrono::milliseconds{below(5) == 0 ? below(300) : 0}};
  });
  std::map<std::string, std::string> told; // key → winner, as anyone was told first
  const auto learn = [&](const std::string& key, const std::string& winner) {
    const auto [known, first] = told.emplace(key, winner);
    CHECK(known->second == winner);
  };
  const std::string nodes[] = {"s1", "s2", "s3"};
  for (int i = 0; i < 150; ++i) {
    const auto key = std::to_string(below(40));
    auto& writer = below(2) == 0 ? *cluster.user : static_cast<store::store&>(second);
    const auto mine = std::to_string(i);
    writer.execute({store::put_if_absent_op{table::paths, key, mine}},
                   [&learn, key](const expected<std::vector<op_result>, store_error>& results) {
                     if (results)
                       learn(key, results->front().found->value);
                   });
    writer.execute({store::put_op{table::status, key, mine}}, [](auto) {});
    cluster.sim.advance(std::chrono::milliseconds{below(100)});
    if (below(15) == 0) {
      const auto& node = nodes[below(3)];
      switch (below(3)) {
      case 0:
        cluster.kill(node);
        cluster.start(node);
        break;
      case 1: cluster.sim.network().disconnect(node, "e2"); break;
      default: cluster.sim.network().partition({{"e1"}, {node}}); break;
      }
    } else if (below(10) == 0) {
      cluster.sim.network().heal();
    }
  }
  cluster.sim.network().heal();
  cluster.hear_all();
  cluster.await_whole();
  cluster.sim.advance(10s);
  rows truth;
  store::contract_probe probe{cluster};
  const auto page = probe.scan(table::paths, "");
  REQUIRE(page);
  for (const auto& row : page->entries)
    truth[row.key] = row.value;
  for (const auto& [key, winner] : told)
    CHECK(truth[key] == winner);
  CHECK(copy.rows == truth);
  CHECK(second_copy.rows == truth);
  CHECK(copy.last_mark() == watch_event::kind::live);
  CHECK(second_copy.last_mark() == watch_event::kind::live);
}
