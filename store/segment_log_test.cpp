#include "store/segment_log.hpp"

#include "base/hash.hpp"
#include "store/temporary_directory_test.hpp"
#include "store/unsafe_disk_test.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstring>
#include <fstream>

#include <sys/resource.h>

using namespace glocal;
using namespace glocal::store;

namespace {

constexpr std::uint64_t identity = 42;
const segment_log_options small{4096, 2};

bytes text(const std::string& what) {
  bytes out(what.size());
  std::memcpy(out.data(), what.data(), what.size());
  return out;
}

struct opened {
  expected<segment_log, log_failure> log;
  std::vector<log_record> records;
};

opened reopen(std::unique_ptr<log_disk> disk, std::uint64_t whose = identity) {
  std::vector<log_record> records;
  auto log = segment_log::open(std::move(disk), whose, small,
                               [&](log_record record) { records.push_back(std::move(record)); });
  return {std::move(log), std::move(records)};
}
opened reopen(unsafe_files& files, std::uint64_t whose = identity) {
  return reopen(std::make_unique<unsafe_disk>(files), whose);
}

std::string error_of(unsafe_files& files, std::uint64_t whose = identity) {
  const auto result = reopen(files, whose);
  return result.log ? std::string{} : result.log.error().message;
}

bool contains(const std::string& message, const char* what) {
  return message.find(what) != std::string::npos;
}

/// Three segments, the last one holding two groups of one record each.
unsafe_files three_segments() {
  unsafe_files files;
  auto started = reopen(files);
  for (log_index i = 1; started.log->segment_count() < 3; ++i) {
    started.log->append(1, i, bytes(1000));
    REQUIRE(started.log->sync());
  }
  started.log->append(1, 100, text("the last but one"));
  REQUIRE(started.log->sync());
  return files;
}

} // namespace

TEST_CASE("segment_log gives back what was synced, in order, with one sync for all that waited") {
  unsafe_files files;
  auto started = reopen(files);
  REQUIRE(started.log);
  const auto before = files.syncs;
  for (slot_id slot = 0; slot < 20; ++slot)
    started.log->append(slot, 7, text("record of " + std::to_string(slot)));
  started.log->append(3, 8, {});
  REQUIRE(started.log->sync());
  CHECK(files.syncs == before + 1);
  REQUIRE(started.log->sync());
  CHECK(files.syncs == before + 1);
  started.log->append(5, 8, text("never synced"));

  std::mt19937_64 rolls{1};
  files.lose_power(rolls);
  const auto again = reopen(files);
  REQUIRE(again.log);
  REQUIRE(again.records.size() == 21);
  CHECK(again.records[4] == log_record{4, 7, text("record of 4")});
  CHECK(again.records[20] == log_record{3, 8, {}});
}

TEST_CASE("segment_log keeps what was synced and a prefix of the rest, whatever is lost, torn or refused") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 rolls{seed};
    unsafe_files files;
    std::vector<log_record> model;
    std::map<slot_id, log_index> ends, released;
    std::size_t synced = 0;
    for (int life = 0; life < 6; ++life) {
      auto now = reopen(files);
      REQUIRE(now.log);
      // What is found ends the model somewhere after what was synced, and is all that is not released.
      REQUIRE(now.records.size() <= model.size());
      std::size_t kept = std::max(synced, now.records.size());
      for (;; ++kept) {
        REQUIRE(kept <= model.size());
        if (std::equal(now.records.begin(), now.records.end(),
                       model.begin() + static_cast<std::ptrdiff_t>(kept - now.records.size())))
          break;
      }
      model.resize(kept);
      for (std::size_t i = 0; i + now.records.size() < kept; ++i)
        CHECK(model[i].last <= released[model[i].slot]);
      ends.clear();
      for (const auto& each : model)
        ends[each.slot] = std::max(ends[each.slot], each.last);
      synced = kept;
      if (rolls() % 3 == 0)
        files.calls_left = rolls() % 40;
      for (int group = 0; group < 12; ++group) {
        for (auto many = rolls() % 6; many > 0; --many) {
          const auto slot = static_cast<slot_id>(rolls() % 3);
          model.push_back({slot, ++ends[slot], bytes(rolls() % 900, static_cast<std::byte>(rolls()))});
          now.log->append(slot, model.back().last, model.back().payload);
        }
        if (rolls() % 8 == 0)
          break;
        if (!now.log->sync()) {
          CHECK_FALSE(now.log->sync());
          CHECK_FALSE(now.log->release(0, 1));
          break;
        }
        synced = model.size();
        const auto slot = static_cast<slot_id>(rolls() % 3);
        const auto index = ends[slot] - rolls() % (ends[slot] + 1);
        released[slot] = std::max(released[slot], index);
        if (!now.log->release(slot, index))
          break;
      }
      files.lose_power(rolls);
    }
  }
}

TEST_CASE("segment_log uses released segments again, oldest first, and makes no new ones") {
  unsafe_files files;
  auto started = reopen(files);
  for (log_index i = 1; i <= 200; ++i) {
    started.log->append(1, i, bytes(500));
    if (i == 1)
      started.log->append(2, 1, text("holds the first segment"));
    REQUIRE(started.log->sync());
    REQUIRE(started.log->release(1, i));
    if (i == 30) {
      CHECK(started.log->segment_count() > 3);
      REQUIRE(started.log->release(2, 1));
      CHECK(started.log->segment_count() <= 2);
    }
  }
  CHECK(started.log->segment_count() <= 2);
  CHECK(files.files.size() <= 4);
  // What an earlier use of a file left is no record.
  std::mt19937_64 rolls{1};
  files.lose_power(rolls);
  for (const auto& record : reopen(files).records)
    CHECK(record.last > 190);
}

TEST_CASE("a slot that comes back to a node has its log kept as any other's") {
  unsafe_files files;
  {
    auto made = reopen(files);
    REQUIRE(made.log->release(1, ~log_index{0}));
    made.log->append(1, 1, text("kept"));
    REQUIRE(made.log->sync());
    for (log_index i = 1; made.log->segment_count() < 3; ++i) {
      made.log->append(2, i, bytes(1000));
      REQUIRE(made.log->sync());
    }
    REQUIRE(made.log->release(2, 100));
  }
  const auto again = reopen(files);
  REQUIRE(again.log);
  CHECK(std::ranges::count_if(again.records, [](const auto& record) { return record.slot == 1; }) == 1);
}

TEST_CASE("a node that is restarted again and again keeps its log small") {
  unsafe_files files;
  for (int i = 0; i < 20; ++i)
    CHECK(reopen(files).log);
  CHECK(files.files.size() == 1);
}

TEST_CASE("segment_log refuses what is damaged although it had been synced, and says what to do") {
  auto files = three_segments();
  auto flipped = [&](const std::string& name, std::size_t at) {
    auto out = files;
    auto& byte = out.files.at(name).now[at];
    byte ^= std::byte{1};
    return out;
  };
  const std::string first = "0000000000000001.log", last = "0000000000000003.log";
  CHECK(error_of(files).empty());
  for (const std::size_t at : {100u, 2000u}) {
    auto damaged = flipped(first, at);
    const auto message = error_of(damaged);
    CHECK(contains(message, "damaged at byte"));
    CHECK(contains(message, "wipe"));
  }
  auto header = flipped(first, 20);
  CHECK(contains(error_of(header), "header is damaged"));
  // In the last segment another group follows it.
  auto middle = flipped(last, 100);
  CHECK(contains(error_of(middle), "damaged at byte 64"));
  // At its very end it can't be told from a torn tail.
  CHECK(reopen(files).records.back().last == 100);
  auto gone = files;
  gone.files.erase("0000000000000002.log");
  CHECK(contains(error_of(gone), "missing"));
  gone = files;
  gone.files.erase(first);
  CHECK(error_of(gone).empty()); // released, for all that is known here
}

TEST_CASE("segment_log refuses another cluster's log and a newer format") {
  auto files = three_segments();
  CHECK(contains(error_of(files, identity + 1), "another cluster"));
  unsafe_files newer;
  CHECK(reopen(newer).log);
  auto& file = newer.files.begin()->second.now;
  store_be32(file.data() + 16, 2);
  store_be64(file.data(), hash_bytes(file.data() + 8, 56));
  CHECK(contains(error_of(newer), "newer"));
}

TEST_CASE("segment_log on real files finds its records again, and is held by one process") {
  const temporary_directory directory;
  const auto path = directory.path() / "log";
  {
    auto started = reopen(*open_log_directory(path));
    REQUIRE(started.log);
    for (log_index i = 1; i <= 50; ++i) {
      started.log->append(1, i, bytes(300, static_cast<std::byte>(i)));
      REQUIRE(started.log->sync());
    }
    const auto second = open_log_directory(path);
    REQUIRE_FALSE(second);
    CHECK(contains(second.error().message, "another process"));
    REQUIRE(started.log->release(1, 40));
  }
  const auto again = reopen(*open_log_directory(path));
  REQUIRE(again.log);
  REQUIRE(again.records.size() >= 10);
  CHECK(again.records.size() < 50);
  CHECK(again.records.back() == log_record{1, 50, bytes(300, std::byte{50})});
}

TEST_CASE("a full disk ends a log on real files with a sentence that says so") {
  const temporary_directory directory;
  auto started = reopen(*open_log_directory(directory.path() / "log"));
  REQUIRE(started.log);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{1024, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  started.log->append(1, 1, bytes(2000));
  const auto result = started.log->sync();
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(result);
  CHECK(contains(result.error().message, "make room"));
  CHECK(contains(result.error().message, "0000000000000001.log"));
  CHECK(started.log->sync().error().message == result.error().message);
}
