#include "dataplane/exact_match/match_table.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

namespace glocal::dataplane {
namespace {

/// Printed by every failing case; GLOCAL_SEED=N runs the same again.
std::uint64_t seed_of_run() {
  const auto* given = std::getenv("GLOCAL_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261125;
}

match_key v4_key(std::uint32_t number, std::uint64_t where = 1) {
  return {where,
          {ip_address::v4(0x0a00'0000 + number), ip_address::v4(0xcb00'7109), static_cast<std::uint16_t>(number >> 24),
           80, ip_protocol::tcp}};
}

match_key v6_key(std::uint32_t number, std::uint64_t where = 1) {
  auto source = *parse_ip("2001:db8::");
  for (int i = 0; i < 4; ++i)
    source.octets[static_cast<std::size_t>(15 - i)] = static_cast<std::uint8_t>(number >> (8 * i));
  return {where, {source, *parse_ip("2001:db8:ffff::9"), 1000, 443, ip_protocol::udp}};
}

struct in_order {
  bool operator()(const match_key& left, const match_key& right) const {
    return std::tie(left.where, left.tuple) < std::tie(right.where, right.tuple);
  }
};

TEST_CASE("a table answers as a map does, whatever was inserted and erased before") {
  const auto seed = seed_of_run();
  INFO("GLOCAL_SEED=" << seed);
  std::mt19937_64 random{seed};
  match_table table{512, seed | 1};
  std::map<match_key, std::pair<std::uint32_t, std::uint16_t>, in_order> model;
  const auto any_key = [&] {
    const auto number = static_cast<std::uint32_t>(random() % 400);
    return random() % 2 == 0 ? v4_key(number, random() % 3) : v6_key(number, random() % 3);
  };
  for (int i = 0; i < 60'000; ++i) {
    const auto key = any_key();
    const auto known = model.find(key);
    switch (random() % 3) {
    case 0:
      if (known == model.end()) {
        const auto value = static_cast<std::uint32_t>(random() >> 33);
        const auto note = static_cast<std::uint16_t>(random());
        if (table.insert(key, value, note))
          model[key] = {value, note};
      }
      break;
    case 1:
      REQUIRE(table.erase(key) == (known != model.end()));
      if (known != model.end())
        model.erase(known);
      break;
    default: {
      std::array<match_key, 64> keys;
      std::array<match_table::prepared, 64> at;
      const auto count = 1 + random() % keys.size();
      for (auto& each : keys)
        each = any_key();
      for (std::size_t k = 0; k < count; ++k)
        at[k] = table.prepare(keys[k]);
      for (std::size_t k = 0; k < count; ++k) {
        const auto wanted = model.find(keys[k]);
        const auto found = table.find(at[k]);
        REQUIRE((found.value != match_table::nothing) == (wanted != model.end()));
        if (wanted != model.end())
          REQUIRE(std::pair{found.value, found.note} == wanted->second);
      }
    }
    }
    REQUIRE(table.size() == model.size());
  }
}

TEST_CASE("a table takes as many keys as it was made for, also when they are consecutive") {
  constexpr std::uint32_t count = 50'000;
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    match_table table{count, seed};
    for (std::uint32_t i = 0; i < count; ++i) {
      REQUIRE(table.insert(v4_key(i << 8), i, 0));
      REQUIRE(table.insert(v6_key(i << 12), i, 0));
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      REQUIRE(table.find(v4_key(i << 8)).value == i);
      REQUIRE(table.find(v6_key(i << 12)).value == i);
    }
  }
}

TEST_CASE("a table that is full refuses more and keeps what it has") {
  match_table table{100, 7};
  std::uint32_t taken = 0;
  std::vector<std::uint32_t> kept;
  for (std::uint32_t i = 0; i < 1000; ++i)
    if (table.insert(v4_key(i), i, 3)) {
      ++taken;
      kept.push_back(i);
    }
  CHECK(taken >= 100);
  CHECK(taken < 1000);
  CHECK(table.size() == taken);
  for (const auto number : kept)
    CHECK(table.find(v4_key(number)).value == number);
  for (const auto number : kept)
    CHECK(table.erase(v4_key(number)));
  CHECK(table.size() == 0);
  CHECK(table.find(v4_key(kept.front())).value == match_table::nothing);
}

TEST_CASE("keys that differ in one bit of any field are told apart") {
  match_table table{256, 11};
  const auto base = v4_key(1);
  std::vector<match_key> keys{base};
  for (int bit = 0; bit < 64; ++bit) {
    auto key = base;
    key.where ^= std::uint64_t{1} << bit;
    keys.push_back(key);
  }
  for (int bit = 0; bit < 16; ++bit) {
    for (const auto field : {&five_tuple::source_port, &five_tuple::destination_port}) {
      auto key = base;
      key.tuple.*field = static_cast<std::uint16_t>(key.tuple.*field ^ 1u << bit);
      keys.push_back(key);
    }
    if (bit < 8) {
      auto key = base;
      key.tuple.protocol = static_cast<std::uint8_t>(key.tuple.protocol ^ 1u << bit);
      keys.push_back(key);
    }
  }
  auto as_v6 = base; // the same octets in another family
  as_v6.tuple.source.family = as_v6.tuple.destination.family = ip_family::v6;
  keys.push_back(as_v6);
  as_v6.tuple.source.family = ip_family::v4;
  keys.push_back(as_v6);
  for (std::uint32_t i = 0; i < keys.size(); ++i)
    REQUIRE(table.insert(keys[i], i, static_cast<std::uint16_t>(i)));
  for (std::uint32_t i = 0; i < keys.size(); ++i)
    CHECK(table.find(keys[i]).value == i);
}

TEST_CASE("readers on other threads never miss a key that stays, and never see a foreign value") {
  // Nearly full, so that the writer's inserts displace the keys that stay.
  constexpr std::uint32_t stay = 600, come_and_go = 200;
  match_table table{stay + come_and_go, 5};
  for (std::uint32_t i = 0; i < stay; ++i) {
    REQUIRE(table.insert(v4_key(i), i, static_cast<std::uint16_t>(i)));
    REQUIRE(table.insert(v6_key(i), i, static_cast<std::uint16_t>(i)));
  }
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0}, turns{0};
  std::thread reader{[&] {
    do {
      for (std::uint32_t i = 0; i < stay + come_and_go; ++i)
        for (const auto& key : {v4_key(i), v6_key(i)}) {
          const auto found = table.find(key);
          const bool is_right = found.value == match_table::nothing
                                    ? i >= stay
                                    : found.value == i && found.note == static_cast<std::uint16_t>(i);
          wrong += is_right ? 0 : 1;
        }
      ++turns;
    } while (!done);
  }};
  std::mt19937 random{1};
  std::vector<bool> there(come_and_go);
  while (turns < 20)
    for (int k = 0; k < 1000; ++k) {
      const auto i = random() % come_and_go;
      for (const auto& key : {v4_key(stay + i), v6_key(stay + i)})
        if (there[i])
          (void)table.erase(key);
        else
          (void)table.insert(key, stay + i, static_cast<std::uint16_t>(stay + i));
      there[i] = table.find(v4_key(stay + i)).value != match_table::nothing;
      if (there[i] != (table.find(v6_key(stay + i)).value != match_table::nothing)) { // one was refused
        (void)table.erase(v4_key(stay + i));
        (void)table.erase(v6_key(stay + i));
        there[i] = false;
      }
    }
  done = true;
  reader.join();
  CHECK(wrong == 0);
  CHECK(table.displaced() > 0);
}

} // namespace
} // namespace glocal::dataplane
