#include "store/etcd/etcd_store.hpp"

#include "base/base64.hpp"
#include "store/contract_test.hpp"
#include "store/etcd/row_codec.hpp"
#include "tests/etcd/etcd_cluster.hpp"
#include "tests/etcd/liar.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

using namespace glocal::store;
using glocal::test::etcd_cluster;
using glocal::test::liar;
using rows = std::map<std::string, std::string>;
using namespace std::chrono_literals;

namespace {

/// A store over real etcd processes; time is real.
class etcd_store_fixture final : public contract_fixture {
public:
  explicit etcd_store_fixture(std::vector<std::string> endpoints, const std::string& cluster = "lab",
                              std::chrono::milliseconds deadline = 30s, bool heartbeats = true) {
    etcd_settings client;
    client.endpoints = std::move(endpoints);
    client.stream_time = 600s;
    etcd_store_settings settings;
    settings.cluster = cluster;
    settings.heartbeat_as = heartbeats ? "here" : "";
    settings.deadline = deadline;
    store_ = std::make_unique<etcd_store>(std::make_shared<etcd_client>(client), settings,
                                          [this](std::function<void()> what) {
                                            const std::lock_guard lock{mutex_};
                                            due_.push_back(std::move(what));
                                            arrived_.notify_one();
                                          });
  }
  ~etcd_store_fixture() override { store_.reset(); }

  store& subject() override { return *store_; }
  etcd_store& etcd() { return *store_; }
  glocal::expected<op_result, store_error> op(operation what) {
    std::optional<glocal::expected<std::vector<op_result>, store_error>> out;
    store_->execute({std::move(what)}, [&](auto results) { out = std::move(results); });
    run_until([&] { return out.has_value(); });
    if (!*out)
      return glocal::unexpected{out->error()};
    return (**out).front();
  }
  std::string value(table in, std::string key) {
    const auto got = op(get_op{in, std::move(key)});
    REQUIRE(got);
    return got->found ? got->found->value : std::string{};
  }

  void run_until(const std::function<bool()>& enough, std::chrono::milliseconds within = 60s) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!enough()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      run_for(20ms);
    }
  }
  /// What is due in this time, with its ticks.
  void run_for(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    for (;;) {
      if (std::chrono::steady_clock::now() >= next_tick_) {
        next_tick_ = std::chrono::steady_clock::now() + 200ms;
        store_->tick(std::chrono::steady_clock::now());
      }
      std::unique_lock lock{mutex_};
      if (!arrived_.wait_until(lock, std::min(end, next_tick_), [&] { return !due_.empty(); })) {
        if (std::chrono::steady_clock::now() >= end)
          return;
        continue;
      }
      const auto what = std::move(due_.front());
      due_.pop_front();
      lock.unlock();
      what();
    }
  }
  /// A change of a row of its own, asked for last, is heard of last: twice, as a watch that has just begun may be told
  /// in another order than others.
  void run_until_idle() override {
    if (!sentinel_)
      sentinel_ = store_->watch(table::user, "sentinel", [this](const watch_event& event) {
        if (event.what == watch_event::kind::put)
          heard_ = event.entry.value;
      });
    for (int i = 0; i < 2; ++i) {
      const auto mark = std::to_string(++marks_);
      bool put = false;
      store_->put(table::user, "sentinel", mark, 0, [&](const auto& result) { put = result && result->ok(); });
      run_until(
          [&] { return put && heard_ == mark && store_->open_operations() == 0 && store_->watches_not_live() == 0; });
    }
  }
  void advance(std::chrono::milliseconds by) override {
    run_for(by);
    run_until_idle();
  }

private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> due_;
  std::unique_ptr<etcd_store> store_;
  std::chrono::steady_clock::time_point next_tick_{};
  std::optional<watch_id> sentinel_;
  std::string heard_;
  int marks_ = 0;
};

/// One etcd for all of this file's tests that need no more: a cluster name of its own keeps each apart.
etcd_cluster& one_etcd() {
  static etcd_cluster etcd{1};
  return etcd;
}
std::string new_cluster() {
  static int count = 0;
  return "lab" + std::to_string(++count);
}

} // namespace

TEST_CASE("a store on a real etcd keeps the contract of a store") {
  etcd_store_fixture fixture{one_etcd().endpoints(), new_cluster()};
  check_store_contract(fixture);
}

TEST_CASE("three etcd processes lose nothing and tell all of it when one is killed and another stands still") {
  etcd_cluster etcd;
  etcd_store_fixture first{{etcd.endpoints()[0]}};
  REQUIRE(first.op(get_op{table::paths, "p"}));
  etcd_store_fixture fixture{etcd.endpoints()};
  contract_copy copy;
  (void)fixture.subject().watch(table::paths, "", [&](const watch_event& event) { copy.apply(event); });
  fixture.run_until_idle();
  rows truth;
  for (int i = 0; i < 300; ++i) {
    if (i == 100)
      etcd.at(0).kill(); // that the stream is at
    if (i == 200)
      etcd.at(1).stop(); // now there is no majority,
    const auto key = "p" + std::to_string(i % 50), value = std::to_string(i);
    std::optional<bool> done;
    fixture.subject().put(table::paths, key, value, 0, [&](const auto& result) { done = result && result->ok(); });
    if (i == 200) {
      fixture.run_for(300ms); // so nothing is acknowledged
      CHECK_FALSE(done);
      etcd.at(1).resume();
    }
    fixture.run_until([&] { return done.has_value(); });
    REQUIRE(*done);
    truth[key] = value;
  }
  fixture.run_until([&] { return copy.rows == truth; });
  std::map<std::string, int> last;
  for (const auto& event : copy.log)
    if (event.what == watch_event::kind::put) {
      const auto value = std::stoi(event.entry.value);
      CHECK(value > last[event.entry.key] - 1);
      last[event.entry.key] = value;
    }
  std::size_t put = 0;
  for (const auto& event : copy.log)
    put += event.what == watch_event::kind::put;
  CHECK(put == 300);
}

TEST_CASE("a watch of an etcd that says nothing is suspect after three seconds, and live again when it speaks") {
  etcd_cluster etcd{1};
  etcd_store_fixture fixture{etcd.endpoints()};
  contract_copy copy;
  (void)fixture.subject().watch(table::paths, "", [&](const watch_event& event) { copy.apply(event); });
  fixture.run_until_idle();
  etcd.at(0).stop();
  fixture.run_for(2000ms);
  CHECK(copy.count(watch_event::kind::suspect) == 0);
  fixture.run_until([&] { return copy.count(watch_event::kind::suspect) == 1; });
  etcd.at(0).resume();
  fixture.run_until_idle();
  CHECK(copy.last_mark() == watch_event::kind::live);
  REQUIRE(fixture.op(put_op{table::paths, "p", "1"}));
  fixture.run_until_idle();
  CHECK(copy.rows == rows{{"p", "1"}});
}

TEST_CASE("a watch that etcd has compacted away begins anew, and says so") {
  etcd_cluster etcd;
  const auto& at = etcd.endpoints();
  etcd_store_fixture first{{at[0]}}, others{{at[1], at[2]}};
  REQUIRE(first.op(get_op{table::paths, "p"})); // it is up, so this is where a stream is opened
  etcd_store_fixture fixture{at};
  REQUIRE(fixture.op(put_op{table::paths, "stays", "1"}));
  REQUIRE(fixture.op(put_op{table::paths, "goes", "1"}));
  contract_copy copy;
  (void)fixture.subject().watch(table::paths, "", [&](const watch_event& event) { copy.apply(event); });
  fixture.run_until_idle();
  etcd.at(0).stop(); // where its stream is
  REQUIRE(others.op(erase_op{table::paths, "goes", {}}));
  const auto latest = others.op(put_op{table::paths, "comes", "1"});
  REQUIRE(latest);
  httplib::Client raw{at[1]};
  const auto compact = "{\"revision\":\"" + std::to_string(latest->found->version) + "\"}";
  REQUIRE(raw.Post("/v3/kv/compaction", compact, "application/json"));
  fixture.run_until([&] { return copy.count(watch_event::kind::resync) == 1 && copy.rows.contains("comes"); });
  fixture.run_until_idle();
  CHECK(copy.rows == rows{{"stays", "1"}, {"comes", "1"}});
  CHECK(copy.last_mark() == watch_event::kind::live);

  // Whose watcher knows what it has seen, is not told what has gone since.
  std::vector<watch_event> told;
  (void)fixture.etcd().watch(table::paths, "", 1, [&](std::vector<watch_event> events) {
    told.insert(told.end(), events.begin(), events.end());
  });
  fixture.run_until([&] { return !told.empty(); });
  CHECK(told.front().what == watch_event::kind::compacted);
  etcd.at(0).resume();
}

TEST_CASE("a watch goes on from a revision, which is told again") {
  etcd_store_fixture fixture{one_etcd().endpoints(), new_cluster()};
  REQUIRE(fixture.op(put_op{table::paths, "p", "1"}));
  const auto seen = fixture.op(put_op{table::paths, "p", "2"});
  REQUIRE(fixture.op(put_op{table::paths, "p", "3"}));
  std::vector<std::string> told;
  (void)fixture.etcd().watch(table::paths, "", seen->found->version, [&](const std::vector<watch_event>& events) {
    for (const auto& event : events)
      told.push_back(event.what == watch_event::kind::put ? event.entry.value : "mark");
  });
  fixture.run_until([&] { return told.size() >= 3; });
  CHECK(told == std::vector<std::string>{"2", "3", "mark"});
}

TEST_CASE("an answer that is lost is asked for again, and what happened is told as far as it is known") {
  const auto lab = new_cluster();
  const auto& real = one_etcd().endpoints().front();
  const auto lost = [](auto& out) { out.status = 503; };
  // Before the answer is lost, somebody else writes there.
  const auto overtaken = [&](table in) {
    return [&, in](auto& out) {
      out.status = 503;
      const auto key = glocal::to_base64(etcd::row_space{lab}.prefix_of(in) + "taken");
      httplib::Client{real}.Post("/v3/kv/put", R"({"key":")" + key + R"(","value":"eQ=="})", "application/json");
    };
  };
  SECTION("a conditional write finds its own value") {
    liar loses{real, lost};
    etcd_store_fixture fixture{{loses.endpoint(), real}, lab, 30s, false};
    const auto made = fixture.op(put_if_absent_op{table::flows, "f", "mine"});
    REQUIRE(made);
    CHECK(made->ok());
    CHECK(loses.asked == 1);
  }
  SECTION("where nothing is overwritten, another's value won") {
    liar loses{real, overtaken(table::flows)};
    etcd_store_fixture fixture{{loses.endpoint(), real}, lab, 30s, false};
    const auto made = fixture.op(put_if_absent_op{table::flows, "taken", "x"});
    REQUIRE(made);
    CHECK(made->code == op_code::conflict);
    CHECK(made->found->value == "y");
  }
  SECTION("else the own one may have been there before it") {
    liar loses{real, overtaken(table::paths)};
    etcd_store_fixture fixture{{loses.endpoint(), real}, lab, 30s, false};
    CHECK(fixture.op(put_if_absent_op{table::paths, "taken", "x"}).error() == store_error::timeout);
  }
  SECTION("a row that its writer repeats anyway is not written twice") {
    liar loses{real, lost};
    etcd_store_fixture fixture{{loses.endpoint(), real}, lab, 30s, false};
    CHECK(fixture.op(put_op{table::status, "i", "v"}).error() == store_error::timeout);
    CHECK(fixture.value(table::status, "i") == "v");
  }
}

TEST_CASE("garbage, and another etcd cluster's answers, are refused and the next endpoint asked") {
  etcd_cluster other{1};
  const auto lab = new_cluster();
  const auto& real = one_etcd().endpoints().front();
  etcd_store_fixture straight{{real}, lab}, elsewhere{other.endpoints(), lab};
  REQUIRE(straight.op(put_op{table::paths, "p", "here"}));
  REQUIRE(elsewhere.op(put_op{table::paths, "p", "there"}));
  for (const char* lie : {"<html>", "{}", R"({"header":{"cluster_id":"7","revision":"1"},"responses":[{}]})"}) {
    liar lying{real, [lie](auto& out) { out.body = lie; }};
    etcd_store_fixture fixture{{lying.endpoint(), real}, lab};
    CHECK(fixture.value(table::paths, "p") == "here");
  }
  std::atomic<bool> down = false;
  liar front{real, [&](auto& out) { out.status = down ? 503 : 200; }};
  etcd_store_fixture fixture{{front.endpoint(), other.endpoints().front()}, lab, 1500ms};
  CHECK(fixture.value(table::paths, "p") == "here");
  down = true;
  CHECK_FALSE(fixture.op(get_op{table::paths, "p"}));
}

TEST_CASE("clusters that share an etcd share neither rows nor leases") {
  etcd_store_fixture lab{one_etcd().endpoints(), new_cluster()}, field{one_etcd().endpoints(), new_cluster()};
  contract_probe here{lab}, there{field};
  REQUIRE_FALSE(here.grant(7, 60s));
  REQUIRE(lab.op(put_op{table::paths, "p", "1", 7})->found->lease == 7);
  CHECK(field.value(table::paths, "p").empty());
  CHECK(field.op(put_op{table::paths, "p", "1", 7})->code == op_code::no_such_lease);
  CHECK_FALSE(there.revoke(7));
  CHECK(lab.op(get_op{table::paths, "p"})->found->lease == 7);
}

TEST_CASE("large values are scanned and watched in pieces that are bounded") {
  etcd_store_fixture fixture{one_etcd().endpoints(), new_cluster()};
  rows truth;
  for (int i = 0; i < 60; ++i) {
    const auto key = "k" + std::to_string(i);
    truth[key] = std::string(i % 2 == 0 ? limits::value_bytes : 3, static_cast<char>('a' + i % 26));
    REQUIRE(fixture.op(put_op{table::user, key, truth[key]}));
  }
  rows seen;
  std::string continuation;
  do {
    std::optional<glocal::expected<scan_page, store_error>> page_or_fault;
    fixture.subject().scan(table::user, "k", 0, continuation, [&](auto got) { page_or_fault = std::move(got); });
    fixture.run_until([&] { return page_or_fault.has_value(); });
    const auto& page = *page_or_fault;
    REQUIRE(page);
    std::size_t bytes = 0;
    for (const auto& row : page->entries) {
      bytes += payload_bytes(row);
      CHECK(seen.emplace(row.key, row.value).second);
    }
    CHECK(bytes <= limits::scan_page_bytes);
    continuation = page->continuation;
  } while (!continuation.empty());
  CHECK(seen == truth);
  contract_copy copy;
  (void)fixture.subject().watch(table::user, "k", [&](const watch_event& event) { copy.apply(event); });
  fixture.run_until_idle();
  CHECK(copy.rows == truth);
}

TEST_CASE("what a caller does to a key happens in its order, though nothing was waited for") {
  etcd_store_fixture fixture{one_etcd().endpoints(), new_cluster()};
  std::vector<int> done;
  for (int i = 0; i < 500; ++i) {
    fixture.subject().put(table::paths, "p", std::to_string(i), 0, [&](const auto&) {});
    fixture.subject().get(table::paths, "p",
                          [&](const auto& result) { done.push_back(std::stoi(result->found->value)); });
  }
  fixture.run_until([&] { return done.size() == 500; });
  for (int i = 0; i < 500; ++i)
    CHECK(done[static_cast<std::size_t>(i)] == i);
  // Each lane's requests that wait go together.
  const auto before = fixture.etcd().count().transactions;
  std::size_t answered = 0;
  for (int i = 0; i < 1000; ++i)
    fixture.subject().put(table::paths, std::to_string(i), "v", 0, [&](const auto&) { ++answered; });
  fixture.run_until([&] { return answered == 1000; });
  CHECK(fixture.etcd().count().transactions - before < 100);
}

TEST_CASE("more open operations than the bound are refused at once, and those that wait too long fail") {
  etcd_store_fixture fixture{{"http://127.0.0.1:1"}, "lab", 300ms};
  std::vector<store_error> faults;
  for (int i = 0; i < 20; ++i)
    fixture.subject().execute(batch(4000, get_op{table::paths, "p"}), [&](const auto& result) {
      REQUIRE_FALSE(result);
      faults.push_back(result.error());
    });
  fixture.run_until([&] { return faults.size() == 20; });
  CHECK(std::ranges::count(faults, store_error::overloaded) == 4);
  CHECK(std::ranges::count(faults, store_error::unavailable) == 16);
  CHECK(fixture.etcd().open_operations() == 0);
  CHECK_FALSE(fixture.etcd().answers());
}

TEST_CASE("a store may go while its calls and watches are under way") {
  bool called = false;
  {
    etcd_store_fixture fixture{one_etcd().endpoints(), new_cluster()};
    (void)fixture.subject().watch(table::paths, "", [&](const auto&) { called = true; });
    fixture.subject().get(table::paths, "p", [&](const auto&) { called = true; });
    fixture.subject().scan(table::paths, "", 0, "", [&](const auto&) { called = true; });
    fixture.subject().grant_lease(1, 5s, [&](const auto&) { called = true; });
  }
  CHECK_FALSE(called);
}

TEST_CASE("many watches that are opened at once all come to be live, also while others write") {
  for (int round = 0; round < 20; ++round) {
    INFO("round " << round);
    const auto lab = new_cluster();
    etcd_store_fixture fixture{one_etcd().endpoints(), lab}, others{one_etcd().endpoints(), lab};
    std::size_t live = 0;
    for (const auto of : {table::paths, table::instances, table::mappings, table::catalogue, table::digests})
      for (int i = 0; i < 2; ++i) {
        (void)fixture.subject().watch(of, "",
                                      [&](const watch_event& event) { live += event.what == watch_event::kind::live; });
        others.subject().put(table::status, std::to_string(i), std::to_string(round), 0, [](const auto&) {});
        fixture.run_for(std::chrono::milliseconds{round % 5});
      }
    fixture.run_until([&] { return live >= 10; }, 10s);
  }
}
