#include "store/slot_state.hpp"

#include "store/lease_book.hpp"
#include "store/memory_engine.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <map>
#include <random>

using namespace glocal;
using namespace glocal::store;
using namespace std::chrono_literals;

namespace {

using kind = watch_record::kind;
constexpr slot_id slot = 3;
const timestamp start{};

slot_state empty_slot(const slot_options& options = {}) {
  return {slot, options, {}, start};
}

/// The actions of one type, in order.
template <class Action>
std::vector<Action> only(const std::vector<slot_action>& actions) {
  std::vector<Action> out;
  for (const auto& action : actions)
    if (const auto* wanted = std::get_if<Action>(&action))
      out.push_back(*wanted);
  return out;
}

std::vector<slot_action> put(slot_state& state, std::string key, std::string value, request_id request = 1,
                             table in = table::paths) {
  return state.step(batch_event{request, {put_op{in, std::move(key), std::move(value)}}});
}

std::vector<watch_record> records(const std::vector<slot_action>& actions) {
  std::vector<watch_record> out;
  for (const auto& action : only<publish_action>(actions))
    out.insert(out.end(), action.records.begin(), action.records.end());
  return out;
}

} // namespace

TEST_CASE("a write is answered and published when it is durable, not before") {
  auto state = empty_slot();
  (void)state.step(subscribe_event{9, table::paths, ""});
  const auto written = put(state, "k", "v");
  REQUIRE(only<persist_action>(written).size() == 1);
  CHECK(only<persist_action>(written)[0].sync);
  CHECK(only<reply_action>(written).empty());
  CHECK(records(written).empty());

  const auto durable = state.step(durable_event{only<persist_action>(written)[0].write.index});
  REQUIRE(only<reply_action>(durable).size() == 1);
  CHECK(only<reply_action>(durable)[0].results[0].ok());
  REQUIRE(records(durable).size() == 1);
  CHECK(records(durable)[0].what == kind::put);
}

TEST_CASE("a read or a scan of what is not durable yet waits for it") {
  auto state = empty_slot();
  put(state, "k", "v");
  CHECK(only<reply_action>(state.step(batch_event{2, {get_op{table::paths, "k"}}})).empty());
  CHECK(only<scan_reply_action>(state.step(scan_event{3, table::paths, "", ""})).empty());
  const auto durable = state.step(durable_event{1});
  CHECK(only<reply_action>(durable).size() == 2);
  REQUIRE(only<scan_reply_action>(durable).size() == 1);
  CHECK(only<scan_reply_action>(durable)[0].entries.size() == 1);
}

TEST_CASE("volatile tables wait for no disk, also while others do") {
  auto state = empty_slot();
  (void)state.step(subscribe_event{9, table::status, ""});
  put(state, "k", "v");
  const auto written = put(state, "i", "load", 2, table::status);
  REQUIRE(only<persist_action>(written).size() == 1);
  CHECK_FALSE(only<persist_action>(written)[0].sync);
  CHECK(only<reply_action>(written).size() == 1);
  CHECK(records(written).size() == 1);
}

TEST_CASE("answers leave in the order of their writes") {
  auto state = empty_slot();
  put(state, "a", "1", 1);
  put(state, "b", "1", 2);
  put(state, "c", "1", 3);
  const auto first = only<reply_action>(state.step(durable_event{2}));
  REQUIRE(first.size() == 2);
  CHECK(first[0].request == 1);
  CHECK(first[1].request == 2);
  CHECK(only<reply_action>(state.step(durable_event{3}))[0].request == 3);
}

TEST_CASE("a snapshot and what follows it are ordered and leave no gap, also with writes under way") {
  auto state = empty_slot();
  put(state, "a", "1");
  (void)state.step(durable_event{1});
  put(state, "b", "1"); // not durable yet: part of the snapshot, which therefore waits
  CHECK(records(state.step(subscribe_event{9, table::paths, ""})).empty());
  put(state, "c", "1");
  const auto seen = records(state.step(durable_event{3}));
  REQUIRE(seen.size() == 4);
  CHECK(seen[0].what == kind::snapshot_entry);
  CHECK(seen[1].what == kind::snapshot_entry);
  CHECK(seen[2].what == kind::snapshot_end);
  CHECK(seen[2].at == 2);
  CHECK(seen[3].what == kind::put);
  CHECK(seen[3].at == 3);
}

TEST_CASE("a watch resumes from its revision with exactly what it missed") {
  auto state = empty_slot();
  put(state, "a", "1");
  put(state, "b", "2");
  put(state, "x", "other table", 1, table::instances);
  (void)state.step(batch_event{1, {erase_op{table::paths, "a", {}}}});
  (void)state.step(durable_event{4});
  const auto seen = records(state.step(subscribe_event{9, table::paths, "", 1}));
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].at == 2);
  CHECK(seen[1].what == kind::erase);
  CHECK(seen[2].what == kind::resumed);
  CHECK(seen[2].at == 4);
}

TEST_CASE("a watch from before the history is told so and given a snapshot") {
  auto state = empty_slot({.history_changes = 4, .history_bytes = 1 << 20});
  for (int i = 0; i < 10; ++i)
    put(state, "k" + std::to_string(i), "v");
  (void)state.step(durable_event{10});
  CHECK(records(state.step(subscribe_event{1, table::paths, "", 6})).front().what == kind::put);
  const auto compacted = records(state.step(subscribe_event{2, table::paths, "", 5}));
  REQUIRE(compacted.size() == 12);
  CHECK(compacted.front().what == kind::compacted);
  CHECK(compacted.front().at == 6);
  CHECK(compacted.back().what == kind::snapshot_end);
  const auto from_the_future = records(state.step(subscribe_event{3, table::paths, "", 11}));
  CHECK(from_the_future.front().what == kind::compacted);
}

TEST_CASE("the history is bounded by bytes too") {
  auto state = empty_slot({.history_changes = 1000, .history_bytes = 4096});
  for (int i = 0; i < 10; ++i)
    put(state, "k", std::string(1000, static_cast<char>('a' + i)));
  (void)state.step(durable_event{10});
  CHECK(records(state.step(subscribe_event{1, table::paths, "", 9})).back().what == kind::resumed);
  CHECK(records(state.step(subscribe_event{2, table::paths, "", 2})).front().what == kind::compacted);
}

TEST_CASE("a restarted slot resumes watches that saw everything and refuses history it no longer has") {
  auto before = empty_slot();
  put(before, "a", "1");
  slot_state after{slot, {}, {1, {{table::paths, "a", "1", 1, 0}}, {}}, start};
  CHECK(records(after.step(subscribe_event{1, table::paths, "", 1})).front().what == kind::resumed);
  CHECK(records(after.step(subscribe_event{2, table::paths, "", 0})).front().what == kind::compacted);
  CHECK(only<persist_action>(put(after, "b", "1"))[0].write.index == 2);
}

TEST_CASE("a lease is persisted with its first entry and forgotten with its last") {
  auto state = empty_slot();
  const lease_grant lease{7, 10s, start + 10s};
  const auto first = state.step(batch_event{1, {put_op{table::flows, "f", "v", 7}}, {lease}});
  REQUIRE(only<lease_attached_action>(first).size() == 1);
  CHECK(only<persist_action>(first)[0].write.mutations[0] == mutation{put_lease{{7, 10s}}});
  CHECK(only<lease_attached_action>(state.step(batch_event{1, {put_op{table::flows, "g", "v", 7}}, {lease}})).empty());
  CHECK(only<lease_detached_action>(state.step(batch_event{1, {erase_op{table::flows, "f", {}}}})).empty());
  const auto last = state.step(batch_event{1, {erase_op{table::flows, "g", {}}}});
  CHECK(only<lease_detached_action>(last).size() == 1);
  CHECK(only<persist_action>(last)[0].write.mutations[0] == mutation{erase_lease{7}});
}

TEST_CASE("a lease ends at its time, is moved by renewals and never ends early after a restart") {
  auto state = empty_slot();
  (void)state.step(batch_event{1, {put_op{table::flows, "f", "v", 7}}, {{7, 10s, start + 10s}}});
  CHECK(state.step(tick_event{start + 9s}).empty());
  (void)state.step(renew_event{{7, 10s, start + 19s}});
  CHECK(state.step(tick_event{start + 18s}).empty());

  slot_state restarted{slot, {}, {5, {{table::flows, "f", "v", 1, 7}}, {{7, 10s}}}, start + 18s};
  CHECK(restarted.step(tick_event{start + 27s}).empty());
  const auto over = restarted.step(tick_event{start + 28s});
  REQUIRE(only<persist_action>(over).size() == 1);
  CHECK(restarted.entry_count() == 0);
  CHECK(restarted.counters().leases_expired == 1);
}

TEST_CASE("after a failed write everything pending and everything later is refused") {
  auto state = empty_slot();
  put(state, "a", "1", 1);
  (void)state.step(scan_event{2, table::paths, "", ""});
  const auto failed = state.step(disk_failed_event{});
  REQUIRE(only<refuse_action>(failed).size() == 2);
  CHECK(only<refuse_action>(put(state, "b", "1", 3)).size() == 1);
  CHECK(state.step(durable_event{1}).empty());
}

TEST_CASE("a scan page ends at its size limit but always moves on") {
  auto state = empty_slot();
  for (int i = 0; i < 5; ++i)
    put(state, "k" + std::to_string(i), std::string(1000, 'v'));
  (void)state.step(durable_event{5});
  scan_event scan{1, table::paths, "", ""};
  scan.max_bytes = 2500;
  auto page = only<scan_reply_action>(state.step(scan))[0];
  CHECK(page.entries.size() == 2);
  CHECK(page.more);
  scan.max_bytes = 1;
  scan.after = "k3";
  page = only<scan_reply_action>(state.step(scan))[0];
  CHECK(page.entries.size() == 1);
  CHECK_FALSE(page.more);
}

// Random operations against a disk that confirms late and loses its tail at a crash: no acknowledged write is ever
// lost, no watcher ever saw what is gone, and the survivor equals the model of the confirmed prefix.
TEST_CASE("no acknowledged write is lost in random crashes, and watchers' copies match") {
  const auto seed = GENERATE(range(1u, 60u));
  INFO("seed " << seed);
  std::mt19937 random{seed};
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };

  const auto disk = std::make_shared<memory_disk>();
  memory_engine engine{disk};
  using model = std::map<std::string, std::string>;
  std::map<revision, model> states{{0, {}}}; // what the table held as of each revision written
  model copy;
  std::optional<revision> copy_at;
  request_id next_request = 1;
  std::map<request_id, revision> issued;

  for (int life = 0; life < 4; ++life) {
    model now;
    const auto loaded = *engine.load(slot);
    for (const auto& row : loaded.entries)
      now[row.key] = row.value;
    slot_state state{slot, {.history_changes = 8, .history_bytes = 1 << 20}, loaded, start};
    REQUIRE(now == states.at(disk->slots[slot].index));
    states.erase(states.upper_bound(state.index()), states.end());
    std::deque<persist_action> pending;
    revision acknowledged = 0;
    subscription_id subscribed = 0, next_subscription = 1; // 0: none; what was under way to an old one is dropped

    const std::function<void(std::vector<slot_action>)> carry_out = [&](const std::vector<slot_action>& actions) {
      for (const auto& action : actions) {
        if (const auto* persist = std::get_if<persist_action>(&action))
          pending.push_back(*persist);
        if (const auto* reply = std::get_if<reply_action>(&action)) {
          REQUIRE(issued.at(reply->request) <= disk->slots[slot].index);
          acknowledged = std::max(acknowledged, issued.at(reply->request));
        }
        const auto* publish = std::get_if<publish_action>(&action);
        if (publish == nullptr || publish->subscriptions != std::vector{subscribed})
          continue;
        for (const auto& record : publish->records) {
          if (record.what == kind::put || record.what == kind::erase) {
            REQUIRE(copy_at);
            REQUIRE(record.at > *copy_at);
            REQUIRE(record.at <= disk->slots[slot].index);
          }
          if (record.what == kind::compacted)
            copy.clear();
          if (record.what == kind::put || record.what == kind::snapshot_entry)
            copy[record.entry.key] = record.entry.value;
          if (record.what == kind::erase)
            copy.erase(record.entry.key);
          if (record.what != kind::snapshot_entry && record.what != kind::compacted)
            copy_at = record.at;
        }
      }
    };
    for (int i = 0; i < 200; ++i) {
      const auto choice = below(10);
      if (choice < 5) {
        const auto request = next_request++;
        const auto key = std::to_string(below(8));
        if (below(4) == 0) {
          now.erase(key);
          issued[request] = 0;
          auto actions = state.step(batch_event{request, {erase_op{table::paths, key, {}}}});
          issued[request] = state.index();
          states[state.index()] = now;
          carry_out(actions);
        } else {
          now[key] = std::to_string(request);
          auto actions = state.step(batch_event{request, {put_op{table::paths, key, now[key]}}});
          issued[request] = state.index();
          states[state.index()] = now;
          carry_out(actions);
        }
      } else if (choice < 8 && !pending.empty()) {
        REQUIRE(engine.write({&pending.front().write, 1}, true));
        const auto index = pending.front().write.index;
        pending.pop_front();
        carry_out(state.step(durable_event{index}));
      } else if (!subscribed) {
        subscribed = next_subscription++;
        carry_out(state.step(subscribe_event{subscribed, table::paths, "", copy_at}));
      } else {
        (void)state.step(unsubscribe_event{std::exchange(subscribed, 0)});
      }
      if (subscribed != 0 && copy_at && pending.empty())
        REQUIRE(copy == now);
    }
    REQUIRE(acknowledged <= disk->slots[slot].index);
  } // the crash: what is pending is lost
}

TEST_CASE("a node's lease book says which slots to renew and to tick") {
  lease_book book;
  CHECK_FALSE(book.renew(7, start));
  book.grant(7, 10s, start);
  book.attached(4, {7, 10s, start + 10s});
  book.attached(2, {7, 10s, start + 10s});
  book.attached(9, {8, 30s, start + 30s}); // from a slot that knew it before a restart of the node
  CHECK(book.holders(7) == std::vector<slot_id>{2, 4});
  CHECK(book.find(8)->expires_at == start + 30s);
  book.detached(4, 7);
  CHECK(book.renew(7, start + 5s));
  CHECK(book.expire(start + 14s).empty());
  CHECK(book.expire(start + 15s) == std::vector<slot_id>{2});
  CHECK_FALSE(book.find(7));
  CHECK(book.size() == 1);
}
