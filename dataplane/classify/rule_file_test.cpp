#include "dataplane/classify/rule_file.hpp"
#include "dataplane/classify/testing/rule_generator.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

/// A directory of its own that goes with the test.
struct scratch {
  scratch() : directory{std::filesystem::temp_directory_path() / ("glocal-rules-" + std::to_string(::getpid()))} {
    std::filesystem::create_directories(directory);
  }
  ~scratch() {
    std::error_code failure;
    std::filesystem::remove_all(directory, failure);
  }
  std::filesystem::path directory;
};

std::vector<rule> some_rules(std::uint64_t seed, std::uint32_t count) {
  rule_generator random{seed};
  std::vector<rule> out;
  for (std::uint32_t i = 0; i < count; ++i) {
    out.push_back(random.make(i));
    out.back().cookie = seed << 32 | i;
  }
  return out;
}

/// Tuning is not what is tested here, and takes ThreadSanitizer minutes.
classifier_options untuned() {
  classifier_options out;
  out.forest.emplace();
  out.forest->max_copies = 16;
  return out;
}

std::vector<rule> held_by(const rule_table& table) {
  std::vector<rule> out;
  std::vector<std::pair<rule_id, rule>> numbered;
  table.each([&](rule_id id, const rule& one) { numbered.emplace_back(id, one); });
  std::sort(numbered.begin(), numbered.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [id, one] : numbered)
    out.push_back(one);
  return out;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream stream{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

} // namespace

TEST_CASE("rules read back from a file as they were, in the same order") {
  const scratch place;
  const auto path = (place.directory / "rules").string();
  const auto rules = some_rules(3, 500);
  const auto table = std::move(rule_table::make(rules, untuned())).value();
  REQUIRE(save_rules(*table, path));
  auto loaded = load_rules(path, untuned());
  REQUIRE(loaded);
  CHECK(loaded->size() == rules.size());
  CHECK(held_by(*rule_table::make(std::move(*loaded)).value()) == rules);
  REQUIRE(save_rules(table->classifier(), path));
  CHECK(held_by(*rule_table::make(load_rules(path, untuned()).value()).value()) == rules);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("what was removed is not saved, and ties stay as they were") {
  const scratch place;
  const auto path = (place.directory / "rules").string();
  const auto rules = some_rules(5, 200);
  const auto table = std::move(rule_table::make(rules, untuned())).value();
  std::vector<rule_change> changes;
  for (std::size_t i = 0; i < rules.size(); i += 3)
    changes.push_back({rule_change::kind::remove, rules[i]});
  REQUIRE(table->apply(changes));
  REQUIRE(table->apply(std::vector<rule_change>{{rule_change::kind::add, rules[0]}}));
  REQUIRE(save_rules(*table, path));
  CHECK(held_by(*rule_table::make(load_rules(path, untuned()).value()).value()) == held_by(*table));
}

TEST_CASE("an empty list can be saved") {
  const scratch place;
  const auto path = (place.directory / "rules").string();
  REQUIRE(save_rules(*rule_table::make(std::span<const rule>{}).value(), path));
  CHECK(load_rules(path).value().size() == 0);
}

TEST_CASE("files that are not whole are refused with the reason") {
  using code = rule_file_error::code;
  const scratch place;
  const auto path = (place.directory / "rules").string();
  CHECK(load_rules(path).error().what == code::not_read);
  REQUIRE(save_rules(*rule_table::make(some_rules(7, 50), untuned()).value(), path));
  const auto good = contents(path);
  const auto refused = [&](const std::string& bytes) {
    std::ofstream{path, std::ios::binary} << bytes;
    const auto loaded = load_rules(path);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message.find(path) == 0);
    return loaded.error().what;
  };
  CHECK(refused("") == code::not_a_rule_file);
  CHECK(refused("something else, but long enough to be a header: ................") == code::not_a_rule_file);
  auto other = good;
  other[8] = 9;
  CHECK(refused(other) == code::other_version);
  CHECK(refused(good.substr(0, good.size() - 1)) == code::damaged);
  CHECK(refused(good.substr(0, 200)) == code::damaged);
  // Each byte counts.
  for (std::size_t at = 12; at < good.size(); at += 7) {
    auto changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    CHECK(refused(changed) == code::damaged);
  }
  CHECK(save_rules(*rule_table::make(some_rules(7, 5), untuned()).value(), (place.directory / "no" / "such").string())
            .error()
            .what == code::not_written);
}
