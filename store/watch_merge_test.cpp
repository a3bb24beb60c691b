#include "store/watch_merge.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::store;

namespace {

using record_kind = watch_record::kind;
using event_kind = enum watch_event::kind;

struct fixture {
  watch_merge merge{table::paths, {{0, 2}, {1}}};
  const std::vector<slot_id> first{0, 2};
  std::vector<watch_event> seen;

  void deliver(std::size_t node, std::vector<watch_record> records) {
    merge.deliver(node, std::move(records), [this](const watch_event& event) { seen.push_back(event); });
  }
  void lost(std::size_t node) {
    merge.lost(node, [this](const watch_event& event) { seen.push_back(event); });
  }
  std::vector<event_kind> kinds() {
    std::vector<event_kind> out;
    for (const auto& event : std::exchange(seen, {}))
      out.push_back(event.what);
    return out;
  }
  void all_live() {
    deliver(0, {row(record_kind::snapshot_entry, 0, 5, "a"), end(0, 10), end(2, 20)});
    deliver(1, {end(1, 30)});
    seen.clear();
  }
  static watch_record row(record_kind what, slot_id slot, revision at, std::string key) {
    return {what, slot, at, {table::paths, std::move(key), "v", at, 0}};
  }
  static watch_record end(slot_id slot, revision at) { return {record_kind::snapshot_end, slot, at, {}}; }
};

} // namespace

TEST_CASE_METHOD(fixture, "a watch is live when the last slot's snapshot has ended") {
  deliver(0, {row(record_kind::snapshot_entry, 0, 5, "a"), end(0, 10), end(2, 20)});
  CHECK(kinds() == std::vector{event_kind::put});
  deliver(1, {end(1, 30)});
  CHECK(kinds() == std::vector{event_kind::live});
  CHECK(merge.resume_points(first) == std::vector<slot_revision>{{0, 10}, {2, 20}});
}

TEST_CASE_METHOD(fixture, "a lost stream makes the copy suspect once, until it is current again") {
  all_live();
  lost(0);
  lost(1);
  CHECK(kinds() == std::vector{event_kind::suspect});
  deliver(1, {{record_kind::resumed, 1, 30, {}}});
  CHECK(kinds().empty());
  deliver(0, {row(record_kind::put, 2, 21, "b"), {record_kind::resumed, 2, 21, {}}, {record_kind::resumed, 0, 10, {}}});
  CHECK(kinds() == std::vector{event_kind::put, event_kind::live});
}

TEST_CASE_METHOD(fixture, "a watch that can't be opened is suspect from the start") {
  lost(1);
  lost(1);
  CHECK(kinds() == std::vector{event_kind::suspect});
}

TEST_CASE_METHOD(fixture, "a change delivered twice is seen once") {
  all_live();
  deliver(0, {row(record_kind::put, 0, 11, "a")});
  deliver(0, {row(record_kind::put, 0, 11, "a"), row(record_kind::erase, 0, 9, "a")});
  CHECK(kinds() == std::vector{event_kind::put});
}

TEST_CASE_METHOD(fixture, "after compaction, keys that the new snapshot does not name are erased") {
  all_live();
  deliver(0, {row(record_kind::put, 0, 11, "b")});
  lost(0);
  merge.connected(0, first);
  seen.clear();
  deliver(0, {{record_kind::compacted, 0, 40, {}},
              row(record_kind::snapshot_entry, 0, 41, "b"),
              row(record_kind::snapshot_entry, 0, 42, "c"),
              end(0, 45),
              {record_kind::compacted, 2, 40, {}},
              end(2, 20)});
  REQUIRE(seen.size() == 5);
  CHECK(seen[0].what == event_kind::resync);
  CHECK(seen[3].what == event_kind::erase);
  CHECK(seen[3].entry.key == "a");
  CHECK(seen[4].what == event_kind::live);
  CHECK(merge.key_count() == 2);
}

TEST_CASE_METHOD(fixture, "a snapshot that broke off names nothing") {
  all_live();
  lost(0);
  deliver(0, {{record_kind::compacted, 0, 40, {}}, row(record_kind::snapshot_entry, 0, 41, "a")});
  lost(0);
  seen.clear();
  deliver(0, {{record_kind::compacted, 0, 50, {}}, end(0, 50), {record_kind::resumed, 2, 20, {}}});
  const auto got = kinds();
  CHECK(std::count(got.begin(), got.end(), event_kind::erase) == 1);
}

TEST_CASE_METHOD(fixture, "records of slots a node does not own are ignored") {
  all_live();
  deliver(1, {row(record_kind::put, 0, 99, "forged"), row(record_kind::put, 77, 99, "forged")});
  CHECK(kinds().empty());
}

TEST_CASE_METHOD(fixture, "a slot that goes over to another stream goes on there, and its watch stays live") {
  all_live();
  const std::vector<slot_id> moved{2};
  merge.connected(7, moved);
  CHECK(merge.resume_points(moved) == std::vector<slot_revision>{{2, 20}});
  deliver(7, {{record_kind::resumed, 2, 20, {}}, row(record_kind::put, 2, 21, "b")});
  deliver(0, {row(record_kind::put, 2, 22, "not of this stream any more"), row(record_kind::put, 0, 11, "a")});
  CHECK(kinds() == std::vector{event_kind::put, event_kind::put});
  CHECK(merge.live());
}

TEST_CASE_METHOD(fixture, "a live watch says how far each slot was delivered, and each change where it happened") {
  deliver(0, {row(record_kind::snapshot_entry, 0, 5, "a"), end(0, 10), end(2, 20)});
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].slot == 0);
  CHECK(seen[0].at == 5);
  deliver(1, {end(1, 30), row(record_kind::put, 1, 31, "b")});
  CHECK(seen.back().positions == std::vector<slot_revision>{{0, 10}, {1, 31}, {2, 20}});
}

TEST_CASE_METHOD(fixture, "a watch that begins where another one ended gets what followed") {
  merge = watch_merge{table::paths, {{0, 2}, {1}}, {{0, 10}, {1, 30}, {2, 20}}};
  CHECK(merge.resume_points(first) == std::vector<slot_revision>{{0, 10}, {2, 20}});
  deliver(0, {row(record_kind::put, 0, 9, "old"),
              row(record_kind::put, 0, 11, "a"),
              {record_kind::resumed, 0, 11, {}},
              {record_kind::resumed, 2, 20, {}}});
  deliver(1, {{record_kind::resumed, 1, 30, {}}});
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].entry.key == "a");
  CHECK(seen[1].what == event_kind::live);
  CHECK(seen[1].positions == std::vector<slot_revision>{{0, 11}, {1, 30}, {2, 20}});
}

TEST_CASE_METHOD(fixture,
                 "a watch that begins too long ago is told so, once a slot, and nothing that could deceive it") {
  merge = watch_merge{table::paths, {{0, 2}, {1}}, {{0, 10}, {1, 30}, {2, 20}}};
  deliver(0, {{record_kind::compacted, 0, 12, {}},
              row(record_kind::snapshot_entry, 0, 15, "a"),
              end(0, 16),
              row(record_kind::put, 0, 17, "b"),
              {record_kind::resumed, 2, 20, {}}});
  deliver(1, {row(record_kind::snapshot_entry, 1, 40, "c"), end(1, 40)}); // a volatile table keeps no history at all
  CHECK(kinds() == std::vector{event_kind::compacted, event_kind::compacted});
  CHECK_FALSE(merge.live());
}

TEST_CASE_METHOD(fixture, "a running stream that is given a snapshot is not live until it has ended") {
  all_live();
  deliver(0, {{record_kind::compacted, 0, 12, {}}, row(record_kind::snapshot_entry, 0, 15, "b")});
  CHECK(kinds() == std::vector{event_kind::resync, event_kind::put});
  CHECK_FALSE(merge.live());
  deliver(0, {end(0, 15)});
  CHECK(kinds() == std::vector{event_kind::erase, event_kind::live});
  deliver(0, {{record_kind::compacted, 0, 17, {}}, end(0, 20)});
  CHECK(kinds() == std::vector{event_kind::resync, event_kind::erase, event_kind::live});
}
