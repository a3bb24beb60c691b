#include "store/memory_engine.hpp"
#include "store/rocksdb_engine.hpp"
#include "store/temporary_directory_test.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::store;
using namespace std::chrono_literals;

namespace {

slot_write sample(slot_id slot, revision index) {
  return {slot,
          index,
          {put_entry{{table::flows, "a/1", "one", index, 7}}, put_entry{{table::flows, "a/2", "two", index, 0}},
           put_entry{{table::flows, std::string{"\xff\0", 2}, std::string{"\0", 1}, index, 0}},
           put_entry{{table::paths, "a/1", "other table", index, 0}}, put_lease{{7, 10s}}}};
}

void check_engine(engine& disk) {
  CHECK(disk.load(1)->index == 0);
  const slot_write writes[] = {sample(1, 4), sample(2, 9)};
  REQUIRE(disk.write(writes, true));
  const slot_write change{1, 6, {erase_entry{table::flows, "a/2"}, erase_lease{7}, put_lease{{8, 20s}}}};
  REQUIRE(disk.write({&change, 1}, false));

  const auto image = *disk.load(1);
  CHECK(image.index == 6);
  CHECK(image.entries.size() == 3);
  CHECK(image.leases == std::vector<lease_record>{{8, 20s}});
  CHECK(image.entries[0] == entry{table::flows, "a/1", "one", 4, 7});
  const auto other = *disk.load(2);
  CHECK(other.index == 9);
  CHECK(other.entries.size() == 4);
  CHECK(disk.load(3)->entries.empty());

  CHECK(disk.scan(2, table::flows, "a/", "", 10)->size() == 2);
  CHECK(disk.scan(2, table::flows, "a/", "", 1)->size() == 1);
  CHECK(disk.scan(2, table::flows, "a/", "a/1", 10)->front().key == "a/2");
  CHECK(disk.scan(2, table::flows, "", "", 10)->size() == 3);
  CHECK(disk.scan(2, table::paths, "b", "", 10)->empty());
}

void check_replace(engine& disk) {
  const slot_write writes[] = {sample(1, 4), sample(2, 9)};
  REQUIRE(disk.apply(writes));
  REQUIRE(disk.replace(1, {7, {{table::paths, "only", "this", 7, 8}}, {{8, 20s, 3}}, {2, 8}}));
  const slot_write more{1, 8, {put_entry{{table::paths, "and", "that", 8, 0}}}, {3, 9}};
  REQUIRE(disk.apply({&more, 1}));
  REQUIRE(disk.flush());
  const auto image = *disk.load(1);
  CHECK(image.index == 8);
  CHECK(image.at == log_position{3, 9});
  CHECK(image.entries.size() == 2);
  CHECK(image.leases == std::vector<lease_record>{{8, 20s, 3}});
  CHECK(disk.load(2)->entries.size() == 4);
}

std::string refusal(const temporary_directory& directory, const engine_identity& identity) {
  auto opened = open_rocksdb(directory.path(), identity);
  REQUIRE_FALSE(opened);
  return opened.error().message;
}

} // namespace

TEST_CASE("memory_engine keeps slots apart and applies mutations") {
  memory_engine disk;
  check_engine(disk);
}

TEST_CASE("memory_engine replaces a slot whole") {
  memory_engine disk;
  check_replace(disk);
}

TEST_CASE("rocksdb_engine replaces a slot whole, and what was flushed is there after a restart with its position") {
  const temporary_directory directory;
  std::uint64_t incarnation = 0;
  {
    const auto disk = *open_rocksdb(directory.path(), {"c", 256});
    incarnation = disk->incarnation();
    CHECK_FALSE(*disk->has_log());
    REQUIRE(disk->note_log());
    check_replace(*disk);
  }
  const auto disk = *open_rocksdb(directory.path(), {"c", 256});
  CHECK(disk->incarnation() == incarnation);
  CHECK(*disk->has_log());
  CHECK(disk->load(1)->at == log_position{3, 9});
  CHECK(disk->load(2)->entries.size() == 4);
}

TEST_CASE("another directory is another incarnation") {
  const temporary_directory directory;
  const auto first = (*open_rocksdb(directory.path(), {"c", 256}))->incarnation();
  std::filesystem::remove_all(directory.path());
  CHECK((*open_rocksdb(directory.path(), {"c", 256}))->incarnation() > first);
}

TEST_CASE("rocksdb_engine keeps slots apart, applies mutations, and finds them again after a restart") {
  const temporary_directory directory;
  {
    const auto disk = *open_rocksdb(directory.path(), {"c", 256});
    check_engine(*disk);
  }
  const auto disk = *open_rocksdb(directory.path(), {"c", 256});
  CHECK(disk->load(1)->index == 6);
  CHECK(disk->load(2)->entries.size() == 4);
}

TEST_CASE("a directory that is not this cluster's, or in use, is refused with a reason") {
  const temporary_directory directory;
  {
    const auto disk = *open_rocksdb(directory.path(), {"mine", 256});
    CHECK_THAT(refusal(directory, {"mine", 256}), Catch::Contains("another process"));
  }
  CHECK_THAT(refusal(directory, {"yours", 256}), Catch::Contains("belongs to cluster 'mine'"));
  CHECK_THAT(refusal(directory, {"mine", 128}), Catch::Contains("made for 256 slots"));
  CHECK(open_rocksdb(directory.path(), {"mine", 256}));
}

TEST_CASE("a directory that can't be made is refused with a reason") {
  const auto opened = open_rocksdb("/proc/no/such/place", {"c", 256});
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error().message, Catch::Contains("/proc/no/such/place"));
}
