#pragma once
// What every implementation of store::store must do: one suite, run for each of them by its own test program.

#include "store/store.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace glocal::store {

/// A store under test, empty, and how to let it work.
class contract_fixture {
public:
  virtual ~contract_fixture() = default;
  [[nodiscard]] virtual store& subject() = 0;
  /// Returns when every callback due has run.
  virtual void run_until_idle() = 0;
  /// Lets (virtual) time pass, then runs until idle.
  virtual void advance(std::chrono::milliseconds by) = 0;
};

/// Blocking calls over a fixture, as tests want them.
class contract_probe {
public:
  explicit contract_probe(contract_fixture& fixture) : fixture_{fixture} {}

  expected<std::vector<op_result>, store_error> execute(batch operations) {
    std::optional<expected<std::vector<op_result>, store_error>> out;
    fixture_.subject().execute(std::move(operations), [&](auto results) { out = std::move(results); });
    return wait(out);
  }
  expected<op_result, store_error> execute(operation op) {
    auto results = execute(batch{std::move(op)});
    if (!results)
      return unexpected{results.error()};
    REQUIRE(results->size() == 1);
    return std::move(results->front());
  }
  expected<scan_page, store_error> scan(table from, std::string prefix, std::size_t limit = 0,
                                        std::string continuation = {}) {
    std::optional<expected<scan_page, store_error>> out;
    fixture_.subject().scan(from, std::move(prefix), limit, std::move(continuation),
                            [&](auto page) { out = std::move(page); });
    return wait(out);
  }
  std::optional<store_error> grant(lease_id id, std::chrono::milliseconds ttl) {
    return done([&](auto callback) { fixture_.subject().grant_lease(id, ttl, std::move(callback)); });
  }
  std::optional<store_error> renew(lease_id id) {
    return done([&](auto callback) { fixture_.subject().renew_lease(id, std::move(callback)); });
  }
  std::optional<store_error> revoke(lease_id id) {
    return done([&](auto callback) { fixture_.subject().revoke_lease(id, std::move(callback)); });
  }
  /// The value under `key`; empty when there is none.
  std::string value(table in, std::string key) {
    const auto result = execute(get_op{in, std::move(key)});
    REQUIRE(result);
    return result->found ? result->found->value : std::string{};
  }

private:
  template <class T>
  T wait(std::optional<T>& out) {
    REQUIRE_FALSE(out); // never before the call returned
    fixture_.run_until_idle();
    REQUIRE(out);
    return std::move(*out);
  }
  template <class Call>
  std::optional<store_error> done(Call call) {
    std::optional<expected<void, store_error>> out;
    call([&](expected<void, store_error> result) { out = std::move(result); });
    const auto result = wait(out);
    return result ? std::nullopt : std::optional{result.error()};
  }

  contract_fixture& fixture_;
};

/// A watcher's copy of what it watches, kept by `put` and `erase` alone.
struct contract_copy {
  std::map<std::string, std::string> rows;
  std::vector<watch_event> log;

  void apply(const watch_event& event) {
    log.push_back(event);
    if (event.what == watch_event::kind::put)
      rows[event.entry.key] = event.entry.value;
    else if (event.what == watch_event::kind::erase)
      rows.erase(event.entry.key);
  }
  /// Whether the copy is said to be right: the last of live, suspect and resync.
  [[nodiscard]] std::optional<enum watch_event::kind> last_mark() const {
    for (auto event = log.rbegin(); event != log.rend(); ++event)
      if (event->what != watch_event::kind::put && event->what != watch_event::kind::erase)
        return event->what;
    return std::nullopt;
  }
  [[nodiscard]] std::size_t count(enum watch_event::kind what) const {
    return static_cast<std::size_t>(std::ranges::count(log, what, &watch_event::what));
  }
};

/// Call inside a TEST_CASE with a fresh fixture: Catch2 runs one section at a time.
inline void check_store_contract(contract_fixture& fixture) {
  using namespace std::chrono_literals;
  using rows = std::map<std::string, std::string>;
  contract_probe probe{fixture};

  SECTION("what was put is got, with the version of its last change") {
    const auto put = probe.execute(put_op{table::paths, "k", "v"});
    REQUIRE(put);
    REQUIRE(put->ok());
    const auto got = probe.execute(get_op{table::paths, "k"});
    REQUIRE(got->found);
    CHECK(got->found->value == "v");
    CHECK(got->found->version == put->found->version);
    CHECK(got->found->version > 0);
    CHECK(probe.execute(get_op{table::paths, "other"})->code == op_code::not_found);
    CHECK(probe.execute(get_op{table::flows, "k"})->code == op_code::not_found);
  }

  SECTION("keys and values are any bytes") {
    const std::string key{"\0\xff key", 6}, value{"\0\0\x80", 3};
    REQUIRE(probe.execute(put_op{table::flows, key, value})->ok());
    CHECK(probe.value(table::flows, key) == value);
  }

  SECTION("the first put_if_absent wins and the others are given the winner") {
    CHECK(probe.execute(put_if_absent_op{table::flows, "f", "first"})->ok());
    const auto second = probe.execute(put_if_absent_op{table::flows, "f", "second"});
    CHECK(second->code == op_code::conflict);
    REQUIRE(second->found);
    CHECK(second->found->value == "first");
    CHECK(probe.value(table::flows, "f") == "first");
  }

  SECTION("compare_and_set takes only the version it names; 0 means absent") {
    const auto made = probe.execute(compare_and_set_op{table::paths, "p", "1", 0});
    REQUIRE(made->ok());
    const auto again = probe.execute(compare_and_set_op{table::paths, "p", "2", 0});
    CHECK(again->code == op_code::conflict);
    CHECK(again->found->value == "1");
    const auto next = probe.execute(compare_and_set_op{table::paths, "p", "2", made->found->version});
    REQUIRE(next->ok());
    CHECK(next->found->version > made->found->version);
    CHECK(probe.execute(compare_and_set_op{table::paths, "p", "3", made->found->version})->code == op_code::conflict);
    CHECK(probe.execute(compare_and_set_op{table::paths, "absent", "3", 7})->code == op_code::conflict);
    CHECK(probe.value(table::paths, "p") == "2");
  }

  SECTION("erase removes; with a version only that one") {
    const auto put = probe.execute(put_op{table::paths, "p", "1"});
    CHECK(probe.execute(erase_op{table::paths, "p", put->found->version + 1})->code == op_code::conflict);
    CHECK(probe.execute(erase_op{table::paths, "p", put->found->version})->ok());
    CHECK(probe.execute(erase_op{table::paths, "p", std::nullopt})->code == op_code::not_found);
    CHECK(probe.value(table::paths, "p").empty());
  }

  SECTION("an unchanged put is no change") {
    const auto first = probe.execute(put_op{table::mappings, "m", "v"});
    CHECK(probe.execute(put_op{table::mappings, "m", "v"})->found->version == first->found->version);
    CHECK(probe.execute(put_op{table::mappings, "m", "w"})->found->version > first->found->version);
  }

  SECTION("a batch over many slots answers in its own order, and on one key happens in its order") {
    batch all;
    for (int i = 0; i < 500; ++i)
      all.emplace_back(put_op{table::catalogue, "key" + std::to_string(i), std::to_string(i)});
    all.emplace_back(put_op{table::catalogue, "key7", "again"});
    all.emplace_back(get_op{table::catalogue, "key7"});
    const auto results = probe.execute(std::move(all));
    REQUIRE(results);
    REQUIRE(results->size() == 502);
    for (std::size_t i = 0; i < 500; ++i) {
      REQUIRE((*results)[i].ok());
      REQUIRE((*results)[i].found->key == "key" + std::to_string(i));
    }
    CHECK(results->back().found->value == "again");
  }

  SECTION("an empty batch has an empty answer") {
    const auto results = probe.execute(batch{});
    REQUIRE(results);
    CHECK(results->empty());
  }

  SECTION("what exceeds a limit is refused and not done") {
    CHECK(probe.execute(put_op{table::paths, std::string(limits::key_bytes + 1, 'k'), "v"}).error() ==
          store_error::too_large);
    CHECK(probe.execute(put_op{table::paths, "k", std::string(limits::value_bytes + 1, 'v')}).error() ==
          store_error::too_large);
    CHECK(probe.execute(batch(limits::batch_operations + 1, get_op{table::paths, "k"})).error() ==
          store_error::too_large);
    CHECK(probe.execute(put_op{table::paths, "", "v"}).error() == store_error::invalid);
    CHECK(probe.execute(put_op{table::paths, "k", std::string(limits::value_bytes, 'v')})->ok());
  }

  SECTION("a scan pages through the entries of one prefix and table") {
    rows truth;
    batch all;
    for (int i = 0; i < 300; ++i) {
      const auto key = "a/" + std::to_string(i);
      truth[key] = std::to_string(i);
      all.emplace_back(put_op{table::instances, key, truth[key]});
      all.emplace_back(put_op{table::instances, "b/" + std::to_string(i), "other prefix"});
      all.emplace_back(put_op{table::status, key, "other table"});
    }
    REQUIRE(probe.execute(std::move(all)));
    for (const std::size_t limit : {1, 7, 100, 0}) {
      rows seen;
      std::string continuation;
      std::size_t pages = 0;
      do {
        auto page = probe.scan(table::instances, "a/", limit, continuation);
        REQUIRE(page);
        CHECK(page->entries.size() <= (limit == 0 ? limits::scan_page_entries : limit));
        for (const auto& row : page->entries)
          CHECK(seen.emplace(row.key, row.value).second);
        continuation = page->continuation;
        REQUIRE(++pages <= 301);
      } while (!continuation.empty());
      CHECK(seen == truth);
    }
    CHECK(probe.scan(table::instances, "none/")->entries.empty());
    CHECK(probe.scan(table::instances, "a/", 10, "\xff\xff").error() == store_error::invalid);
  }

  SECTION("a watch delivers what there is, then live, then each change in order") {
    REQUIRE(probe.execute(batch{put_op{table::digests, "fw", "1"}, put_op{table::digests, "opt", "1"},
                                put_op{table::paths, "fw", "other table"}}));
    contract_copy copy;
    const auto id = fixture.subject().watch(table::digests, "", [&](const watch_event& event) { copy.apply(event); });
    CHECK(copy.log.empty());
    fixture.run_until_idle();
    CHECK(copy.rows == rows{{"fw", "1"}, {"opt", "1"}});
    REQUIRE(copy.log.size() == 3);
    CHECK(copy.log.back().what == watch_event::kind::live);

    for (int i = 2; i < 20; ++i)
      REQUIRE(probe.execute(put_op{table::digests, "fw", std::to_string(i)})->ok());
    REQUIRE(probe.execute(erase_op{table::digests, "opt", {}})->ok());
    fixture.run_until_idle();
    CHECK(copy.rows == rows{{"fw", "19"}});
    std::vector<std::string> values;
    for (const auto& event : copy.log)
      if (event.what == watch_event::kind::put && event.entry.key == "fw")
        values.push_back(event.entry.value);
    REQUIRE(values.size() == 19);
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK(values[i] == std::to_string(i + 1));

    fixture.subject().unwatch(id);
    const auto before = copy.log.size();
    REQUIRE(probe.execute(put_op{table::digests, "fw", "unseen"})->ok());
    fixture.run_until_idle();
    CHECK(copy.log.size() == before);
  }

  SECTION("a watch sees its prefix only, and refused operations not at all") {
    contract_copy copy;
    (void)fixture.subject().watch(table::paths, "a", [&](const watch_event& event) { copy.apply(event); });
    fixture.run_until_idle();
    REQUIRE(probe.execute(batch{put_op{table::paths, "a1", "1"}, put_op{table::paths, "b1", "1"},
                                put_if_absent_op{table::paths, "a1", "2"},
                                compare_and_set_op{table::paths, "a1", "3", 999999}}));
    fixture.run_until_idle();
    CHECK(copy.rows == rows{{"a1", "1"}});
    CHECK(copy.count(watch_event::kind::put) == 1);
  }

  SECTION("a callback may end its own watch") {
    int calls = 0;
    watch_id id = 0;
    id = fixture.subject().watch(table::paths, "", [&](const watch_event&) {
      ++calls;
      fixture.subject().unwatch(id);
    });
    fixture.run_until_idle();
    REQUIRE(probe.execute(put_op{table::paths, "p", "1"})->ok());
    fixture.run_until_idle();
    CHECK(calls == 1);
  }

  SECTION("watches of volatile tables see every last value") {
    contract_copy copy;
    (void)fixture.subject().watch(table::status, "fw/", [&](const watch_event& event) { copy.apply(event); });
    fixture.run_until_idle();
    REQUIRE(probe.execute(batch{put_op{table::status, "fw/1", "a"}, put_op{table::status, "fw/1", "b"},
                                put_op{table::status, "fw/2", "c"}}));
    fixture.run_until_idle();
    CHECK(copy.rows == rows{{"fw/1", "b"}, {"fw/2", "c"}});
  }

  SECTION("nothing hangs on a lease that was not granted") {
    CHECK(probe.execute(put_op{table::flows, "f", "v", 42})->code == op_code::no_such_lease);
    CHECK(probe.value(table::flows, "f").empty());
    CHECK(probe.renew(42) == store_error::no_such_lease);
    CHECK(probe.grant(42, 1ms) == store_error::invalid);
    CHECK(probe.grant(0, 5s) == store_error::invalid);
  }

  SECTION("a lease that runs out takes its entries with it, not earlier, and watchers see it") {
    contract_copy copy;
    (void)fixture.subject().watch(table::instances, "", [&](const watch_event& event) { copy.apply(event); });
    REQUIRE_FALSE(probe.grant(7, 10s));
    for (int i = 0; i < 20; ++i)
      REQUIRE(probe.execute(put_op{table::instances, "i" + std::to_string(i), "v", 7})->ok());
    REQUIRE(probe.execute(put_op{table::instances, "stays", "v"})->ok());
    fixture.advance(6s);
    REQUIRE_FALSE(probe.renew(7));
    fixture.advance(6s);
    CHECK(copy.rows.size() == 21);
    CHECK(probe.value(table::instances, "i3") == "v");
    fixture.advance(6s);
    CHECK(copy.rows == rows{{"stays", "v"}});
    CHECK(probe.value(table::instances, "i3").empty());
    CHECK(probe.renew(7) == store_error::no_such_lease);
    CHECK(probe.execute(put_op{table::instances, "i3", "v", 7})->code == op_code::no_such_lease);
    REQUIRE_FALSE(probe.grant(7, 10s));
    CHECK(probe.execute(put_op{table::instances, "i3", "v", 7})->ok());
  }

  SECTION("an entry follows the lease of its last write") {
    REQUIRE_FALSE(probe.grant(1, 5s));
    REQUIRE_FALSE(probe.grant(2, 60s));
    REQUIRE(probe.execute(put_op{table::instances, "moved", "v", 1})->ok());
    REQUIRE(probe.execute(put_op{table::instances, "moved", "v", 2})->ok());
    REQUIRE(probe.execute(put_op{table::instances, "freed", "v", 1})->ok());
    REQUIRE(probe.execute(put_op{table::instances, "freed", "v"})->ok());
    fixture.advance(10s);
    CHECK(probe.value(table::instances, "moved") == "v");
    CHECK(probe.value(table::instances, "freed") == "v");
  }

  SECTION("revoking a lease erases what hangs on it at once") {
    REQUIRE_FALSE(probe.grant(7, 60s));
    REQUIRE(probe.execute(put_op{table::flows, "f", "v", 7})->ok());
    REQUIRE_FALSE(probe.revoke(7));
    CHECK(probe.value(table::flows, "f").empty());
    CHECK(probe.renew(7) == store_error::no_such_lease);
    CHECK_FALSE(probe.revoke(7));
  }
}

} // namespace glocal::store
