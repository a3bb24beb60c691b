#include "benchmarks/bench_classify/peer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal::bench {
namespace {

using namespace dataplane;
using clock = std::chrono::steady_clock;

/// What rte_acl reads of a packet: network order, fields in groups of four bytes, the first of one byte.
struct acl_key {
  std::uint8_t protocol, unused[3];
  std::uint32_t source, destination;
  std::uint16_t source_port, destination_port;
  std::uint16_t in_port, vlan;
  std::uint16_t dscp, flags;
};

constexpr unsigned field_count = 9;
RTE_ACL_RULE_DEF(acl_rule_of, field_count);

constexpr std::array<rte_acl_field_def, field_count> fields{{
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(acl_key, protocol)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(acl_key, source)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(acl_key, destination)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(acl_key, source_port)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(acl_key, destination_port)},
    {RTE_ACL_FIELD_TYPE_BITMASK, 2, 5, 4, offsetof(acl_key, in_port)},
    {RTE_ACL_FIELD_TYPE_BITMASK, 2, 6, 4, offsetof(acl_key, vlan)},
    {RTE_ACL_FIELD_TYPE_BITMASK, 2, 7, 5, offsetof(acl_key, dscp)},
    {RTE_ACL_FIELD_TYPE_BITMASK, 2, 8, 5, offsetof(acl_key, flags)},
}};

acl_key key_of(const packet_fields& packet) {
  const auto swap = [](std::uint16_t value) { return __builtin_bswap16(value); };
  return {packet.protocol,
          {},
          __builtin_bswap32(packet.source.v4_value()),
          __builtin_bswap32(packet.destination.v4_value()),
          swap(packet.source_port),
          swap(packet.destination_port),
          swap(packet.in_port),
          swap(packet.vlan),
          swap(packet.dscp),
          swap(packet.tcp_flags)};
}

acl_rule_of rule_of(const rule& from, std::size_t at, std::size_t count) {
  acl_rule_of out{};
  const auto& match = from.match;
  const auto wanted = [&](unsigned field, std::uint64_t value, std::uint64_t mask) {
    out.field[field].value.u64 = value;
    out.field[field].mask_range.u64 = mask;
  };
  out.data.category_mask = 1;
  // Priorities of 29 bits: all that matters here is their order, and few shapes need more.
  out.data.priority = static_cast<std::int32_t>(std::min<std::uint64_t>(
      RTE_ACL_MAX_PRIORITY, count <= 1 << 20 ? from.priority % (1u << 29) + 1u : from.priority / 8 + 1));
  out.data.userdata = static_cast<std::uint32_t>(at + 1);
  wanted(0, match.protocol.value_or(0), match.protocol ? 0xff : 0);
  wanted(1, match.source ? match.source->address.v4_value() : 0, match.source ? match.source->length : 0);
  wanted(2, match.destination ? match.destination->address.v4_value() : 0,
         match.destination ? match.destination->length : 0);
  wanted(3, match.source_ports.low, match.source_ports.high);
  wanted(4, match.destination_ports.low, match.destination_ports.high);
  wanted(5, match.in_port.value_or(0), match.in_port ? 0xffff : 0);
  wanted(6, match.vlan.value_or(0), match.vlan ? 0xffff : 0);
  wanted(7, match.dscp.value_or(0), match.dscp ? 0xffff : 0);
  wanted(8, match.tcp_flags_value, match.tcp_flags_mask);
  return out;
}

struct answer {
  double lookups_per_s, build_s;
  char failure[128];
};

/// In the child.
answer measure(const rule_set& rules, const std::vector<packet_fields>& trace, std::size_t burst) {
  answer out{};
  const auto failed = [&](const std::string& why) {
    std::strncpy(out.failure, why.c_str(), sizeof out.failure - 1);
    return out;
  };
  std::array arguments{"bench", "--no-pci",    "--no-huge",      "-m",
                       "4096",  "--no-shconf", "--no-telemetry", "--log-level=1"};
  std::vector<char*> argv;
  for (const auto* one : arguments)
    argv.push_back(const_cast<char*>(one));
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    return failed(std::string{"EAL: "} + rte_strerror(rte_errno));
  rte_acl_param parameters{"bench", SOCKET_ID_ANY, RTE_ACL_RULE_SZ(field_count),
                           static_cast<std::uint32_t>(rules.size())};
  auto* context = rte_acl_create(&parameters);
  if (context == nullptr)
    return failed("no memory for the rules");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto one = rule_of(rules.at(i), i, rules.size());
    if (const auto code = rte_acl_add_rules(context, reinterpret_cast<const rte_acl_rule*>(&one), 1); code != 0)
      return failed(std::string{"add: "} + std::strerror(-code));
  }
  rte_acl_config config{};
  config.num_categories = 1;
  config.num_fields = field_count;
  std::copy(fields.begin(), fields.end(), config.defs);
  const auto begin = clock::now();
  if (const auto code = rte_acl_build(context, &config); code != 0)
    return failed(std::string{"build: "} + std::strerror(-code));
  out.build_s = std::chrono::duration<double>(clock::now() - begin).count();

  std::vector<acl_key> keys;
  for (const auto& packet : trace)
    keys.push_back(key_of(packet));
  std::vector<const std::uint8_t*> pointers;
  for (const auto& key : keys)
    pointers.push_back(reinterpret_cast<const std::uint8_t*>(&key));
  std::vector<std::uint32_t> results(burst);
  const auto pass = [&] {
    for (std::size_t i = 0; i < keys.size(); i += burst)
      rte_acl_classify(context, &pointers[i], results.data(),
                       static_cast<std::uint32_t>(std::min(burst, keys.size() - i)), 1);
  };
  pass();
  std::vector<double> rates;
  for (int run = 0; run < 5; ++run) {
    const auto start = clock::now();
    std::size_t done = 0;
    double seconds = 0;
    do {
      pass();
      done += keys.size();
      seconds = std::chrono::duration<double>(clock::now() - start).count();
    } while (seconds < 0.2);
    rates.push_back(static_cast<double>(done) / seconds);
  }
  std::sort(rates.begin(), rates.end());
  out.lookups_per_s = rates[rates.size() / 2];
  return out;
}

} // namespace

peer_result measure_rte_acl(const rule_set& rules, const std::vector<packet_fields>& trace, std::size_t burst,
                            std::chrono::seconds limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return {0, 0, "no pipe"};
  const auto child = ::fork();
  if (child < 0)
    return {0, 0, "no process"};
  if (child == 0) {
    const auto out = measure(rules, trace, burst);
    const auto written = ::write(ends[1], &out, sizeof out);
    ::_exit(written == sizeof out ? 0 : 1);
  }
  ::close(ends[1]);
  answer got{};
  pollfd waiting{ends[0], POLLIN, 0};
  const bool ready = ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds{limit}.count())) == 1;
  const bool read = ready && ::read(ends[0], &got, sizeof got) == sizeof got;
  ::close(ends[0]);
  if (!ready)
    ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!ready)
    return {0, 0, "build: not done after " + std::to_string(limit.count()) + " s"};
  if (!read)
    return {0, 0, "build: the process ended"};
  return {got.lookups_per_s, got.build_s, got.failure};
}

} // namespace glocal::bench
