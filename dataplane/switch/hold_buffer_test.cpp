#include "dataplane/switch/hold_buffer.hpp"

#include <catch2/catch.hpp>

using namespace glocal::dataplane;

namespace {
using buffer = hold_buffer<int, int>;
constexpr hold_limits limits{.holds = 2, .items = 3, .timeout_ns = 100};
} // namespace

TEST_CASE("held items come back in order, within the bounds of the hold and of the buffer") {
  buffer holds{limits};
  const auto a = holds.open(1, 0, 2), b = holds.open(2, 0, 2);
  CHECK(holds.open(3, 0, 2) == none);
  CHECK(holds.append(a, 10) == buffer::outcome::held);
  CHECK(holds.append(a, 11) == buffer::outcome::held);
  CHECK(holds.append(a, 12) == buffer::outcome::hold_full);
  CHECK(holds.append(b, 20) == buffer::outcome::held);
  CHECK(holds.append(b, 21) == buffer::outcome::buffer_full);
  CHECK(holds.take(a) == 10);
  CHECK(holds.append(b, 21) == buffer::outcome::held);
  CHECK(holds.take(a) == 11);
  CHECK(holds.take(a) == std::nullopt);
  CHECK(holds.take(b) == 20);
  CHECK(holds.take(b) == 21);
  CHECK(holds.items() == 0);
}

TEST_CASE("holds expire in the order they were opened, also around one that was closed") {
  buffer holds{limits};
  CHECK(holds.deadline() == UINT64_MAX);
  const auto a = holds.open(1, 50, 2), b = holds.open(2, 60, 2);
  CHECK(holds.deadline() == 150);
  CHECK(holds.expired(149) == none);
  CHECK(holds.expired(150) == a);
  holds.close(a);
  const auto c = holds.open(3, 70, 2);
  CHECK(holds.expired(160) == b);
  holds.close(b);
  CHECK(holds.expired(170) == c);
  holds.close(c);
  CHECK(holds.expired(UINT64_MAX - 1) == none);
}

TEST_CASE("the id of a closed hold finds nothing, also after its slot is used again") {
  buffer holds{limits};
  const auto first = holds.open(1, 0, 2);
  const auto id = holds.id(first);
  CHECK(holds.find(id) == first);
  holds.close(first);
  CHECK(holds.find(id) == none);
  const auto second = holds.open(2, 0, 2);
  CHECK(second == first);
  CHECK(holds.find(id) == none);
  CHECK(holds.find(holds.id(second)) == second);
  CHECK(holds.find(0) == none);
  CHECK(holds.find(UINT64_MAX) == none);
}
