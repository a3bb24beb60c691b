#include "benchmarks/bench_switch/match_rows.hpp"

#include "dataplane/exact_match/match_table.hpp"

#include <array>
#include <chrono>
#include <random>

namespace glocal::bench {
namespace {

using namespace dataplane;

/// The number-th key: consecutive sources, as a subscriber network has them, and ports that differ.
key_words_v4 key_of(std::uint64_t number) {
  return pack_v4(1, static_cast<std::uint32_t>(0x0a00'0000 + (number & 0xff'ffff)), 0xcb00'7109,
                 static_cast<std::uint16_t>(1024 + (number >> 24)), 443, 6);
}
match_key unpacked(std::uint64_t number) {
  return {1,
          {ip_address::v4(static_cast<std::uint32_t>(0x0a00'0000 + (number & 0xff'ffff))), ip_address::v4(0xcb00'7109),
           static_cast<std::uint16_t>(1024 + (number >> 24)), 443, 6}};
}

template <class Work>
double millions_a_second(std::size_t count, Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return static_cast<double>(count) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
         1e6;
}

} // namespace

match_row measure_match_table(std::size_t entries, std::uint64_t seed) {
  constexpr std::size_t burst = 32;
  match_row out;
  out.entries = entries;
  match_table table{entries, seed};
  out.inserted = millions_a_second(entries, [&] {
    for (std::uint64_t i = 0; i < entries; ++i)
      out.refused += table.insert(unpacked(i), static_cast<std::uint32_t>(i), 0) ? 0 : 1;
  });
  out.displaced = static_cast<double>(table.displaced()) / static_cast<double>(entries);
  const auto rounds = std::max<std::size_t>(entries / burst / 4, 20'000);
  const auto look = [&](std::uint64_t first, bool is_there) {
    std::mt19937_64 random{seed};
    std::array<match_table::prepared, burst> keys;
    std::array<std::uint64_t, burst> numbers;
    return millions_a_second(rounds * burst, [&] {
      for (std::size_t round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < burst; ++i) {
          numbers[i] = first + random() % entries;
          table.prepare(key_of(numbers[i]), keys[i]);
        }
        for (std::size_t i = 0; i < burst; ++i) {
          const auto wanted = is_there ? static_cast<std::uint32_t>(numbers[i]) : match_table::nothing;
          out.wrong += table.find(keys[i]).value == wanted ? 0 : 1;
        }
      }
    });
  };
  out.found = look(0, true);
  out.missed = look(entries, false);
  out.bytes_per_entry = static_cast<double>(table.bytes()) / static_cast<double>(entries);
  out.erased = millions_a_second(entries, [&] {
    for (std::uint64_t i = 0; i < entries; ++i)
      out.wrong += table.erase(unpacked(i)) ? 0 : 1;
  });
  return out;
}

} // namespace glocal::bench
