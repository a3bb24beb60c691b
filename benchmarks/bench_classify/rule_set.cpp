#include "benchmarks/bench_classify/rule_set.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include <zlib.h>

namespace glocal::bench {
namespace {

using namespace dataplane;

std::uint64_t mixed(std::uint64_t a, std::uint64_t b = 0) noexcept {
  return random_source{a * 0xd6e8feb86659fd93ULL + b}();
}

ip_prefix v4_prefix(std::uint32_t address, unsigned length) {
  return ip_prefix::make(ip_address::v4(address), static_cast<std::uint8_t>(length));
}

/// Subscribers in /24 blocks: 32 of them with 7 rules each, and 8 rules for each block, all for what goes to
/// subscribers. Eight priorities; each block and each subscriber has a rule for all its packets, so that most packets
/// match three rules of different priority or more.
class isp_rules final : public rule_set {
public:
  isp_rules(std::size_t count, std::uint64_t seed) : count_{count}, seed_{seed} {
    // A walk over all positions in no order: neighbours in the list have nothing in common.
    step_ = count / 2 + 1;
    while (std::gcd(step_, count) != 1)
      ++step_;
  }
  [[nodiscard]] std::size_t size() const override { return count_; }

  [[nodiscard]] rule at(std::size_t at) const override {
    const auto place = place_of(at);
    const auto block = place / rules_of_block, within = place % rules_of_block;
    rule out;
    out.cookie = at;
    out.action = static_cast<std::uint32_t>(at);
    if (within < block_rules)
      block_rule(block, static_cast<unsigned>(within), out);
    else
      subscriber_rule(block, (within - block_rules) / subscriber_rules,
                      static_cast<unsigned>((within - block_rules) % subscriber_rules), out);
    return out;
  }

  /// What subscribers really send: of the block's port and the subscriber's VLAN where the rule leaves them open.
  [[nodiscard]] packet_fields packet_of(std::size_t at, random_source& random) const override {
    auto out = rule_set::packet_of(at, random);
    const auto match = this->at(at).match;
    const auto block = place_of(at) / rules_of_block;
    if (!match.in_port)
      out.in_port = port_of(block);
    if (!match.vlan)
      out.vlan = vlan_of(out.destination.v4_value());
    return out;
  }

private:
  static constexpr std::size_t block_rules = 8, subscribers = 32, subscriber_rules = 7;
  static constexpr std::size_t rules_of_block = block_rules + subscribers * subscriber_rules;

  [[nodiscard]] std::size_t place_of(std::size_t at) const noexcept {
    return static_cast<std::size_t>(static_cast<unsigned __int128>(at) * step_ % count_);
  }
  [[nodiscard]] static std::uint32_t network_of(std::size_t block) noexcept {
    return static_cast<std::uint32_t>(0x1000'0000u + block * 256);
  }
  [[nodiscard]] static port_id port_of(std::size_t block) noexcept {
    return static_cast<port_id>(mixed(block, 1) % 48);
  }
  [[nodiscard]] static std::uint16_t vlan_of(std::uint32_t subscriber) noexcept {
    return static_cast<std::uint16_t>(100 + mixed(subscriber, 2) % 3000);
  }
  static void service(rule& out, std::uint64_t of) {
    static constexpr std::array<std::uint16_t, 16> ports{80,  443,  53,   123,  22,   25,   110,  143,
                                                         993, 3389, 5060, 5061, 8080, 8443, 1935, 554};
    const auto port = ports[of % ports.size()];
    out.match.protocol = port == 53 || port == 123 || port == 5060 ? ip_protocol::udp : ip_protocol::tcp;
    out.match.destination_ports = {port, port};
  }

  void block_rule(std::size_t block, unsigned kind, rule& out) const {
    const auto random = mixed(block * 16 + kind, seed_);
    out.match.destination = v4_prefix(network_of(block), 24);
    service(out, random + kind);
    switch (kind) {
    case 0: // everything else of the block
      out.match = {};
      out.match.destination = v4_prefix(network_of(block), 24);
      out.priority = 10;
      break;
    case 1: // a quarantined service, above what subscribers say
      out.priority = 80;
      out.match.dscp = static_cast<std::uint8_t>(random >> 8 & 7);
      break;
    case 2: out.match.vlan = static_cast<std::uint16_t>((random >> 8 & 4095) % 4094); [[fallthrough]];
    case 3:
      out.match.in_port = port_of(block);
      out.priority = 20;
      break;
    case 4:
      out.match.source = v4_prefix(static_cast<std::uint32_t>(random >> 20), 8 + 8 * (random & 1));
      [[fallthrough]];
    case 5: out.priority = 30; break;
    case 6: out.match.dscp = static_cast<std::uint8_t>(random >> 8 & 63); [[fallthrough]];
    default: out.priority = 20; break;
    }
  }

  void subscriber_rule(std::size_t block, std::size_t subscriber, unsigned kind, rule& out) const {
    // 32 of the 256 addresses, the same in no two blocks.
    const auto start = mixed(block, 3);
    const auto octet = static_cast<std::uint32_t>((start + subscriber * (2 * (start >> 8 & 63) + 1)) & 255);
    const auto address = network_of(block) + octet;
    const auto random = mixed(address * std::uint64_t{16} + kind, seed_);
    out.match.destination = v4_prefix(address, 32);
    service(out, mixed(address) + kind * 3);
    switch (kind) {
    case 0: // everything else of the subscriber
      out.match = {};
      out.match.destination = v4_prefix(address, 32);
      out.priority = 40;
      break;
    case 1: out.priority = 50; break;
    case 2:
      out.match.dscp = static_cast<std::uint8_t>(random & 63);
      out.priority = 60;
      break;
    case 3:
      out.match.vlan = vlan_of(address);
      out.priority = 60;
      break;
    case 4:
      out.match.source = v4_prefix(static_cast<std::uint32_t>(random >> 24), 8 + 4 * (random & 3));
      out.priority = 70;
      break;
    case 5:
      out.match.destination_ports = random % 2 == 0 ? l4_port_range{1024, 65535} : l4_port_range{6881, 6999};
      if (random % 3 == 0)
        out.match.vlan = vlan_of(address);
      out.priority = 50;
      break;
    default:
      out.match.in_port = port_of(block);
      if (random % 2 == 0)
        out.match.dscp = static_cast<std::uint8_t>(random >> 8 & 63);
      if (random % 3 == 0)
        out.match.vlan = vlan_of(address);
      out.priority = 70;
      break;
    }
  }

  std::size_t count_, step_ = 1;
  std::uint64_t seed_;
};

/// Prefixes of all lengths out of few networks, so that rules cover one another many times; ranges, wildcards and as
/// many priorities as rules.
class overlap_rules final : public rule_set {
public:
  overlap_rules(std::size_t count, std::uint64_t seed) : count_{count}, seed_{seed} {}
  [[nodiscard]] std::size_t size() const override { return count_; }
  [[nodiscard]] rule at(std::size_t at) const override {
    random_source random{mixed(at, seed_)};
    rule out;
    out.cookie = at;
    out.action = static_cast<std::uint32_t>(at);
    out.priority = static_cast<std::uint32_t>(random());
    const auto prefix = [&] {
      const auto network = static_cast<std::uint32_t>(mixed(random.below(count_ / 8 + 1), 5));
      // Short ones are rare, as in any real list: each covers a part of all others.
      const auto length = 32 - static_cast<unsigned>(random.below(1 + random.below(25)));
      return v4_prefix(network ^ static_cast<std::uint32_t>(random.below(256)), length);
    };
    if (random.below(8) != 0)
      out.match.destination = prefix();
    if (!out.match.destination || random.below(3) != 0)
      out.match.source = prefix();
    out.match.protocol = random.below(3) == 0 ? ip_protocol::udp : ip_protocol::tcp;
    const auto kind = random.below(10);
    const auto port = static_cast<std::uint16_t>(random.below(65000));
    if (kind < 5)
      out.match.destination_ports = {port, port};
    else if (kind < 7)
      out.match.destination_ports = {port, static_cast<std::uint16_t>(port + random.below(65536 - port))};
    if (kind == 9)
      out.match.source_ports = {1024, 65535};
    if (random.below(10) == 0)
      out.match.vlan = static_cast<std::uint16_t>(random.below(4));
    return out;
  }

private:
  std::size_t count_;
  std::uint64_t seed_;
};

/// What an adversary would install: prefixes of all lengths and ranges of all widths around four points, so that most
/// rules match there, and ranked at random.
class nested_rules final : public rule_set {
public:
  nested_rules(std::size_t count, std::uint64_t seed) : count_{count}, seed_{seed} {}
  [[nodiscard]] std::size_t size() const override { return count_; }
  [[nodiscard]] rule at(std::size_t at) const override {
    random_source random{mixed(at, seed_ + 1)};
    rule out;
    out.cookie = at;
    out.action = static_cast<std::uint32_t>(at);
    out.priority = static_cast<std::uint32_t>(random.below(1 << 20));
    const auto point = random.below(4);
    const auto near = [&](std::uint64_t which) {
      return v4_prefix(static_cast<std::uint32_t>(mixed(point, which)), static_cast<unsigned>(random.below(33)));
    };
    out.match.source = near(11);
    out.match.destination = near(12);
    const auto range = [&] {
      const auto width = random.below(std::uint64_t{1} << random.below(16));
      return l4_port_range{static_cast<std::uint16_t>(32768 - width),
                           static_cast<std::uint16_t>(32768 + random.below(width + 1))};
    };
    if (random.below(2) == 0)
      out.match.destination_ports = range();
    if (random.below(2) == 0)
      out.match.source_ports = range();
    if (random.below(2) == 0)
      out.match.protocol = ip_protocol::tcp;
    return out;
  }

private:
  std::size_t count_;
  std::uint64_t seed_;
};

class listed_rules final : public rule_set {
public:
  explicit listed_rules(std::vector<rule> rules) : rules_{std::move(rules)} {}
  [[nodiscard]] std::size_t size() const override { return rules_.size(); }
  [[nodiscard]] rule at(std::size_t at) const override { return rules_[at]; }

private:
  std::vector<rule> rules_;
};

/// `@1.2.3.4/32 5.6.7.0/24 0 : 65535 80 : 80 0x06/0xFF 0x0000/0x0200`. Of the flags the six of RFC 793 count, and only
/// in rules for TCP: the rest of that column are header bits no switch matches.
bool read_classbench_line(const char* line, rule& out) {
  unsigned s[4], d[4], source_length, destination_length, sport_low, sport_high, dport_low, dport_high;
  unsigned protocol, protocol_mask, flags = 0, flags_mask = 0;
  const auto read = std::sscanf(line, "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x %x/%x", &s[0], &s[1], &s[2],
                                &s[3], &source_length, &d[0], &d[1], &d[2], &d[3], &destination_length, &sport_low,
                                &sport_high, &dport_low, &dport_high, &protocol, &protocol_mask, &flags, &flags_mask);
  if (read < 16 || source_length > 32 || destination_length > 32 || sport_low > sport_high || dport_low > dport_high ||
      sport_high > 65535 || dport_high > 65535 || protocol > 255)
    return false;
  const auto value = [](const unsigned* octets) {
    return octets[0] << 24 | octets[1] << 16 | octets[2] << 8 | octets[3];
  };
  out.match.source = v4_prefix(value(s), source_length);
  out.match.destination = v4_prefix(value(d), destination_length);
  out.match.source_ports = {static_cast<std::uint16_t>(sport_low), static_cast<std::uint16_t>(sport_high)};
  out.match.destination_ports = {static_cast<std::uint16_t>(dport_low), static_cast<std::uint16_t>(dport_high)};
  if (protocol_mask != 0)
    out.match.protocol = static_cast<std::uint8_t>(protocol);
  if (out.match.protocol == ip_protocol::tcp) {
    out.match.tcp_flags_mask = static_cast<std::uint8_t>(flags_mask & 0x3f);
    out.match.tcp_flags_value = static_cast<std::uint8_t>(flags & flags_mask & 0x3f);
  }
  return true;
}

expected<std::unique_ptr<rule_set>, std::string> read_classbench(const std::string& path, std::size_t most) {
  auto* file = ::gzopen(path.c_str(), "rb"); // also reads what is not compressed
  if (file == nullptr)
    return unexpected{path + ": " + std::strerror(errno)};
  std::vector<rule> rules;
  std::array<char, 512> line{};
  std::size_t number = 0;
  std::string failure;
  while (rules.size() < most && failure.empty() && ::gzgets(file, line.data(), line.size()) != nullptr) {
    ++number;
    rule read;
    if (read_classbench_line(line.data(), read))
      rules.push_back(read);
    else if (line[0] == '@')
      failure = path + ":" + std::to_string(number) + ": not a rule in ClassBench's format";
  }
  ::gzclose(file);
  if (failure.empty() && rules.empty())
    failure = path + ": no rules";
  if (!failure.empty())
    return unexpected{failure};
  // The first line ranks highest.
  for (std::size_t i = 0; i < rules.size(); ++i) {
    rules[i].priority = static_cast<std::uint32_t>(rules.size() - i);
    rules[i].action = static_cast<std::uint32_t>(i);
    rules[i].cookie = i;
  }
  return std::unique_ptr<rule_set>{std::make_unique<listed_rules>(std::move(rules))};
}

std::uint16_t port_within(const l4_port_range& range, random_source& random) {
  return static_cast<std::uint16_t>(range.low + random.below(std::uint64_t{range.high} - range.low + 1));
}

ip_address address_within(const std::optional<ip_prefix>& prefix, random_source& random) {
  const auto length = prefix ? prefix->length : 0;
  const auto open = length == 0 ? ~0u : length >= 32 ? 0 : ~0u >> length;
  return ip_address::v4((prefix ? prefix->address.v4_value() : 0) | (static_cast<std::uint32_t>(random()) & open));
}

} // namespace

packet_fields rule_set::packet_of(std::size_t at, random_source& random) const {
  const auto match = this->at(at).match;
  packet_fields out;
  out.source = address_within(match.source, random);
  out.destination = address_within(match.destination, random);
  out.protocol = match.protocol.value_or(random.below(2) == 0 ? ip_protocol::udp : ip_protocol::tcp);
  out.source_port = port_within(match.source_ports, random);
  out.destination_port = port_within(match.destination_ports, random);
  out.in_port = match.in_port.value_or(static_cast<port_id>(random.below(48)));
  out.vlan = match.vlan.value_or(static_cast<std::uint16_t>(random.below(4095)));
  out.dscp = match.dscp.value_or(static_cast<std::uint8_t>(random.below(64)));
  if (out.protocol == ip_protocol::tcp)
    out.tcp_flags = static_cast<std::uint8_t>((random() & 0x3f & ~match.tcp_flags_mask) | match.tcp_flags_value);
  return out;
}

expected<std::unique_ptr<rule_set>, std::string> make_rule_set(const std::string& shape, std::size_t rules,
                                                               std::uint64_t seed) {
  if (shape == "isp")
    return std::unique_ptr<rule_set>{std::make_unique<isp_rules>(rules, seed)};
  if (shape == "overlap")
    return std::unique_ptr<rule_set>{std::make_unique<overlap_rules>(rules, seed)};
  if (shape == "nested")
    return std::unique_ptr<rule_set>{std::make_unique<nested_rules>(rules, seed)};
  constexpr std::string_view file = "classbench:";
  if (shape.rfind(file, 0) == 0)
    return read_classbench(shape.substr(file.size()), rules);
  return unexpected{"'" + shape + "' is no shape: isp, overlap, nested or classbench:FILE"};
}

expected<std::vector<packet_fields>, std::string> make_trace(const rule_set& rules, const std::string& kind,
                                                             std::size_t count, std::uint64_t seed) {
  random_source random{seed};
  std::vector<packet_fields> out;
  out.reserve(count);
  const auto random_packet = [&] {
    static const rule_match any;
    packet_fields packet;
    packet.source = address_within(any.source, random);
    packet.destination = address_within(any.destination, random);
    packet.protocol = random.below(2) == 0 ? ip_protocol::udp : ip_protocol::tcp;
    packet.source_port = static_cast<std::uint16_t>(random());
    packet.destination_port = static_cast<std::uint16_t>(random());
    packet.in_port = static_cast<port_id>(random.below(48));
    packet.vlan = static_cast<std::uint16_t>(random.below(4095));
    packet.dscp = static_cast<std::uint8_t>(random.below(64));
    return packet;
  };
  unsigned miss_percent = 0;
  if (kind.rfind("miss:", 0) == 0) {
    char* end = nullptr;
    const auto value = std::strtoul(kind.c_str() + 5, &end, 10);
    if (*end != '\0' || kind.size() == 5 || value > 100)
      return unexpected{"'" + kind + "': miss wants a percentage from 0 to 100"};
    miss_percent = static_cast<unsigned>(value);
  } else if (kind != "uniform" && kind != "shuffled" && kind != "zipf" && kind != "random")
    return unexpected{"'" + kind + "' is no trace: uniform, shuffled, zipf, miss:PCT, random or worst"};

  const auto size = rules.size();
  // Zipf with exponent 1: the rank's logarithm is uniform.
  const auto log_size = std::log(static_cast<double>(size) + 1);
  while (out.size() < count) {
    if (kind == "random" || (miss_percent > 0 && random.below(100) < miss_percent)) {
      auto packet = random_packet();
      // Class E is nobody's: a miss unless a rule takes any destination.
      if (miss_percent > 0)
        packet.destination = ip_address::v4(0xf000'0000u | packet.destination.v4_value());
      out.push_back(packet);
    } else if (kind == "zipf") {
      const auto rank =
          static_cast<std::size_t>(std::exp(static_cast<double>(random.below(1u << 30)) * 0x1p-30 * log_size)) - 1;
      out.push_back(rules.packet_of(mixed(std::min(rank, size - 1), 9) % size, random));
    } else
      out.push_back(rules.packet_of(random.below(size), random));
  }
  if (kind == "shuffled") {
    const auto shuffle = [&](auto&& exchange) {
      for (auto i = count - 1; i > 0; --i)
        exchange(out[i], out[random.below(i + 1)]);
    };
    shuffle([](auto& a, auto& b) { std::swap(a.source, b.source); });
    shuffle([](auto& a, auto& b) { std::swap(a.destination, b.destination); });
    shuffle([](auto& a, auto& b) { std::swap(a.source_port, b.source_port); });
    shuffle([](auto& a, auto& b) { std::swap(a.destination_port, b.destination_port); });
    shuffle([](auto& a, auto& b) {
      std::swap(a.protocol, b.protocol);
      std::swap(a.tcp_flags, b.tcp_flags);
    });
    shuffle([](auto& a, auto& b) { std::swap(a.in_port, b.in_port); });
    shuffle([](auto& a, auto& b) { std::swap(a.vlan, b.vlan); });
    shuffle([](auto& a, auto& b) { std::swap(a.dscp, b.dscp); });
  }
  return out;
}

} // namespace glocal::bench
