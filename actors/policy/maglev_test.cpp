#include "actors/policy/maglev.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace glocal::policy;

namespace {

std::vector<std::string> backends(int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i)
    out.push_back("cache-" + std::to_string(i));
  return out;
}

/// Entries of the table that lead elsewhere, and were not those of `gone`.
std::size_t moved(const std::vector<std::string>& before, const std::vector<std::string>& after,
                  const std::string& gone = {}) {
  const maglev_table old{before}, fresh{after};
  std::size_t out = 0;
  for (std::size_t i = 0; i < maglev_table::size; ++i) {
    const auto& was = before[old.entries()[i]];
    out += was != gone && was != after[fresh.entries()[i]];
  }
  return out;
}

} // namespace

TEST_CASE("Maglev's table size is prime") {
  for (std::size_t divisor = 2; divisor * divisor <= maglev_table::size; ++divisor)
    CHECK(maglev_table::size % divisor != 0);
}

TEST_CASE("every backend has the same share of the table, to one entry") {
  const auto count = GENERATE(1, 2, 3, 10, 63, 64);
  std::map<std::uint8_t, std::size_t> shares;
  const maglev_table table{backends(count)};
  for (const auto backend : table.entries())
    ++shares[backend];
  REQUIRE(shares.size() == static_cast<std::size_t>(count));
  const auto [low, high] = std::minmax_element(shares.begin(), shares.end(),
                                               [](const auto& a, const auto& b) { return a.second < b.second; });
  CHECK(high->second - low->second <= 1);
}

TEST_CASE("a backend that goes takes its own entries with it and disturbs few others") {
  auto rest = backends(64);
  rest.erase(rest.begin() + 17);
  // A plain `hash mod n` would move 98 %. NSDI 2016, figure 12, is in this order too.
  CHECK(moved(backends(64), rest, "cache-17") < maglev_table::size * 4 / 100);
}

TEST_CASE("a backend that comes takes its share and disturbs few others") {
  auto more = backends(63);
  more.emplace_back("newcomer");
  const auto share = maglev_table::size / 64;
  CHECK(moved(backends(63), more) >= share);
  CHECK(moved(backends(63), more) < share + maglev_table::size * 4 / 100);
}

TEST_CASE("the order in which backends are listed does not matter") {
  auto shuffled = backends(20);
  std::reverse(shuffled.begin(), shuffled.end());
  std::swap(shuffled[3], shuffled[11]);
  CHECK(moved(backends(20), shuffled) == 0);
}

TEST_CASE("a table without backends finds none") {
  CHECK(maglev_table{}.find(12345) == maglev_table::none);
  CHECK(maglev_table{std::vector<std::string>{}}.find(12345) == maglev_table::none);
}
