#include "store/slot_recovery.hpp"

#include "store/replica_codec.hpp"

#include <catch2/catch.hpp>

using namespace glocal::store;

namespace {

entry_ref noop(epoch_number epoch, log_index index) {
  return std::make_shared<log_entry>(log_entry{{epoch, index}, noop_command{}, payload_bytes(noop_command{})});
}
log_record record(log_payload what) {
  return {1, 0, encode(what)};
}
slot_image state_at(log_position at) {
  slot_image out;
  out.at = at;
  return out;
}
std::vector<log_position> positions(const std::vector<entry_ref>& entries) {
  std::vector<log_position> out;
  for (const auto& one : entries)
    out.push_back(one->at);
  return out;
}
using list = std::vector<log_position>;

} // namespace

TEST_CASE("a slot starts from the engine's state and what its log has after it") {
  slot_recovery log;
  log.add(record(log_write{std::nullopt, {noop(1, 4), noop(1, 5), noop(2, 6)}}));
  SECTION("within the log") {
    const auto slot = log.join(1, state_at({1, 5}));
    REQUIRE(slot);
    CHECK(slot->state.at == log_position{1, 5});
    CHECK(positions(slot->log) == list{{2, 6}});
  }
  SECTION("just before it") {
    CHECK(positions(log.join(1, state_at({1, 3}))->log) == list{{1, 4}, {1, 5}, {2, 6}});
  }
  SECTION("beyond it") {
    CHECK(log.join(1, state_at({3, 9}))->log.empty());
  }
  SECTION("another slot has nothing") {
    CHECK(log.join(2, state_at({0, 0}))->log.empty());
  }
}

TEST_CASE("what a later record cut off does not come back") {
  slot_recovery log;
  log.add(record(log_write{std::nullopt, {noop(1, 1), noop(1, 2), noop(1, 3)}}));
  log.add(record(log_write{1, {noop(2, 2)}}));
  CHECK(positions(log.join(1, {})->log) == list{{1, 1}, {2, 2}});
}

TEST_CASE("a log that a snapshot replaced is void") {
  slot_recovery log;
  log.add(record(log_write{std::nullopt, {noop(1, 1), noop(1, 2), noop(1, 3)}}));
  SECTION("by its mark") {
    log.add(record(log_install{{2, 9}}));
    log.add(record(log_write{std::nullopt, {noop(2, 10)}}));
    CHECK(positions(log.join(1, state_at({2, 9}))->log) == list{{2, 10}});
  }
  SECTION("without its mark, by the epoch of the entry at the state") {
    CHECK(log.join(1, state_at({2, 2}))->log.empty());
  }
  SECTION("and a mark without its state is an error") {
    log.add(record(log_install{{2, 9}}));
    CHECK_FALSE(log.join(1, state_at({1, 3})));
  }
}

TEST_CASE("a hole between state and log is an error that says what to do") {
  slot_recovery log;
  log.add(record(log_write{std::nullopt, {noop(1, 7)}}));
  const auto slot = log.join(1, state_at({1, 5}));
  REQUIRE_FALSE(slot);
  CHECK_THAT(slot.error(), Catch::Contains("wipe this node's directory"));
}
