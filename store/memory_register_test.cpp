#include "store/memory_register.hpp"

#include <catch2/catch.hpp>

using namespace glocal::store;

namespace {

const member a{"a", 1}, b{"b", 1};

std::optional<register_value> read(memory_register& subject, slot_id slot) {
  std::optional<register_value> out;
  bool answered = false;
  subject.get(slot, [&](std::optional<register_value> value) {
    answered = true;
    out = std::move(value);
  });
  REQUIRE_FALSE(answered); // never before the call returned
  subject.run();
  REQUIRE(answered);
  return out;
}

set_outcome set(memory_register& subject, slot_id slot, std::uint64_t expected, slot_view wanted) {
  std::optional<set_outcome> out;
  subject.compare_and_set(slot, expected, std::move(wanted), [&](set_outcome outcome) { out = std::move(outcome); });
  subject.run();
  REQUIRE(out);
  return *out;
}

} // namespace

TEST_CASE("a register changes only by compare-and-set on the version that is there") {
  memory_register subject;
  CHECK(read(subject, 3)->version == 0);
  const auto first = set(subject, 3, 0, {1, a, {a}});
  CHECK(first.what == set_outcome::kind::done);
  CHECK(first.now.view.primary == a);
  const auto late = set(subject, 3, 0, {1, b, {b}});
  CHECK(late.what == set_outcome::kind::conflict);
  CHECK(late.now == first.now);
  CHECK(read(subject, 3) == first.now);
  CHECK(read(subject, 4)->version == 0); // slots are apart
}

TEST_CASE("a watcher of the register hears of changes") {
  memory_register subject;
  std::vector<std::pair<slot_id, std::uint64_t>> heard;
  subject.watch([&](slot_id slot, const register_value& value) { heard.emplace_back(slot, value.version); });
  (void)set(subject, 7, 0, {1, a, {a}});
  (void)set(subject, 7, 0, {1, b, {b}});
  CHECK(heard == std::vector<std::pair<slot_id, std::uint64_t>>{{7, 1}});
}

TEST_CASE("a lost answer is unknown, and the change may have happened") {
  memory_register subject;
  subject.loses_answers = true;
  CHECK(set(subject, 1, 0, {1, a, {a}}).what == set_outcome::kind::unknown);
  CHECK(read(subject, 1)->version == 1);
  subject.unreachable = true;
  CHECK(set(subject, 1, 1, {2, b, {b}}).what == set_outcome::kind::unknown);
  CHECK_FALSE(read(subject, 1));
}
