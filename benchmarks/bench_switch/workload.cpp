#include "benchmarks/bench_switch/workload.hpp"

#include "dataplane/switch/southbound.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>

namespace glocal::bench {
namespace {

constexpr std::uint32_t sources = 0x0a00'0000, destinations = 0x0a80'0000, host_bits = 0x007f'ffff;

struct close_file {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

} // namespace

workload make_workload(std::size_t rules, std::size_t flows, bool mixed, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  const auto any = [&](std::uint32_t net) { return net | (static_cast<std::uint32_t>(random()) & host_bits); };
  workload out;
  out.rules.reserve(rules);
  for (std::size_t i = 0; i < rules; ++i) {
    dataplane::rule made;
    const auto bits = [&](int low, int high) {
      return static_cast<std::uint8_t>(low + static_cast<int>(random() % static_cast<std::uint64_t>(high - low + 1)));
    };
    made.match.destination = ip_prefix::make(ip_address::v4(any(destinations)), mixed ? bits(20, 32) : 24);
    if (mixed && random() % 4 != 0)
      made.match.source = ip_prefix::make(ip_address::v4(any(sources)), bits(12, 28));
    if (mixed && random() % 2 == 0) {
      const auto low = static_cast<std::uint16_t>(1 + random() % 60'000);
      made.match.destination_ports = {low, static_cast<std::uint16_t>(random() % 5 == 0 ? low + random() % 1000 : low)};
    }
    made.priority = static_cast<std::uint32_t>(random() % 1000);
    made.action = static_cast<std::uint32_t>(dataplane::rule_action::pass);
    out.rules.push_back(made);
  }
  std::ranges::sort(out.rules, std::greater{}, &dataplane::rule::priority);
  for (std::size_t i = 0; i < flows; ++i) {
    const auto& of = out.rules[random() % rules].match;
    const auto inside = [&](const std::optional<ip_prefix>& prefix, std::uint32_t net) {
      if (!prefix)
        return ip_address::v4(any(net));
      const auto free = prefix->length == 32 ? 0 : 0xffff'ffffu >> prefix->length;
      return ip_address::v4(prefix->address.v4_value() | (static_cast<std::uint32_t>(random()) & free));
    };
    const auto ports = of.destination_ports;
    out.flows.push_back({inside(of.source, sources), inside(of.destination, destinations),
                         static_cast<std::uint16_t>(1024 + random() % 60'000),
                         static_cast<std::uint16_t>(ports.low + random() % (ports.high - ports.low + 1u)),
                         ip_protocol::udp});
  }
  return out;
}

bool write_pcap(const std::string& path, const std::vector<five_tuple>& flows, std::size_t frame_bytes) {
  const std::unique_ptr<std::FILE, close_file> file{std::fopen(path.c_str(), "wb")};
  if (file == nullptr)
    return false;
  // pcap, version 2.4, microseconds, Ethernet (draft-ietf-opsawg-pcap).
  const std::array<std::uint32_t, 6> header{0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65'535, 1};
  bool good = std::fwrite(header.data(), sizeof header, 1, file.get()) == 1;
  constexpr std::size_t headers = 14 + 20 + 8, checksum = 4;
  const std::string payload(frame_bytes > headers + checksum ? frame_bytes - headers - checksum : 0, 'x');
  for (const auto& flow : flows) {
    const auto frame = dataplane::testing::packet_builder{}
                           .ip(to_string(flow.source), to_string(flow.destination))
                           .udp(flow.source_port, flow.destination_port)
                           .payload(payload)
                           .build();
    const auto length = static_cast<std::uint32_t>(frame.size());
    const std::array<std::uint32_t, 4> record{0, 0, length, length};
    good = good && std::fwrite(record.data(), sizeof record, 1, file.get()) == 1 &&
           std::fwrite(frame.data(), frame.size(), 1, file.get()) == 1;
  }
  return good;
}

} // namespace glocal::bench
