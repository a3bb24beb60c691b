#include "benchmarks/bench_classify/worst_case.hpp"

#include <algorithm>
#include <array>

namespace glocal::bench {
namespace {

using namespace dataplane;

constexpr std::size_t first_tries = 50'000, later_tries = 100'000, kept = 1024;

struct tried {
  std::uint64_t lines = 0;
  packet_fields packet;
};

/// Some fields of `other` in `packet`.
void exchange(packet_fields& packet, const packet_fields& other, std::uint64_t which) {
  const auto take = [&](unsigned bit, auto packet_fields::*field) {
    if ((which >> bit & 1) != 0)
      packet.*field = other.*field;
  };
  take(0, &packet_fields::source);
  take(1, &packet_fields::destination);
  take(2, &packet_fields::source_port);
  take(3, &packet_fields::destination_port);
  take(4, &packet_fields::in_port);
  take(5, &packet_fields::vlan);
  take(6, &packet_fields::dscp);
  if ((which >> 7 & 1) != 0) {
    packet.protocol = other.protocol;
    packet.tcp_flags = other.tcp_flags;
    packet.icmp_type = other.icmp_type;
  }
}

} // namespace

std::vector<packet_fields> worst_packets(const rule_set& rules, const forest_classifier& classifier, std::size_t count,
                                         std::uint64_t seed) {
  random_source random{seed};
  const auto view = classifier.view<4>();
  const auto any = [&] { return rules.packet_of(random.below(rules.size()), random); };
  const auto lines_of = [&](const packet_fields& packet) {
    lookup_cost cost;
    (void)counted_lookup<4>(view, pack_key<4>(packet), cost);
    return cost.lines;
  };
  std::vector<tried> pool;
  for (std::size_t i = 0; i < first_tries; ++i) {
    auto packet = any();
    if (i % 2 == 1)
      exchange(packet, any(), random());
    pool.push_back({lines_of(packet), packet});
  }
  const auto worse = [](const tried& a, const tried& b) { return a.lines > b.lines; };
  std::sort(pool.begin(), pool.end(), worse);
  pool.resize(kept);
  // A heap whose top is the cheapest.
  std::make_heap(pool.begin(), pool.end(), worse);
  for (std::size_t i = 0; i < later_tries; ++i) {
    auto packet = pool[random.below(kept)].packet;
    exchange(packet, i % 2 == 0 ? pool[random.below(kept)].packet : any(), random() & random());
    if (const auto lines = lines_of(packet); lines > pool.front().lines) {
      std::pop_heap(pool.begin(), pool.end(), worse);
      pool.back() = {lines, packet};
      std::push_heap(pool.begin(), pool.end(), worse);
    }
  }
  std::vector<packet_fields> out;
  while (out.size() < count)
    out.push_back(pool[random.below(kept)].packet);
  return out;
}

} // namespace glocal::bench
