#include "dataplane/lisp/negative.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

namespace glocal::lisp {
namespace {

std::vector<ip_prefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<ip_prefix> out;
  for (const auto* text : texts)
    out.push_back(parse_prefix(text).value());
  return out;
}

/// By trying: the shortest prefix around `eid` that overlaps nothing.
std::optional<ip_prefix> tried(const ip_address& eid, const std::vector<ip_prefix>& registered) {
  for (int length = 0; length <= eid.bits(); ++length) {
    const auto hole = ip_prefix::make(eid, static_cast<std::uint8_t>(length));
    bool free = true;
    for (const auto& one : registered)
      free = free && (one.address.family != eid.family || !one.overlaps(hole));
    if (free)
      return hole;
  }
  return std::nullopt;
}

} // namespace

TEST_CASE("a hole is as large as what is registered around it lets it be") {
  const struct {
    const char* eid;
    std::vector<ip_prefix> registered;
    const char* hole;
  } rows[] = {
      {"10.1.2.3", {}, "0.0.0.0/0"},
      {"10.1.2.3", prefixes({"2001:db8::/32"}), "0.0.0.0/0"},
      {"10.1.2.3", prefixes({"192.168.0.0/16"}), "0.0.0.0/1"},
      {"10.1.2.3", prefixes({"10.0.0.0/16", "192.168.0.0/16"}), "10.1.0.0/16"},
      {"10.1.2.3", prefixes({"10.1.2.2/32"}), "10.1.2.3/32"},
      {"10.1.2.3", prefixes({"10.1.0.0/16"}), nullptr},
      {"10.1.2.3", prefixes({"0.0.0.0/0"}), nullptr},
      {"2001:db8:1::1", prefixes({"2001:db8:2::/48", "10.0.0.0/8"}), "2001:db8::/47"},
  };
  for (const auto& row : rows) {
    INFO(row.eid);
    const auto hole = least_specific_hole(*parse_ip(row.eid), row.registered);
    CHECK((hole ? to_string(*hole) : "none") == (row.hole == nullptr ? "none" : row.hole));
  }
}

TEST_CASE("holes are those found by trying, and the neighbours in order are enough to find them") {
  const std::uint64_t seed = 20;
  INFO("seed " << seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 2000; ++round) {
    const bool v4 = random() % 2 == 0;
    const auto some_address = [&] {
      ip_address out;
      out.family = v4 ? ip_family::v4 : ip_family::v6;
      // Few distinct values, so that prefixes and EIDs have much in common.
      for (std::size_t i = 0; i < out.bits() / 8u; ++i)
        out.octets[i] = static_cast<std::uint8_t>(random() % 2 == 0 ? 0x0a : random() % 4);
      return out;
    };
    std::vector<ip_prefix> registered(random() % 12);
    for (auto& one : registered)
      one = ip_prefix::make(some_address(), static_cast<std::uint8_t>(4 + random() % (v4 ? 29 : 125)));
    const auto eid = some_address();
    const auto expected = tried(eid, registered);
    CHECK(least_specific_hole(eid, registered) == expected);
    if (!expected)
      continue;
    std::sort(registered.begin(), registered.end());
    const auto next =
        std::find_if(registered.begin(), registered.end(), [&](const auto& one) { return one.address > eid; });
    std::vector<ip_prefix> neighbours;
    if (next != registered.end())
      neighbours.push_back(*next);
    if (next != registered.begin())
      neighbours.push_back(*std::prev(next));
    CHECK(least_specific_hole(eid, neighbours) == expected);
  }
}

TEST_CASE("a negative record has no locators and says what to do") {
  const auto record =
      negative_record(*parse_prefix("10.1.0.0/16"), 7, map_action::natively_forward, no_eid_ttl_minutes);
  CHECK(record.locators.empty());
  CHECK(to_string(record.eid) == "[7]10.1.0.0/16");
  CHECK(record.ttl_minutes == 15);
  CHECK(to_string(record.action) == "natively-forward");
}

} // namespace glocal::lisp
